"""Live utterances on their way in: a publisher's packets to its source on the stream's timeline. For one thread."""

import logging
from collections.abc import Callable
from dataclasses import asdict

from avatar.live_source import LiveSource
from avatar.messages import (
    AUDIO_HZ,
    CloseLive,
    FromWorker,
    LivePacket,
    OpenLive,
    SpeechAccepted,
    SpeechRefusal,
    SpeechRefused,
)
from avatar.pipeline import Pipeline

log = logging.getLogger(__name__)


class LiveIntake:
    """All publishers of a worker."""

    def __init__(self, send: Callable[[FromWorker], None]) -> None:
        self._send = send
        self._sources: dict[tuple[str, str], LiveSource] = {}

    def take(self, message: OpenLive | LivePacket | CloseLive, stream: Pipeline | None) -> None:
        """Act on a message about ``stream``, which may not be known."""
        key = (message.stream, message.utterance)
        match message:
            case OpenLive():
                self._open(message, stream)
            case LivePacket() if key in self._sources and stream is not None:
                self._sources[key].put(message.sequence, message.rtp_time, message.data, stream.owed)
            case CloseLive() if key in self._sources:
                self._close(key)
            case _:
                return

    def _open(self, message: OpenLive, stream: Pipeline | None) -> None:
        self.forget_abandoned()
        key = (message.stream, message.utterance)
        if stream is None:
            detail = f"no stream {message.stream!r} here"
            self._send(SpeechRefused(*key, SpeechRefusal.UNKNOWN_STREAM, detail))
        elif key not in self._sources:
            source = self._sources[key] = LiveSource(AUDIO_HZ // stream.format.fps)
            stream.epoch = message.epoch
            stream.enqueue(message.utterance, source)
            self._send(SpeechAccepted(*key, None))

    def _close(self, key: tuple[str, str]) -> None:
        source = self._sources.pop(key)
        source.close()
        counts = ", ".join(f"{name} {count}" for name, count in asdict(source.counts).items() if count)
        log.info("stream %s: the publisher of %s went: %s", *key, counts or "it sent nothing")

    def forget_abandoned(self) -> None:
        """Let go of what no timeline wants any more."""
        self._sources = {key: source for key, source in self._sources.items() if not source.abandoned}
