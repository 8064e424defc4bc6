"""Uploads on their way in: pieces gathered up to a limit, then decoded by a thread each, refused or accepted.

The pieces are gathered first because half of the containers in use keep their index at the end. They go to an unnamed
file once they are large, so a pile of waiting uploads is not held in memory.
"""

import logging
import math
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.decode import DecodeLimits, NotSpeech, decode
from avatar.messages import AUDIO_HZ, RecordSpeech, SpeechData, SpeechRefusal, WorkerConfig
from avatar.speech_buffer import Abandoned, SpeechBuffer

log = logging.getLogger(__name__)

HEAD_SAMPLES: Final = AUDIO_HZ * 3 // 10
"""An utterance is accepted with this much decoded: what follows comes faster than it is spoken."""
DECODE_SPEED: Final = 20
"""A recorded utterance, which is decoded whole, may take a twentieth of its longest length for it; most take less."""
TURN_S: Final = 2.0
"""So long, at most, one recorded utterance waits for another's decoding, which may hang: nothing slows it down, and
several at once would take the interpreter from the thread that draws (four: 50 ms a frame instead of 11)."""
IN_MEMORY_BYTES: Final = 2 * 1024 * 1024

Key = tuple[str, str]
"""Stream and utterance."""


def about(key: Key) -> dict[str, str]:
    """For the log."""
    return dict(zip(("stream", "utterance"), key, strict=True))


@dataclass(frozen=True, slots=True)
class Heard:
    """The beginning of an utterance is decoded."""

    key: Key
    buffer: SpeechBuffer
    seconds: float | None
    recording: RecordSpeech | None = None
    """How it is to be recorded; then all of it is decoded."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An utterance will not be spoken."""

    key: Key
    reason: SpeechRefusal
    detail: str


Outcome = Heard | Refused


class _Upload:
    """The pieces of one utterance so far, or the memory of having refused it."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.file: tempfile.SpooledTemporaryFile[bytes] | None = tempfile.SpooledTemporaryFile(IN_MEMORY_BYTES)  # noqa: SIM115  closed by its decoder
        self.size = 0

    def drop(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


@dataclass(slots=True)
class _Open:
    """An utterance whose fate is open."""

    buffer: SpeechBuffer
    deadline_s: float
    """Units: seconds on the monotonic clock."""
    epoch: int


class Intake:
    """All uploads of a worker. One thread calls it; each utterance's fate is reported once through ``report``."""

    def __init__(self, config: WorkerConfig, report: Callable[[Outcome], None]) -> None:
        self._max_bytes = config.max_upload_bytes
        self._limits = DecodeLimits(config.max_speech_s, config.decode_timeout_s)
        self._report = report
        self._uploads: dict[Key, _Upload] = {}
        self._recordings: dict[Key, RecordSpeech] = {}
        self._open: dict[Key, _Open] = {}
        self._epochs: dict[str, int] = {}
        """By stream: what is of an older one is not taken any more."""
        self._unwanted: set[Key] = set()
        """Uploads that were dropped and go on."""
        self._turn = threading.Semaphore()

    def expect(self, recording: RecordSpeech) -> None:
        """The utterance that begins next under this name is to be recorded."""
        self._recordings[recording.stream, recording.utterance] = recording

    def take(self, piece: SpeechData) -> None:
        """The next piece of an upload."""
        key = (piece.stream, piece.utterance)
        if key in self._unwanted or piece.epoch < self._epochs.get(piece.stream, 0):
            self._recordings.pop(key, None)
            if piece.last:
                self._unwanted.discard(key)
            return
        upload = self._uploads.get(key)
        if upload is None:
            upload = self._uploads[key] = _Upload(piece.epoch)
        upload.size += len(piece.data)
        if upload.file is not None:
            try:
                if upload.size > self._max_bytes:
                    raise NotSpeech(SpeechRefusal.TOO_LARGE, f"the upload is larger than {self._max_bytes} bytes")
                upload.file.write(piece.data)
            except NotSpeech as refusal:
                self._refuse(key, upload, refusal.reason, refusal.detail)
            except OSError as error:
                log.warning("no room for an upload: %s", error, extra=about(key))
                self._refuse(key, upload, SpeechRefusal.TOO_LARGE, "there is no room to keep the upload")
        if piece.last:
            del self._uploads[key]
            self._decode(key, upload)

    def _refuse(self, key: Key, upload: _Upload, reason: SpeechRefusal, detail: str) -> None:
        upload.drop()
        self._open[key] = _Open(SpeechBuffer(), math.inf, upload.epoch)
        self._report(Refused(key, reason, detail))

    def _decode(self, key: Key, upload: _Upload) -> None:
        recording = self._recordings.pop(key, None)
        if upload.file is None:
            return
        if upload.size == 0:
            self._refuse(key, upload, SpeechRefusal.EMPTY, "the upload is empty")
            return
        patience_s = self._limits.stall_s
        buffer = SpeechBuffer()
        if recording is not None:
            buffer = SpeechBuffer(self._limits.max_s + 1)
            patience_s += self._limits.max_s / DECODE_SPEED
        self._open[key] = _Open(buffer, time.monotonic() + patience_s, upload.epoch)
        job = _Job(key, upload.file, buffer, self._limits, self._report)
        job.recording = recording
        run = job.run if recording is None else partial(job.run_in_turn, self._turn)
        threading.Thread(target=run, name=f"decode-{key[1]}", daemon=True).start()

    @property
    def decoding(self) -> bool:
        """Whether some utterance's fate is open: ``expire`` is to be called now and then."""
        return bool(self._open)

    def hold(self, outcome: Outcome) -> None:
        """An outcome has arrived and will be settled later: decoding is no longer what it waits for."""
        if outcome.key in self._open:
            self._open[outcome.key].deadline_s = math.inf

    def settle(self, outcome: Outcome) -> bool:
        """An outcome has arrived; False where it is not the utterance's first, or the utterance was abandoned."""
        known = self._open.pop(outcome.key, None)
        if known is None and isinstance(outcome, Heard):
            outcome.buffer.abandon()
        return known is not None

    def expire(self, now_s: float) -> None:
        """Refuse what FFmpeg has chewed on for too long without a sound."""
        for key, waiting in self._open.items():
            if now_s > waiting.deadline_s:
                waiting.deadline_s = math.inf
                waiting.buffer.abandon()
                self._report(Refused(key, SpeechRefusal.TOO_SLOW, "decoding the file takes too long"))

    def abandon(self, stream: str, utterance: str | None = None) -> None:
        """Forget an upload of ``stream``, or all of them."""
        for key in [key for key in self._uploads if key[0] == stream and utterance in (None, key[1])]:
            self._uploads.pop(key).drop()
        for key in [key for key in self._recordings if key[0] == stream and utterance in (None, key[1])]:
            del self._recordings[key]
        for key in [key for key in self._open if key[0] == stream and utterance in (None, key[1])]:
            self._open.pop(key).buffer.abandon()
        self._unwanted = {key for key in self._unwanted if key[0] != stream or utterance not in (None, key[1])}
        if utterance is None:
            self._epochs.pop(stream, None)

    def drop(self, stream: str, utterance: str) -> list[str]:
        """Forget an upload, also what comes of it from now on; its name, if it was arriving."""
        dropped = [name for name in self._arriving(stream) if name == utterance]
        self._drop(stream, dropped)
        return dropped

    def drop_older(self, stream: str, epoch: int) -> list[str]:
        """Forget uploads of ``stream`` from before ``epoch``, also what comes of them from now on; their names."""
        self._epochs[stream] = max(epoch, self._epochs.get(stream, 0))
        dropped = [name for name, begun in self._arriving(stream).items() if begun < epoch]
        self._drop(stream, dropped)
        return dropped

    def _arriving(self, stream: str) -> dict[str, int]:
        """Those whose fate is open, and their epochs."""
        uploads = {key: upload.epoch for key, upload in self._uploads.items() if upload.file is not None}
        decoded = {key: decoding.epoch for key, decoding in self._open.items()}
        return {name: epoch for (of, name), epoch in {**uploads, **decoded}.items() if of == stream}

    def _drop(self, stream: str, utterances: list[str]) -> None:
        going_on = {(stream, name) for name in utterances} & self._uploads.keys()
        for name in utterances:
            self.abandon(stream, name)
        self._unwanted |= going_on


class _Job:
    """One utterance's decoding, in its own thread; what ``decode`` fills."""

    def __init__(
        self,
        key: Key,
        file: tempfile.SpooledTemporaryFile[bytes],
        buffer: SpeechBuffer,
        limits: DecodeLimits,
        report: Callable[[Outcome], None],
    ) -> None:
        self.recording: RecordSpeech | None = None
        self._key, self._file, self._buffer, self._limits, self._report = key, file, buffer, limits, report
        self._seconds: float | None = None
        self._samples = 0
        self._reported = False

    def run_in_turn(self, turn: threading.Semaphore) -> None:
        held = turn.acquire(timeout=TURN_S)
        try:
            self.run()
        finally:
            if held:
                turn.release()

    def run(self) -> None:
        try:
            with self._file as file:
                file.seek(0)
                decode(file, self._limits, self)  # type: ignore[arg-type]  # a spooled file is a BinaryIO but for names
        except NotSpeech as refusal:
            whole = self.recording is not None and refusal.reason is SpeechRefusal.TOO_LONG
            if self._reported or (self._samples > HEAD_SAMPLES and not whole):
                self._end(refusal.detail)
            else:
                self._report(Refused(self._key, refusal.reason, refusal.detail))
        except Abandoned:
            log.debug("%s: nobody waits for the rest", self._key[1], extra=about(self._key))
        except Exception:  # the boundary of a thread that reads hostile bytes
            log.exception("decoding failed", extra=about(self._key))
            if self._reported:
                self._end("decoding the file failed")
            else:
                self._report(Refused(self._key, SpeechRefusal.NOT_AUDIO, "decoding the file failed"))
        else:
            self._end(None)

    def _end(self, error: str | None) -> None:
        self._buffer.finish(error)
        self._seconds = self._samples / AUDIO_HZ
        self._accept()

    def _accept(self) -> None:
        if not self._reported:
            self._reported = True
            self._report(Heard(self._key, self._buffer, self._seconds, self.recording))

    def known(self, seconds: float | None) -> None:
        self._seconds = seconds

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        self._buffer.put(play, analyse)
        self._samples += len(play)
        if self._samples >= HEAD_SAMPLES and self.recording is None:
            self._accept()
