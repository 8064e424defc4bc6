"""Recordings of the live layer's shape: chunks that a test gives."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from whep_server.errors import NotSpeech


@dataclass(frozen=True)
class FakeChunk:
    index: int
    total: int
    data: bytes
    frames: int = 25
    encode_s: float = 0.01


class FakeRecording:
    """Chunks that a test gives, all at once or one by one."""

    def __init__(self, chunks: Sequence[bytes], fault: Exception | None = None, *, complete: bool = True) -> None:
        """``fault`` is raised after the chunks; one that is not ``complete`` waits for ``give`` and ``finish``."""
        self.utterance = "u1"
        self.closed = False
        self.total = len(chunks)
        self._given = 0
        self._waiting: asyncio.Queue[FakeChunk | Exception | None] = asyncio.Queue()
        for data in chunks:
            self.give(data)
        if complete:
            self.finish(fault)

    def give(self, data: bytes) -> None:
        self._waiting.put_nowait(FakeChunk(self._given, self.total, data))
        self._given += 1

    def finish(self, fault: Exception | None = None) -> None:
        self._waiting.put_nowait(fault)

    def __aiter__(self) -> "FakeRecording":
        return self

    async def __anext__(self) -> FakeChunk:
        given = await self._waiting.get()
        if isinstance(given, FakeChunk):
            return given
        self._waiting.put_nowait(given)  # it stays ended
        if given is not None:
            raise given
        raise StopAsyncIteration

    def close(self) -> None:
        self.closed = True
        self.finish()


@dataclass
class FakeRecorder:
    """How recordings go, and those that were made."""

    chunks: Sequence[bytes] = (b"first chunk", b"second chunk")
    """What each recording gives out."""
    fault: Exception | None = None
    """Raised by each recording after its chunks."""
    refusal: Exception | None = None
    """Raised in place of a recording."""
    complete: bool = True
    """Whether recordings end by themselves; else the test says when, by ``made[-1].finish()``."""
    made: list[FakeRecording] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)
    """The uploads."""
    asked: list[dict[str, object]] = field(default_factory=list)
    """What was asked for, beside the upload."""

    async def record(self, pieces: AsyncIterator[bytes], **asked: object) -> FakeRecording:
        if self.refusal:
            raise self.refusal
        speech = b"".join([piece async for piece in pieces])
        self.heard.append(speech)
        self.asked.append(asked)
        if not speech or speech.startswith(b"junk"):
            self.made.append(FakeRecording((), NotSpeech("not audio: no known format" if speech else "empty")))
        else:
            self.made.append(FakeRecording(self.chunks, self.fault, complete=self.complete))
        return self.made[-1]
