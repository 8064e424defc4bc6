"""Speech that is streamed in while it is made: its samples on their way to the worker, held up where too many wait.

A producer that vanishes in mid-word is broken off: what came of it is spoken to its end, which is faded out, and the
events say that it failed. What came is no mistake, and a word cut short by silence is worse than one that fades.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from avatar.client import Worker, WorkerGone
from avatar.messages import ClosePcm, OpenPcm, PcmChunk, PcmMark, ToWorker
from whep_server.errors import BadRequest, Conflict, NotSpeech, ServerError, TooMany, WorkerLost
from whep_server.live.pcm_events import PcmEvent, PcmEvents
from whep_server.live.producer_jitter import ProducerJitter
from whep_server.live.speech_queue import SpeechQueue
from whep_server.live.utterances import Entry, Interruption, News, Stage

PIECE_BYTES: Final = 256 * 1024
"""The most that one message may carry."""
MAX_MARKS: Final = 64
"""Marks whose event was not read yet; a mark a word, and the speech half a minute ahead of what is heard."""
PARTS: Final = 16
"""Of the window: so much is handed on at a time, and given back as credit; of ten seconds, 0.6."""


@dataclass(frozen=True, slots=True)
class PcmWay:
    """What streamed speech needs of the stream that speaks it."""

    key: str
    """The stream's name for the worker."""
    worker: Worker
    queue: SpeechQueue
    jitter: ProducerJitter
    until_open: Callable[[Entry], Awaitable[None]]
    """Waits until the worker knows the stream. Errors: ServerError."""
    cancel: Callable[[Entry], Awaitable[Interruption]]


class PcmSpeech:
    """One utterance: see the module, and ``web.on_air_speech.PcmSpeech``."""

    def __init__(self, way: PcmWay, entry: Entry, sample_rate: int, channels: int, *, start_ms: int, window_s: float):
        self.id = entry.id
        self.committed = False
        """Whether all of it was handed on."""
        self._way = way
        self._entry = entry
        self._sample_rate, self._channels, self._start_ms = sample_rate, channels, start_ms
        self._frame_bytes = 2 * channels
        self._window = int(window_s * sample_rate) * self._frame_bytes
        self._part = min(PIECE_BYTES, int(window_s * sample_rate / PARTS) * self._frame_bytes)
        self._sent = self._taken = self._credited = 0  # bytes
        self._open = False  # whether the worker knows it
        self._early: list[str] = []  # marks that were set before that
        self._marks = 0  # set and not told
        self._events = PcmEvents()
        self._events.credit(self._window)
        self._changed = asyncio.Event()
        self._time = asyncio.get_running_loop().time

    # --- its samples

    async def append(self, data: bytes) -> None:
        """Hand on samples, interleaved 16 bit little endian; waits where more than a window of them is unplayed.

        Errors: BadRequest where a sample is cut in two; Conflict where it is committed or over; WorkerLost.
        """
        if len(data) % self._frame_bytes:
            raise BadRequest(f"{len(data)} bytes are no whole samples of {self._channels} channels")
        self._check()
        if not data:
            return
        if not self._open:
            await self._begin()
        now_s = self._time()
        self._way.jitter.came(now_s, len(data) / (self._sample_rate * self._frame_bytes))
        if self._entry.uploaded_s is None:
            self._entry.uploaded_s = now_s
        for at in range(0, len(data), self._part):
            await self._send_piece(data[at : at + self._part])

    async def _begin(self) -> None:
        """Make it known to the worker, which may have to load the avatar first."""
        try:
            await self._way.until_open(self._entry)
        except ServerError as error:
            self._check()
            self._way.queue.fail(error, 0, [self.id])
        self._check()
        if not self._open:
            self._open = True
            epoch = self._way.queue.epoch
            opening = OpenPcm(self._way.key, self.id, epoch, self._sample_rate, self._channels, self._start_ms)
            self._send(opening)
            for name in self._early:
                self._send(PcmMark(self._way.key, self.id, name))

    async def _send_piece(self, piece: bytes) -> None:
        while self._sent + len(piece) - self._taken > self._window:
            self._changed.clear()
            await self._changed.wait()
            self._check()
        self._sent += len(piece)
        self._send(PcmChunk(self._way.key, self.id, piece))

    def mark(self, name: str) -> None:
        """Have a ``mark`` event told when what was appended so far is played. Errors: Conflict, TooMany, WorkerLost."""
        self._check()
        if self._marks + self._events.unread_marks >= MAX_MARKS:
            raise TooMany(f"{MAX_MARKS} marks are not reached yet, or their events were not read")
        self._marks += 1
        if self._open:
            self._send(PcmMark(self._way.key, self.id, name))
        else:
            self._early.append(name)

    def commit(self) -> None:
        """It is whole. Errors: NotSpeech where nothing was appended; Conflict where it is over; WorkerLost."""
        self._check()
        if not self._sent:
            error = NotSpeech(self._entry.broken_off or "no samples were sent")
            self._way.queue.fail(error, 0, [self.id])
            raise error
        self.committed = True
        self._send(ClosePcm(self._way.key, self.id))

    def break_off(self, detail: str) -> None:
        """Its producer is gone: what came is spoken to its end, which is called failed. Nothing where it is over."""
        if self.committed or self.over:
            return
        self._entry.broken_off = detail
        with suppress(NotSpeech, WorkerLost):
            self.commit()

    async def cancel(self) -> Interruption:
        """Fall silent, or never begin; what else is queued goes on. Does nothing where it is over."""
        return await self._way.cancel(self._entry)

    @property
    def over(self) -> bool:
        """Whether nothing further of it is taken."""
        return self._entry.error is not None or self._entry.stage is Stage.FINISHED

    def _check(self) -> None:
        """Errors: Conflict, WorkerLost."""
        error = self._entry.error
        if isinstance(error, Conflict | WorkerLost):
            raise type(error)(error.detail)
        if self.over:
            raise Conflict("the utterance is over" if error is None else error.detail)
        if self.committed:
            raise Conflict("the utterance is committed")

    def _send(self, message: ToWorker) -> None:
        try:
            self._way.worker.send(message)
        except WorkerGone as error:
            raise WorkerLost("the speech engine was lost") from error

    # --- what becomes of it

    def taken(self, size: int) -> None:
        """So many bytes of it do not wait any more."""
        self._taken = max(self._taken, size)
        if self._taken - self._credited >= self._part:
            self._events.credit(self._taken - self._credited)
            self._credited = self._taken
        self._changed.set()

    def told(self, news: News) -> None:
        """As ``Maker``."""
        self._marks -= news.state == "mark"
        self._events.put(news)
        self._changed.set()

    def stopped(self) -> None:
        """As ``Maker``."""
        self._changed.set()

    def __aiter__(self) -> "PcmSpeech":
        return self

    async def __anext__(self) -> PcmEvent:
        return await anext(self._events)
