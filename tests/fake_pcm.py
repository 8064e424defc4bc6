"""Streamed speech of the live layer's shape (``web/on_air_speech.py``): it is played as far as the test says."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from whep_server.errors import AlreadySpeaking, BadRequest, Conflict, NotSpeech, TooMany, Unavailable
from whep_server.live.utterances import Interruption

AUDIO_HZ = 48_000
MAX_MARKS = 64
Data = Mapping[str, str | int | float | None]


@dataclass(frozen=True)
class PcmEvent:
    kind: str
    data: Data = field(default_factory=dict)


class FakePcmSpeech:
    """One utterance: takes a window of bytes more than were played."""

    def __init__(self, voice: "FakePcmVoice", name: str, sample_rate: int, channels: int, start_ms: int | None) -> None:
        self.id, self.sample_rate, self.channels, self.start_ms = name, sample_rate, channels, start_ms
        self.heard = b""
        """What was handed on."""
        self.most_unplayed = 0
        self.committed = False
        self.broken_off: str | None = None
        """Why it is not whole."""
        self.end: str | None = None
        """How it is over."""
        self._voice = voice
        self._played = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._events: deque[PcmEvent] = deque([PcmEvent("credit", {"bytes": voice.window})])
        self._changed = asyncio.Event()

    # --- the live layer's shape

    async def append(self, data: bytes) -> None:
        if len(data) % (2 * self.channels):
            raise BadRequest("a sample is cut in two")
        self._check()
        for start in range(0, len(data), self._voice.window):
            await self._take(data[start : start + self._voice.window])

    async def _take(self, piece: bytes) -> None:
        while len(self.heard) + len(piece) - self._played > self._voice.window:
            self._changed.clear()
            await self._changed.wait()
            self._check()
        if not self.heard:
            self.tell("accepted")
            self.tell("started")
        self.heard += piece
        self.most_unplayed = max(self.most_unplayed, len(self.heard) - self._played)

    def mark(self, name: str) -> None:
        self._check()
        if len(self._marks) >= MAX_MARKS:
            raise TooMany(f"{MAX_MARKS} marks wait already")
        self._marks.append((len(self.heard), name))

    def commit(self) -> None:
        self._check()
        if not self.heard:
            self.stop("failed", detail="no samples were sent")
            raise NotSpeech("no samples were sent")
        self.committed = True

    def break_off(self, detail: str) -> None:
        if self.committed or self.end:
            return
        self.broken_off = detail
        self.committed = bool(self.heard)
        if not self.heard:
            self.stop("failed", detail=detail)

    async def cancel(self) -> Interruption:
        if self.end:
            return Interruption()
        self.stop("interrupted", detail="it was cancelled")
        return Interruption(self.id, self.played_samples)

    def __aiter__(self) -> "FakePcmSpeech":
        return self

    async def __anext__(self) -> PcmEvent:
        while not self._events:
            if self.end:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._events.popleft()

    def _check(self) -> None:
        if self.end or self.committed:
            raise Conflict("the utterance is over")

    # --- what a test does

    @property
    def played_samples(self) -> int:
        """Units: 48 kHz."""
        return self._played // (2 * self.channels) * AUDIO_HZ // self.sample_rate

    def tell(self, kind: str, **data: str | int | float | None) -> None:
        """An event, with what is played by now."""
        position = {"played_samples": self.played_samples, "media_time_s": 7 + self.played_samples / AUDIO_HZ}
        self._put(PcmEvent(kind, {**position, **data}))

    def play(self, size: int | None = None) -> None:
        """So many bytes more, or all that came; all of what is committed is the end of it."""
        size = len(self.heard) - self._played if size is None else size
        self._played += size
        self._put(PcmEvent("credit", {"bytes": size}))
        while self._marks and self._marks[0][0] <= self._played:
            self.tell("mark", name=self._marks.popleft()[1])
        if self.committed and self._played == len(self.heard):
            self.stop("failed" if self.broken_off else "finished", detail=self.broken_off)

    def stop(self, end: str, **data: str | int | float | None) -> None:
        """It is over: finished, interrupted or failed."""
        if self.end is None:
            self.end = end
            self.tell(end, **data)

    def _put(self, event: PcmEvent) -> None:
        self._events.append(event)
        self._changed.set()


@dataclass
class FakePcmVoice:
    """Streamed speech of one stream."""

    window: int = 64 * 1024
    """Units: bytes."""
    fault: Exception | None = None
    """Raised in place of an utterance."""
    made: list[FakePcmSpeech] = field(default_factory=list)
    silent: bool = False
    """Whether the worker does not answer an interruption."""

    def open(self, sample_rate: int, channels: int, start_ms: int | None) -> FakePcmSpeech:
        if self.fault:
            raise self.fault
        if any(not (speech.committed or speech.end) for speech in self.made):
            raise AlreadySpeaking("somebody streams speech in already")
        self.made.append(FakePcmSpeech(self, f"u{len(self.made) + 1}", sample_rate, channels, start_ms))
        return self.made[-1]

    async def interrupt(self) -> Interruption:
        going_on = [speech for speech in self.made if not speech.end]
        for speech in going_on:
            speech.stop("interrupted", detail="speech was interrupted")
        if self.silent:
            raise Unavailable("the speech engine does not answer")
        if not going_on:
            return Interruption()
        first, *others = going_on
        return Interruption(first.id, first.played_samples, tuple(speech.id for speech in others))
