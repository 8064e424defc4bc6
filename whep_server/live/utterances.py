"""The utterances of a stream: uploaded, accepted, started, finished, failed. Pure but for one future each.

Started and finished are told when their media time is played, not when the worker announces them.
"""

import asyncio
import heapq
import secrets
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
from whep_server.errors import NotSpeech, ServerError, TooLarge, TooMany, Unavailable, WorkerLost
from whep_server.live.events import StreamEvent

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


@dataclass(order=True, slots=True)
class _Later:
    sample: int
    serial: int
    event: StreamEvent = field(compare=False)
    entry: Entry | None = field(compare=False)
    """The entry that is over with this event."""


class Speech:
    """The utterances of one stream, in order."""

    def __init__(self, most: int) -> None:
        self.epoch = 0
        """How often speech was interrupted; what is older is no longer played."""
        self._entries: dict[str, Entry] = {}
        self._later: list[_Later] = []
        self._serial = 0
        self._most = most

    @property
    def queued(self) -> int:
        """Accepted, not yet begun."""
        return sum(entry.stage is Stage.QUEUED for entry in self._entries.values())

    @property
    def pending(self) -> bool:
        """Whether something is yet to be told."""
        return bool(self._later)

    def open(self) -> Entry:
        """A new utterance.

        Errors: TooMany where as many as may be are waiting already.
        """
        waiting = sum(entry.stage in (Stage.UPLOADED, Stage.QUEUED) for entry in self._entries.values())
        if waiting >= self._most:
            raise TooMany(f"{waiting} utterances are waiting already")
        verdict: asyncio.Future[Utterance] = asyncio.get_running_loop().create_future()
        entry = Entry(secrets.token_urlsafe(9), verdict)
        self._entries[entry.id] = entry
        return entry

    def open_live(self) -> Entry:
        """A publisher's utterance: takes no place in the queue, and nobody waits for its verdict."""
        verdict: asyncio.Future[Utterance] = asyncio.get_running_loop().create_future()
        verdict.add_done_callback(lambda done: done.cancelled() or done.exception())
        entry = Entry(secrets.token_urlsafe(9), verdict, live=True)
        self._entries[entry.id] = entry
        return entry

    def has(self, entry: Entry) -> bool:
        """Whether an utterance is still on its way."""
        return self._entries.get(entry.id) is entry

    def forget(self, entry: Entry) -> None:
        """The upload broke off, or the utterance was refused."""
        self._entries.pop(entry.id, None)
        entry.verdict.cancel()

    def accepted(self, message: SpeechAccepted) -> StreamEvent | None:
        """The event to tell; None where the utterance is not known (any more)."""
        entry = self._entries.get(message.utterance)
        if entry is None or entry.stage is not Stage.UPLOADED:
            return None
        ahead = sum(other.stage in (Stage.QUEUED, Stage.STARTED) for other in self._entries.values())
        entry.stage, entry.seconds = Stage.QUEUED, message.seconds
        if not entry.verdict.done():
            entry.verdict.set_result(Utterance(entry.id, message.seconds, ahead))
        return speech_event(entry, "queued")

    def refused(self, message: SpeechRefused) -> None:
        """Whoever uploads it learns why."""
        entry = self._entries.pop(message.utterance, None)
        if entry is not None and not entry.verdict.done():
            entry.verdict.set_exception(REFUSALS[message.reason](message.detail))

    def started(self, message: SpeechStarted) -> None:
        """To be told when it is heard."""
        entry = self._entries.get(message.utterance)
        if entry is not None:
            entry.stage = Stage.STARTED
            self._tell_at(message.media_time, speech_event(entry, "started", media_time=message.media_time), None)

    def finished(self, message: SpeechFinished) -> None:
        """To be told when its last sample is heard."""
        entry = self._entries.get(message.utterance)
        if entry is not None:
            entry.stage = Stage.FINISHED
            state = "finished" if message.error is None else "failed"
            event = speech_event(entry, state, message.error, message.media_time)
            self._tell_at(message.media_time, event, entry)

    def due(self, sample: int) -> list[StreamEvent]:
        """What is heard by now. Units: 48 kHz samples."""
        events = []
        while self._later and self._later[0].sample <= sample:
            later = heapq.heappop(self._later)
            events.append(later.event)
            if later.entry is not None:
                self._entries.pop(later.entry.id, None)
        return events

    def fail(self, detail: str, heard_until: int, only: list[str] | None = None) -> list[StreamEvent]:
        """The worker lost its utterances (or ``only`` these): those that will not be heard to their end fail.

        Units: ``heard_until`` in 48 kHz samples: up to there everything made is still played.
        """
        done = {later.entry.id for later in self._later if later.entry is not None and later.sample <= heard_until}
        named = self._entries.keys() if only is None else only
        lost = [entry for entry in self._entries.values() if entry.id in named and entry.id not in done]
        self._later = [later for later in self._later if later.sample <= heard_until]
        heapq.heapify(self._later)
        events = []
        for entry in lost:
            del self._entries[entry.id]
            if entry.stage is not Stage.UPLOADED:
                events.append(speech_event(entry, "failed", detail))
            elif not entry.verdict.done():
                entry.verdict.set_exception(WorkerLost(detail))
        return events

    def _tell_at(self, sample: int, event: StreamEvent, entry: Entry | None) -> None:
        self._serial += 1
        heapq.heappush(self._later, _Later(sample, self._serial, event, entry))


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
