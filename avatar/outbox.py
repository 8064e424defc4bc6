"""Messages to the server, in the order in which they were sent, written by a thread of its own.

Nobody who renders waits for the server, nor for an Opus encoder: a packet of sound is sent before it is made, and that
thread makes it. The sound of twenty streams takes it half a core, which the render thread, on which all streams wait,
does not have.
"""

import contextlib
import logging
import queue
import socket
import threading
from collections.abc import Callable
from typing import Final

from avatar.framing import frame_message
from avatar.messages import FromWorker

log = logging.getLogger(__name__)

TOGETHER: Final = 32
"""Messages that are written in one call."""
MADE_TOGETHER: Final = 4
"""Of these, so many that are yet to be made: the first does not wait for all."""

Unmade = Callable[[], FromWorker | None]
"""Makes a message, or none where nobody would want it any more; called in the order in which they were sent."""
Send = Callable[[FromWorker | Unmade], None]


class Outbox:
    """The worker's. Any thread may send."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: queue.SimpleQueue[bytes | Unmade | threading.Event] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="outbox", daemon=True).start()

    def send(self, message: FromWorker | Unmade) -> None:
        """Have it written after all that was sent before. One that cannot be made is logged and left out."""
        self._waiting.put(message if callable(message) else frame_message(message))

    def flush(self, timeout_s: float) -> None:
        """Wait until all sent so far is written."""
        written = threading.Event()
        self._waiting.put(written)
        written.wait(timeout_s)

    def _run(self) -> None:
        while True:
            together, flushed = self._next()
            with contextlib.suppress(OSError):  # the reader sees the same end and ends the process
                self._sock.sendall(b"".join(together))
            for written in flushed:
                written.set()

    def _next(self) -> tuple[list[bytes], list[threading.Event]]:
        """What waits, for one call of the kernel, and who is to be told."""
        together: list[bytes] = []
        flushed: list[threading.Event] = []
        unmade = 0
        next_one = self._waiting.get()
        with contextlib.suppress(queue.Empty):
            while True:
                if isinstance(next_one, threading.Event):
                    flushed.append(next_one)
                elif isinstance(next_one, bytes):
                    together.append(next_one)
                else:
                    together += self._make(next_one)
                    unmade += 1
                if unmade == MADE_TOGETHER or len(together) + len(flushed) >= TOGETHER:
                    break
                next_one = self._waiting.get_nowait()
        return together, flushed

    def _make(self, unmade: Unmade) -> list[bytes]:
        """None where that fails: what follows is sent all the same."""
        try:
            message = unmade()
            return [] if message is None else [frame_message(message)]
        except Exception:
            log.exception("a message could not be made")
            return []
