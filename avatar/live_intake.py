"""Live utterances on their way in: a publisher's packets to its source on the stream's timeline. For one thread."""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass

from avatar.intake import Key, about
from avatar.listener import Listener
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
    VoiceHeard,
)
from avatar.pipeline import Pipeline

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Publisher:
    """Who speaks, or is only listened to and has no source."""

    source: LiveSource | None
    listener: Listener | None
    """Hears a voice before its turn; where there is a source, until it has heard one."""
    barges_in: bool


class LiveIntake:
    """All publishers of a worker."""

    def __init__(self, send: Callable[[FromWorker], None]) -> None:
        self._send = send
        self._publishers: dict[Key, _Publisher] = {}

    def take(self, message: OpenLive | LivePacket | CloseLive, stream: Pipeline | None) -> None:
        """Act on a message about ``stream``, which may not be known."""
        key = (message.stream, message.utterance)
        match message:
            case OpenLive():
                self._open(message, stream)
            case LivePacket() if key in self._publishers and stream is not None:
                self._put(message, self._publishers[key], stream)
            case CloseLive() if key in self._publishers:
                self._close(key)
            case _:
                return

    def _open(self, message: OpenLive, stream: Pipeline | None) -> None:
        self.forget_abandoned()
        key = (message.stream, message.utterance)
        if stream is None:
            detail = f"no stream {message.stream!r} here"
            self._send(SpeechRefused(*key, SpeechRefusal.UNKNOWN_STREAM, detail))
        elif key not in self._publishers:
            source = None if message.listens else LiveSource(AUDIO_HZ // stream.format.fps)
            listener = Listener() if message.listens or message.barges_in else None
            self._publishers[key] = _Publisher(source, listener, message.barges_in)
            stream.raise_epoch(message.epoch)
            if source is not None:
                stream.enqueue(message.utterance, source)
            self._send(SpeechAccepted(*key, None))

    def _put(self, packet: LivePacket, publisher: _Publisher, stream: Pipeline) -> None:
        source, listener = publisher.source, publisher.listener
        before_its_turn = source is None or stream.timeline.waits(packet.utterance)
        if listener is not None and before_its_turn and listener.hear(packet.sequence, packet.data):
            self._send(VoiceHeard(packet.stream, packet.utterance))
            if source is not None:
                publisher.listener = None
        if source is not None:
            source.put(packet.sequence, packet.rtp_time, packet.data, stream.owed)

    def _close(self, key: Key) -> None:
        source = self._publishers.pop(key).source
        if source is not None:
            source.close()
            counts = ", ".join(f"{name} {count}" for name, count in asdict(source.counts).items() if count)
            log.info("stream %s: the publisher of %s went: %s", *key, counts or "it sent nothing", extra=about(key))

    def outlasts(self, stream: str, utterance: str) -> bool:
        """Whether an utterance stays when all is interrupted: it barges in, and that is what it waits for."""
        publisher = self._publishers.get((stream, utterance))
        return (
            publisher is not None
            and publisher.barges_in
            and publisher.source is not None
            and not publisher.source.begun
        )

    def drop(self, stream: str, utterance: str | None = None) -> None:
        """Forget one publisher of ``stream``, or all, whose utterance is not on the timeline."""
        for key in [key for key in self._publishers if key[0] == stream and utterance in (None, key[1])]:
            if self._publishers[key].source is None:
                del self._publishers[key]
        self.forget_abandoned()

    def forget_abandoned(self) -> None:
        """Let go of what no timeline wants any more."""
        self._publishers = {
            key: publisher
            for key, publisher in self._publishers.items()
            if publisher.source is None or not publisher.source.abandoned
        }
