"""The chunks of one utterance, on their way from the worker to the one who asked for them."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from avatar.messages import SpeechChunk
from whep_server.errors import ServerError, Unavailable

MAX_UNREAD_BYTES: Final = 64 * 1024 * 1024
"""Five minutes at the ordinary bitrate."""


class Recording:
    """An async iterator of chunks, for one reader; ends after the last, or raises why there are no more.

    Chunks that nobody takes wait in memory. ``changed`` is called whenever one came or was taken, and at the end: a
    render then gives the worker nothing further to do while much is unread. Speech that is heard live waits for nobody:
    above ``MAX_UNREAD_BYTES`` its recording drops all and fails (Unavailable); the speech goes on.
    """

    def __init__(self, utterance: str, changed: Callable[["Recording"], None]) -> None:
        self.utterance = utterance
        """Its id in events and logs."""
        self.made_frames = 0
        """In the chunks that came."""
        self.unread_bytes = 0
        self.ended = False
        """Whether nothing more comes."""
        self.closed = False
        """Whether nobody reads it any more."""
        self._chunks: deque[SpeechChunk] = deque()
        self._error: ServerError | None = None
        self._filled = asyncio.Event()
        self._changed = changed

    def put(self, chunk: SpeechChunk) -> None:
        """A chunk has come."""
        if self.ended:
            return
        if self._chunks and self.unread_bytes + len(chunk.data) > MAX_UNREAD_BYTES:
            self._drop()
            self.finish(Unavailable("what was recorded was not taken in time"))
            return
        self._chunks.append(chunk)
        self.made_frames += chunk.frames
        self.unread_bytes += len(chunk.data)
        self._filled.set()
        self._changed(self)

    def finish(self, error: ServerError | None = None) -> None:
        """Nothing more comes; ``error`` is raised after the chunks that are there. Only the first call counts."""
        if not self.ended:
            self.ended, self._error = True, error
            self._filled.set()
            self._changed(self)

    def close(self) -> None:
        """Nobody wants the rest: a render ends; speech that is heard live goes on, unrecorded."""
        if self.closed:
            return
        self.closed = True
        self._drop()
        if self.ended:
            self._changed(self)
        else:
            self.finish()

    def _drop(self) -> None:
        self._chunks.clear()
        self.unread_bytes = 0

    def __aiter__(self) -> "Recording":
        return self

    async def __anext__(self) -> SpeechChunk:
        while not self._chunks:
            if self.ended and self._error is not None:
                raise self._error
            if self.ended:
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        chunk = self._chunks.popleft()
        self.unread_bytes -= len(chunk.data)
        self._changed(self)
        return chunk
