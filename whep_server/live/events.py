"""What happens on a stream, told to those who listen (server-sent events). A listener that sleeps is cut off."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; ``kind`` is state, viewers, publisher, pose, speech or worker."""

    kind: str
    data: dict[str, str | int | float | None] = field(default_factory=dict)


class EventQueue:
    """What one listener has yet to read: an async iterator that ends when the stream is taken off the air, or when the
    listener falls ``size`` events behind.
    """

    def __init__(self, size: int) -> None:
        self._events: deque[StreamEvent] = deque()
        self._size = size
        self._changed = asyncio.Event()
        self._closed = False

    def put(self, event: StreamEvent) -> None:
        """Never blocks; closes the queue where it is full."""
        if len(self._events) >= self._size:
            self.close()
        elif not self._closed:
            self._events.append(event)
            self._changed.set()

    def close(self) -> None:
        """Nothing more comes; what is held can still be read."""
        self._closed = True
        self._changed.set()

    def __aiter__(self) -> "EventQueue":
        return self

    async def __anext__(self) -> StreamEvent:
        while not self._events:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()


class Events:
    """The listeners of one stream."""

    def __init__(self, queue_size: int) -> None:
        self._queues: set[EventQueue] = set()
        self._size = queue_size
        self._closed = False

    def emit(self, event: StreamEvent) -> None:
        """Tell everybody."""
        for queue in self._queues:
            queue.put(event)

    @contextmanager
    def listen(self, first: list[StreamEvent]) -> Iterator[EventQueue]:
        """A queue that begins with ``first``."""
        queue = EventQueue(self._size)
        for event in first:
            queue.put(event)
        if self._closed:
            queue.close()
        self._queues.add(queue)
        try:
            yield queue
        finally:
            self._queues.discard(queue)

    def close(self) -> None:
        """End all queues: the stream is off the air."""
        self._closed = True
        for queue in self._queues:
            queue.close()
