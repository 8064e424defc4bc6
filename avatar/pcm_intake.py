"""Utterances that are spoken while they are made, on their way in: samples to their source on the stream's timeline.

Each is accepted, and queued, when there is enough of it to begin with. A stretch that begins takes the first frame and
what the engine looks ahead at once (``Pipeline.head_start``). What must be left is ``OpenPcm.start_ms`` without that
frame; or what keeps it from running dry at once (``pcm_source.reserve``), where this is more. For one thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from avatar.messages import (
    AUDIO_HZ,
    ClosePcm,
    FromWorker,
    OpenPcm,
    PcmChunk,
    PcmMark,
    PcmTaken,
    SpeechAccepted,
    SpeechRefusal,
    SpeechRefused,
    WorkerConfig,
)
from avatar.pcm_source import PcmSource, reserve
from avatar.pipeline import Pipeline

Key = tuple[str, str]
"""Stream and utterance."""


@dataclass(slots=True)
class _Arriving:
    """An utterance that is not whole."""

    epoch: int
    start: int
    """Units: 48 kHz samples."""
    source: PcmSource
    accepted: bool = False


class PcmIntake:
    """All such utterances of a worker."""

    def __init__(self, config: WorkerConfig, send: Callable[[FromWorker], None]) -> None:
        self._config, self._send = config, send
        self._arriving: dict[Key, _Arriving] = {}

    def take(
        self, message: OpenPcm | PcmChunk | PcmMark | ClosePcm, stream: Pipeline | None, *, opening: bool = False
    ) -> None:
        """Act on a message about ``stream``, which may not be known, or only be about to be (``opening``)."""
        key = (message.stream, message.utterance)
        if isinstance(message, OpenPcm):
            self._open(key, message, known=stream is not None or opening)
            if stream is not None:
                stream.raise_epoch(message.epoch)
        elif key in self._arriving:
            self._go_on(message, self._arriving[key].source)
        self._consider(key, stream)

    def _open(self, key: Key, opened: OpenPcm, *, known: bool) -> None:
        self._forget_ended()
        if not known:
            detail = f"no stream {opened.stream!r} here"
            self._send(SpeechRefused(*key, SpeechRefusal.UNKNOWN_STREAM, detail))
        elif key not in self._arriving:
            try:
                source = PcmSource(
                    opened.sample_rate,
                    opened.channels,
                    max_s=self._config.max_speech_s,
                    patience_s=self._config.pcm_gap_s,
                    taken=partial(self._taken, key),
                )
            except ValueError as error:
                self._send(SpeechRefused(*key, SpeechRefusal.NOT_AUDIO, str(error)))
                return
            self._arriving[key] = _Arriving(opened.epoch, opened.start_ms * AUDIO_HZ // 1000, source)

    def _taken(self, key: Key, size: int) -> None:
        self._send(PcmTaken(*key, size))

    def _go_on(self, message: PcmChunk | PcmMark | ClosePcm, source: PcmSource) -> None:
        match message:
            case PcmChunk():
                source.put(message.data)
            case PcmMark():
                source.mark(message.name)
            case ClosePcm():
                source.close()

    def _consider(self, key: Key, stream: Pipeline | None) -> None:
        """Accept or refuse an utterance where its fate is open and can be told; forget it where it is whole."""
        utterance = self._arriving.get(key)
        if utterance is None or stream is None:
            return
        source = utterance.source
        if not utterance.accepted and not source.abandoned:
            frame = AUDIO_HZ // stream.format.fps
            source.enough = max(utterance.start - frame, reserve(frame))
            if source.ended and not source.received:
                self._send(SpeechRefused(*key, SpeechRefusal.EMPTY, "it has no samples"))
            elif source.ended or source.waiting >= source.enough + (0 if stream.live else stream.head_start):
                utterance.accepted = True
                stream.enqueue(key[1], source)
                self._send(SpeechAccepted(*key, source.received / AUDIO_HZ if source.ended else None))
        if source.ended:
            del self._arriving[key]

    def opened(self, stream: Pipeline) -> None:
        """A stream that was being opened is there: what came for it meanwhile is looked at."""
        for key in [key for key in self._arriving if key[0] == stream.name]:
            self._consider(key, stream)

    def drop(self, stream: str, utterance: str | None = None) -> list[str]:
        """Forget one utterance of ``stream``, or all, where they were not accepted; their names.

        What was accepted is the timeline's: it is forgotten here when it is abandoned there.
        """
        return self._drop(stream, lambda name, arriving: utterance in (None, name))

    def drop_older(self, stream: str, epoch: int) -> list[str]:
        """Forget those of ``stream`` from before ``epoch`` that were not accepted; their names."""
        return self._drop(stream, lambda name, arriving: arriving.epoch < epoch)

    def _drop(self, stream: str, chosen: Callable[[str, _Arriving], bool]) -> list[str]:
        dropped = [
            key
            for key, arriving in self._arriving.items()
            if key[0] == stream and not arriving.accepted and chosen(key[1], arriving)
        ]
        for key in dropped:
            self._arriving.pop(key).source.abandon()
        return [utterance for _, utterance in dropped]

    def _forget_ended(self) -> None:
        """Let go of what nobody wants any more."""
        self._arriving = {key: arriving for key, arriving in self._arriving.items() if not arriving.source.ended}
