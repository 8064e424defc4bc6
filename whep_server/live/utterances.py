"""What is known of one utterance on its way: an upload, a publisher's voice, or speech that is streamed in. Pure."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from avatar.messages import AUDIO_HZ, SpeechFinished, SpeechRefusal
from whep_server.errors import NotSpeech, ServerError, TooLarge, Unavailable
from whep_server.live.events import StreamEvent
from whep_server.metrics.facts import UtteranceStats
from whep_server.tracing.spans import Carrier

REFUSALS: Final[dict[SpeechRefusal, type[ServerError]]] = {
    SpeechRefusal.NOT_AUDIO: NotSpeech,
    SpeechRefusal.EMPTY: NotSpeech,
    SpeechRefusal.TOO_SLOW: NotSpeech,
    SpeechRefusal.TOO_LONG: TooLarge,
    SpeechRefusal.TOO_LARGE: TooLarge,
    SpeechRefusal.UNKNOWN_STREAM: Unavailable,
}


class Stage(StrEnum):
    """How far an utterance has come."""

    UPLOADED = "uploaded"
    QUEUED = "queued"
    STARTED = "started"
    FINISHED = "finished"
    """The worker has made all of it; it may still be playing."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """An utterance that was accepted."""

    id: str
    seconds: float | None
    """Its length, as far as it is known."""
    queued: int
    """How many utterances are to be spoken before it."""


@dataclass(frozen=True, slots=True)
class Interruption:
    """What an interruption did."""

    utterance: str | None = None
    """The one that was cut off; None where nothing was being spoken."""
    played_samples: int = 0
    """How much of it was played in all, its fading end included. Units: 48 kHz samples."""
    dropped: tuple[str, ...] = ()
    """Utterances that waited, or were arriving, and will not be spoken."""


@dataclass(frozen=True, slots=True)
class News:
    """What has become of an utterance."""

    state: str
    """queued; started, underrun, resumed, mark; or the last one: finished, failed, interrupted, cancelled."""
    media_time: int | None = None
    """When it is, or was, played. Units: 48 kHz samples on the stream's clock."""
    samples: int | None = None
    """How many samples of the utterance are played by then. Units: 48 kHz."""
    detail: str | None = None
    name: str = ""
    """Of a mark."""

    @property
    def media_time_s(self) -> float | None:
        """In seconds."""
        return None if self.media_time is None else self.media_time / AUDIO_HZ


class Maker(Protocol):
    """Who streams an utterance in (``pcm_speech.PcmSpeech``), and is told of it before everybody else."""

    def told(self, news: News) -> None:
        """What has become of it."""
        ...

    def stopped(self) -> None:
        """Nothing further of it is taken: ``Entry.error`` says why."""
        ...


@dataclass(slots=True, eq=False)
class Entry:
    """An utterance on its way."""

    id: str
    verdict: "asyncio.Future[Utterance]"
    """The utterance, or the ServerError that refuses it."""
    stage: Stage = Stage.UPLOADED
    seconds: float | None = None
    live: bool = False
    """Whether a publisher says it."""
    barges_in: bool = False
    """Whether that publisher's voice interrupts what is spoken before its turn."""
    recorded: bool = False
    """Whether chunks are made of it."""
    maker: Maker | None = None
    """Who streams it in."""
    broken_off: str | None = None
    """Why it is not whole, though it is spoken to the end that it has."""
    error: ServerError | None = None
    """Why nothing further of it is taken or spoken."""
    begins: int | None = None
    """Units: 48 kHz samples on the stream's clock; None before it has started."""
    parent: Carrier = field(default_factory=dict)
    """Of the request that speaks it, where that is part of a trace."""
    opened_s: float = 0.0
    """When that came."""
    uploaded_s: float | None = None
    """When all of it was there; of one that is streamed in, its first samples."""
    accepted_s: float | None = None
    started_s: float | None = None
    """When it was first heard."""
    pictured_s: float | None = None
    """When viewers were given the first live picture of it."""
    waited: bool = False
    """Whether others were to be spoken before it."""

    @property
    def way(self) -> str:
        """Who says it: a publisher, who streams it in, or a file that is spoken, or recorded."""
        if self.live:
            return "published"
        if self.maker is not None:
            return "streamed"
        return "recorded" if self.recorded else "spoken"

    @property
    def waits(self) -> bool:
        """Whether it has not begun."""
        return self.stage in (Stage.UPLOADED, Stage.QUEUED)

    @property
    def outlasts(self) -> bool:
        """Whether it stays when all is interrupted: its turn has come then (``avatar.messages.Interrupt``)."""
        return self.barges_in and self.waits

    def stats(self, state: str) -> UtteranceStats:
        """As of now."""
        return UtteranceStats(
            state,
            self.seconds,
            self.waited,
            accepted_s=self._after_upload(self.accepted_s),
            started_s=self._after_upload(self.started_s),
            pictured_s=self._after_upload(self.pictured_s),
        )

    def _after_upload(self, at_s: float | None) -> float | None:
        return None if at_s is None or self.uploaded_s is None else max(0.0, at_s - self.uploaded_s)


@dataclass(frozen=True, slots=True)
class Cut:
    """An interruption that the worker has yet to answer."""

    epoch: int
    at: int
    """Units: 48 kHz samples on the stream's clock."""
    entries: tuple[Entry, ...]
    """Those that it ends."""
    reason: str


@dataclass(frozen=True, slots=True)
class CutOff:
    """What the worker says of an interruption. Units: 48 kHz samples."""

    utterance: str | None
    """The one that was cut off."""
    media_time: int
    samples: int
    """How many of it are played."""
    dropped: Sequence[str]
    """Those that had not started."""

    @property
    def ended(self) -> list[str]:
        """All of them."""
        return [*([] if self.utterance is None else [self.utterance]), *self.dropped]


def broken_off(message: SpeechFinished) -> ServerError | None:
    """Why an utterance ended early: its file broke off; None where it did not."""
    return None if message.error is None else NotSpeech(message.error)


def speech_event(entry: Entry, news: News) -> StreamEvent:
    """What everybody is told of an utterance."""
    return StreamEvent(
        "speech",
        {
            "utterance": entry.id,
            "state": news.state,
            "live": entry.live,
            "seconds": entry.seconds,
            "detail": news.detail,
            "media_time_s": news.media_time_s,
            "played_s": None if news.samples is None else news.samples / AUDIO_HZ,
        },
    )
