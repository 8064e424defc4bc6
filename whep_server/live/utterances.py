"""The utterances of a stream: uploaded, accepted, started, finished, failed. Pure but for one future each.

Started and finished are told when their media time is played, not when the worker announces them.
"""

import asyncio
import heapq
import math
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from avatar.messages import (
    AUDIO_HZ,
    SpeechAccepted,
    SpeechFinished,
    SpeechRefusal,
    SpeechRefused,
    SpeechStarted,
)
from whep_server.errors import NotSpeech, ServerError, TooLarge, TooMany, Unavailable
from whep_server.live.events import StreamEvent
from whep_server.metrics.facts import UtteranceStats

REFUSALS: Final[dict[SpeechRefusal, type[ServerError]]] = {
    SpeechRefusal.NOT_AUDIO: NotSpeech,
    SpeechRefusal.EMPTY: NotSpeech,
    SpeechRefusal.TOO_SLOW: NotSpeech,
    SpeechRefusal.TOO_LONG: TooLarge,
    SpeechRefusal.TOO_LARGE: TooLarge,
    SpeechRefusal.UNKNOWN_STREAM: Unavailable,
}


ROUNDING: Final = AUDIO_HZ // 2
"""The worker ends an utterance, and begins the next one, within half a second: a breath, and the mouth shut."""


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
    recorded: bool = False
    """Whether chunks are made of it."""
    begins: int | None = None
    """Units: 48 kHz samples on the stream's clock; None before it has started."""
    uploaded_s: float | None = None
    accepted_s: float | None = None
    started_s: float | None = None
    """When it was first heard."""
    pictured_s: float | None = None
    """When viewers were given the first live picture of it."""
    waited: bool = False
    """Whether others were to be spoken before it."""

    @property
    def way(self) -> str:
        """Who says it: a publisher, or a file that is spoken, or recorded."""
        return "published" if self.live else "recorded" if self.recorded else "spoken"

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


Over = Callable[[Entry, str, ServerError | None], None]
"""Told of each entry when it is over: finished, failed, refused or abandoned, and why."""


@dataclass(order=True, slots=True)
class _Later:
    sample: int
    serial: int
    event: StreamEvent = field(compare=False)
    entry: Entry = field(compare=False)
    over: bool = field(compare=False)
    """Whether the entry is over with this event."""
    error: ServerError | None = field(compare=False, default=None)


class Speech:
    """The utterances of one stream, in order."""

    def __init__(self, most: int, over: Over) -> None:
        self.epoch = 0
        """How often speech was interrupted; what is older is no longer played."""
        self._entries: dict[str, Entry] = {}
        self._later: list[_Later] = []
        self._serial = 0
        self._most = most
        self._over = over

    @property
    def queued(self) -> int:
        """Accepted, not yet begun."""
        return sum(entry.stage is Stage.QUEUED for entry in self._entries.values())

    @property
    def pending(self) -> bool:
        """Whether something is yet to be told."""
        return bool(self._later)

    @property
    def speaking(self) -> Entry | None:
        """What is spoken now, or made to be."""
        return next((entry for entry in self._entries.values() if entry.stage in (Stage.STARTED, Stage.FINISHED)), None)

    def open(self) -> Entry:
        """A new utterance.

        Errors: TooMany where as many as may be are waiting already.
        """
        waiting = sum(entry.stage in (Stage.UPLOADED, Stage.QUEUED) for entry in self._entries.values())
        if waiting >= self._most:
            raise TooMany(f"{waiting} utterances are waiting already")
        return self._new(live=False)

    def open_live(self) -> Entry:
        """A publisher's utterance: takes no place in the queue, and nobody waits for its verdict."""
        return self._new(live=True)

    def _new(self, *, live: bool) -> Entry:
        verdict: asyncio.Future[Utterance] = asyncio.get_running_loop().create_future()
        verdict.add_done_callback(lambda done: done.cancelled() or done.exception())  # there may be nobody to await it
        entry = Entry(secrets.token_urlsafe(9), verdict, live=live)
        self._entries[entry.id] = entry
        return entry

    def has(self, entry: Entry) -> bool:
        """Whether an utterance is still on its way."""
        return self._entries.get(entry.id) is entry

    def forget(self, entry: Entry) -> None:
        """The upload broke off, or the utterance was refused."""
        if self._entries.pop(entry.id, None) is not None:
            self._over(entry, "abandoned", None)
        entry.verdict.cancel()

    def accepted(self, message: SpeechAccepted, now_s: float) -> StreamEvent | None:
        """The event to tell; None where the utterance is not known (any more)."""
        entry = self._entries.get(message.utterance)
        if entry is None or entry.stage is not Stage.UPLOADED:
            return None
        ahead = sum(other.stage is not Stage.UPLOADED for other in self._entries.values())
        self._entries[entry.id] = self._entries.pop(entry.id)  # they are spoken in the order of acceptance
        entry.stage, entry.seconds, entry.accepted_s = Stage.QUEUED, message.seconds, now_s
        entry.waited = ahead > 0
        if not entry.verdict.done():
            entry.verdict.set_result(Utterance(entry.id, message.seconds, ahead))
        return speech_event(entry, "queued")

    def refused(self, message: SpeechRefused) -> None:
        """Whoever uploads it learns why."""
        entry = self._entries.pop(message.utterance, None)
        if entry is not None:
            self._lose(entry, "refused", REFUSALS[message.reason](message.detail))

    def started(self, message: SpeechStarted) -> None:
        """To be told when it is heard."""
        entry = self._entries.get(message.utterance)
        if entry is not None:
            entry.stage, entry.begins = Stage.STARTED, message.media_time
            event = speech_event(entry, "started", media_time=message.media_time)
            self._tell_at(message.media_time, event, entry)

    def finished(self, message: SpeechFinished) -> None:
        """To be told when its last sample is heard."""
        entry = self._entries.get(message.utterance)
        if entry is not None:
            entry.stage = Stage.FINISHED
            state = "finished" if message.error is None else "failed"
            event = speech_event(entry, state, message.error, message.media_time)
            self._tell_at(message.media_time, event, entry, over=True, error=broken_off(message))

    def due(self, sample: int, now_s: float) -> list[StreamEvent]:
        """What is heard by now. Units: 48 kHz samples."""
        events = []
        while self._later and self._later[0].sample <= sample:
            later = heapq.heappop(self._later)
            events.append(later.event)
            if not later.over:
                later.entry.started_s = now_s
            elif self._entries.pop(later.entry.id, None) is not None:
                self._over(later.entry, str(later.event.data["state"]), later.error)
        return events

    def pictured(self, sample: int, now_s: float) -> None:
        """Viewers were given the live picture of that time. Units: 48 kHz samples."""
        for entry in self._entries.values():
            if entry.begins is not None and entry.begins <= sample and entry.pictured_s is None:
                entry.pictured_s = now_s

    def ahead(self, begin: int) -> int:
        """Up to which sample the worker may go before its time comes: the end of what is recorded; else 0.

        ``begin`` is where the live stretch starts: a recorded utterance that has not begun may begin there.
        """
        head = next((e for e in self._entries.values() if e.stage in (Stage.QUEUED, Stage.STARTED)), None)
        if head is None or not head.recorded:
            return 0
        if head.begins is None:
            return begin + ROUNDING
        return head.begins + math.ceil((head.seconds or 0.0) * AUDIO_HZ) + ROUNDING

    def fail(self, error: ServerError, heard_until: int, only: list[str] | None = None) -> list[StreamEvent]:
        """The worker lost its utterances (or ``only`` these): those that will not be heard to their end fail.

        Units: ``heard_until`` in 48 kHz samples: up to there everything made is still played.
        """
        done = {later.entry.id for later in self._later if later.over and later.sample <= heard_until}
        named = self._entries.keys() if only is None else only
        lost = [entry for entry in self._entries.values() if entry.id in named and entry.id not in done]
        self._later = [later for later in self._later if later.sample <= heard_until or later.entry not in lost]
        heapq.heapify(self._later)
        events = []
        for entry in lost:
            del self._entries[entry.id]
            if entry.stage is not Stage.UPLOADED:
                events.append(speech_event(entry, "failed", error.detail))
            self._lose(entry, "failed", error)
        return events

    def _lose(self, entry: Entry, state: str, error: ServerError) -> None:
        if not entry.verdict.done():
            entry.verdict.set_exception(error)
        self._over(entry, state, error)

    def _tell_at(
        self, sample: int, event: StreamEvent, entry: Entry, *, over: bool = False, error: ServerError | None = None
    ) -> None:
        self._serial += 1
        heapq.heappush(self._later, _Later(sample, self._serial, event, entry, over, error))


def broken_off(message: SpeechFinished) -> ServerError | None:
    """Why an utterance ended early: its file broke off; None where it did not."""
    return None if message.error is None else NotSpeech(message.error)


def speech_event(entry: Entry, state: str, detail: str | None = None, media_time: int | None = None) -> StreamEvent:
    """An event about an utterance. Units: ``media_time`` in 48 kHz samples."""
    return StreamEvent(
        "speech",
        {
            "utterance": entry.id,
            "state": state,
            "live": entry.live,
            "seconds": entry.seconds,
            "detail": detail,
            "media_time_s": None if media_time is None else media_time / AUDIO_HZ,
        },
    )
