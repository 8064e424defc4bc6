"""What a stream says: the way of uploads to the worker, and of what the worker says about them to who wants to know."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from avatar.client import Worker, WorkerGone, WorkerState
from avatar.messages import (
    AbandonSpeech,
    RecordSpeech,
    SpeechAccepted,
    SpeechChunk,
    SpeechData,
    SpeechFinished,
    SpeechHeld,
    SpeechMark,
    SpeechRefused,
    SpeechResumed,
    SpeechStarted,
    StreamOpened,
    StreamRefused,
)
from whep_server.errors import ServerError, Unavailable, WorkerLost
from whep_server.live.events import StreamEvent
from whep_server.live.journal import log_utterance, trace_utterance
from whep_server.live.speech_queue import SpeechQueue
from whep_server.live.speech_recording import Recording
from whep_server.live.telling import tell
from whep_server.live.upload import send_pieces
from whep_server.live.utterances import Entry, Stage, Utterance, broken_off
from whep_server.metrics.facts import UtteranceStats
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings
from whep_server.tracing.spans import Spans

VERDICT_S: Final = 20.0
"""The worker gives up a file it cannot decode after 10 s, and loads an avatar in 2; longer: it is stuck."""

SpeechMessage = (
    StreamOpened
    | StreamRefused
    | SpeechAccepted
    | SpeechRefused
    | SpeechStarted
    | SpeechMark
    | SpeechHeld
    | SpeechResumed
    | SpeechFinished
    | SpeechChunk
)


class Voice:
    """The one voice of a stream, by the name that the worker has for it."""

    def __init__(
        self,
        key: str,
        worker: Worker,
        settings: Settings,
        ledger: Ledger,
        spans: Spans,
        emit: Callable[[StreamEvent], None],
        check_place: Callable[[], None],
    ) -> None:
        """``emit`` takes the events of utterances; ``check_place`` raises TooManySpeak where it may not speak now."""
        self.speech = SpeechQueue(settings.max_queued_utterances, emit, self._over)
        self.ended: Counter[str] = Counter()
        """How many utterances are over, by how they ended."""
        self._last: UtteranceStats | None = None
        self._ledger, self._spans = ledger, spans
        self._key = key
        self._worker = worker
        self._settings = settings
        self._check_place = check_place
        self._time = asyncio.get_running_loop().time
        self._recordings: dict[str, Recording] = {}
        self._open = False  # whether the worker knows the stream
        self._refusal = ""
        self._opening = asyncio.Event()

    # --- uploads

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """Upload a file to be spoken after what is queued; returns when all of it is with the worker.

        Errors: NotSpeech, TooLarge, TooMany, TooSlow, WorkerLost, Unavailable, those of ``pieces``.
        """
        entry = self._new_entry()
        with self._uploading(entry):
            await self._upload(entry, pieces)
            async with asyncio.timeout(VERDICT_S):
                return await entry.verdict

    async def record(
        self,
        pieces: AsyncIterator[bytes],
        changed: Callable[[Recording], None],
        *,
        chunk_frames: int,
        whole: bool = False,
    ) -> Recording:
        """As ``speak``, and make chunks of it; does not wait for the verdict. ``changed`` as in ``Recording``.

        Errors: those of ``speak`` but NotSpeech.
        """
        entry = self._new_entry()
        entry.recorded = True
        recording = self._recordings[entry.id] = Recording(entry.id, changed)
        with self._uploading(entry):
            await self._upload(entry, pieces, RecordSpeech(self._key, entry.id, chunk_frames, whole))
        return recording

    def _new_entry(self) -> Entry:
        self.check_ready()
        return self.speech.open()

    def check_ready(self) -> None:
        """Errors: Unavailable, TooManySpeak."""
        if self._worker.state is not WorkerState.READY:
            raise Unavailable("the speech engine is starting")
        self._check_place()

    @contextmanager
    def _uploading(self, entry: Entry) -> Iterator[None]:
        complete = False
        try:
            yield
            complete = True
        except WorkerGone as error:
            raise WorkerLost("the speech engine was lost during the upload") from error
        except TimeoutError as error:
            raise Unavailable("the speech engine does not answer") from error
        finally:
            if not complete:
                self._abandon(entry)

    def _abandon(self, entry: Entry) -> None:
        """Nobody will hear how it ends: make the worker forget it, unless it speaks it already."""
        if entry.stage is Stage.UPLOADED:
            self.speech.forget(entry)
        tell(self._worker, AbandonSpeech(self._key, entry.id))

    async def _upload(self, entry: Entry, pieces: AsyncIterator[bytes], first: RecordSpeech | None = None) -> None:
        async with asyncio.timeout(VERDICT_S):
            await self.until_open(entry)
        if first is not None:
            self._worker.send(first)
        template = SpeechData(self._key, entry.id, self.speech.epoch, b"", last=False)
        await send_pieces(template, entry, self._worker, pieces, self._settings)
        entry.uploaded_s = self._time()

    async def until_open(self, entry: Entry) -> None:
        """Until the worker knows the stream: loading an avatar takes it a second, and it refuses what comes before.

        Errors: Unavailable where it cannot be shown, those of the entry's verdict.
        """
        while not self._open:
            if entry.verdict.done():
                entry.verdict.result()
            if self._refusal:
                raise Unavailable(self._refusal)
            self._opening.clear()
            await self._opening.wait()

    # --- the worker

    def message(self, message: SpeechMessage) -> bool:
        """What the worker says; whether one more utterance waits to be spoken."""
        match message:
            case StreamOpened():
                self._open = True
                self._opening.set()
            case StreamRefused():
                self._refusal = message.detail
                self._opening.set()
            case SpeechAccepted():
                return self.speech.accepted(message, self._time())
            case SpeechRefused():
                self.speech.refused(message)
            case SpeechStarted():
                self.speech.started(message)
            case SpeechMark() | SpeechHeld() | SpeechResumed():
                self.speech.passed(message)
                self._ledger.underruns += isinstance(message, SpeechHeld)
            case SpeechFinished():
                self.speech.finished(message)
                self._end_recording(message.utterance, broken_off(message))
            case SpeechChunk() if message.utterance in self._recordings:
                self._recordings[message.utterance].put(message)
        return False

    def worker_lost(self) -> None:
        """The next worker is to be told of the stream afresh; what was under way is for ``fail``."""
        self._open, self._refusal = False, ""

    def tell_due(self, sample: int) -> None:
        """Tell what is heard by now. Units: 48 kHz samples."""
        self.speech.due(sample, self._time())

    def pictured(self, sample: int) -> None:
        """Viewers were given the live picture of that time. Units: 48 kHz samples."""
        self.speech.pictured(sample, self._time())

    def last_utterance(self) -> UtteranceStats | None:
        """What became of the one that is being spoken, or of the one that ended last."""
        speaking = self.speech.speaking
        return self._last if speaking is None else speaking.stats(speaking.stage.value)

    def fail(self, error: ServerError, heard_until: int, only: list[str] | None = None) -> None:
        """As ``SpeechQueue.fail``."""
        self.speech.fail(error, heard_until, only)
        self._opening.set()

    def close(self, error: ServerError) -> None:
        """As ``SpeechQueue.close``."""
        self.speech.close(error, self._time())
        self._opening.set()

    def _over(self, entry: Entry, state: str, error: ServerError | None) -> None:
        self._last = entry.stats(state)
        self.ended[state] += 1
        self._ledger.utterance_over(entry.way, self._last)
        detail = None if error is None else error.detail
        log_utterance(self._key, entry, state, detail)
        trace_utterance(self._spans, self._key, entry, state, self._time(), detail)
        self._end_recording(entry.id, error or Unavailable("the upload broke off"))

    def _end_recording(self, utterance: str, error: ServerError | None) -> None:
        recording = self._recordings.pop(utterance, None)
        if recording is not None:
            recording.finish(error)
