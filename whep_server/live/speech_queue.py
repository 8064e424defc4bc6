"""The utterances of a stream, in order: accepted, started, finished, failed, interrupted. Pure but for a future each.

What happens to them is told when its media time is played, not when the worker announces it. While the worker has yet
to answer an interruption, what it says of later times is void: it did not know.
"""

import asyncio
import math
import secrets
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from avatar.messages import (
    AUDIO_HZ,
    SpeechAccepted,
    SpeechFinished,
    SpeechHeld,
    SpeechMark,
    SpeechRefused,
    SpeechResumed,
    SpeechStarted,
)
from whep_server.errors import Interrupted, ServerError, TooMany
from whep_server.live.events import StreamEvent
from whep_server.live.notices import Notices
from whep_server.live.utterances import (
    REFUSALS,
    Cut,
    CutOff,
    Entry,
    Interruption,
    News,
    Stage,
    Utterance,
    broken_off,
    speech_event,
)
from whep_server.tracing.spans import parent

ROUNDING: Final = AUDIO_HZ // 2
"""The worker ends an utterance, and begins the next one, within half a second: a breath, and the mouth shut."""

Over = Callable[[Entry, str, ServerError | None], None]
"""Told of each entry when it is over: finished, failed, refused, abandoned, interrupted or cancelled, and why."""


class SpeechQueue:
    """The utterances of one stream, in order."""

    def __init__(self, most: int, emit: Callable[[StreamEvent], None], over: Over) -> None:
        """``most`` may wait at once; ``emit`` takes what everybody is told."""
        self.epoch = 0
        """How often speech was interrupted; what is older is no longer played."""
        self._entries: dict[str, Entry] = {}
        self._silenced: dict[str, Entry] = {}  # interrupted, and it is not told yet how far they came
        self._cuts: dict[int, Cut] = {}
        self._notices = Notices()
        self._most = most
        self._emit = emit
        self._over = over

    @property
    def queued(self) -> int:
        """Accepted, not yet begun."""
        return sum(entry.stage is Stage.QUEUED for entry in self._entries.values())

    @property
    def owed(self) -> int:
        """Those that have an end of their own and are not heard up to it: all but a publisher's."""
        return sum(not entry.live for entry in self._entries.values())

    @property
    def pending(self) -> bool:
        """Whether something is yet to be told."""
        return len(self._notices) > 0

    @property
    def busy(self) -> bool:
        """Whether anything is on its way, from the beginning of its upload until its end is heard."""
        return bool(self._entries)

    def remaining_s(self, sample: int) -> float | None:
        """How long it takes from ``sample`` (48 kHz) until all is spoken; None where a length is not known."""
        rest_s = ROUNDING / AUDIO_HZ
        for entry in self._entries.values():
            if entry.seconds is None:
                return None
            passed_s = 0.0 if entry.begins is None else (sample - entry.begins) / AUDIO_HZ
            rest_s += max(0.0, entry.seconds - passed_s)
        return rest_s

    @property
    def speaking(self) -> Entry | None:
        """What is spoken now, or made to be."""
        return next((entry for entry in self._entries.values() if not entry.waits), None)

    def open(self) -> Entry:
        """A new utterance.

        Errors: TooMany where as many as may be are waiting already.
        """
        waiting = sum(entry.waits for entry in self._entries.values())
        if waiting >= self._most:
            raise TooMany(f"{waiting} utterances are waiting already")
        return self._new(live=False)

    def open_live(self) -> Entry:
        """A publisher's utterance: takes no place in the queue, and nobody waits for its verdict."""
        return self._new(live=True)

    def _new(self, *, live: bool) -> Entry:
        loop = asyncio.get_running_loop()
        verdict: asyncio.Future[Utterance] = loop.create_future()
        verdict.add_done_callback(lambda done: done.cancelled() or done.exception())  # there may be nobody to await it
        entry = Entry(secrets.token_urlsafe(9), verdict, live=live, parent=parent(), opened_s=loop.time())
        self._entries[entry.id] = entry
        return entry

    def has(self, entry: Entry) -> bool:
        """Whether an utterance is still on its way, and not interrupted."""
        return self._entries.get(entry.id) is entry

    def forget(self, entry: Entry) -> None:
        """The upload broke off, or the utterance was refused."""
        if self._entries.pop(entry.id, None) is not None:
            self._over(entry, "abandoned", None)
        entry.verdict.cancel()

    # --- what the worker says

    def accepted(self, message: SpeechAccepted, now_s: float) -> bool:
        """It stands in the queue; False where it is not known (any more)."""
        entry = self._entries.get(message.utterance)
        if entry is None or entry.stage is not Stage.UPLOADED:
            return False
        ahead = sum(other.stage is not Stage.UPLOADED for other in self._entries.values())
        self._entries[entry.id] = self._entries.pop(entry.id)  # they are spoken in the order of acceptance
        entry.stage, entry.seconds, entry.accepted_s = Stage.QUEUED, message.seconds, now_s
        entry.waited = ahead > 0
        if not entry.verdict.done():
            entry.verdict.set_result(Utterance(entry.id, message.seconds, ahead))
        self._tell(entry, News("queued"))
        return True

    def refused(self, message: SpeechRefused) -> None:
        """Whoever uploads it learns why."""
        entry = self._entries.pop(message.utterance, None)
        if entry is not None:
            self._lose(entry, "refused", REFUSALS[message.reason](message.detail))

    def knows(self, utterance: str) -> bool:
        """Whether an utterance is on its way, or was a moment ago."""
        return self._known(utterance) is not None

    def started(self, message: SpeechStarted) -> None:
        """To be told when it is heard."""
        entry = self._known(message.utterance)
        if entry is not None and not self._void(message.media_time + 1):  # nobody starts where an interruption is
            entry.stage, entry.begins = Stage.STARTED, message.media_time
            self._notices.put(message.media_time, entry, News("started", message.media_time, 0))

    def finished(self, message: SpeechFinished) -> None:
        """To be told when its last sample is heard."""
        entry = self._known(message.utterance)
        if entry is None or self._void(message.media_time):
            return
        entry.stage = Stage.FINISHED
        if entry.maker is not None:
            entry.seconds = message.samples / AUDIO_HZ
        detail = message.error or entry.broken_off
        news = News("failed" if detail else "finished", message.media_time, message.samples, detail)
        self._notices.put(message.media_time, entry, news, over=True, error=broken_off(message))

    def passed(self, message: SpeechMark | SpeechHeld | SpeechResumed) -> None:
        """A mark, a pause or its end: to be told when it is heard."""
        entry = self._known(message.utterance)
        if entry is None or self._void(message.media_time):
            return
        at, samples = message.media_time, message.samples
        match message:
            case SpeechMark():
                news = News("mark", at, samples, name=message.name)
            case SpeechHeld():
                news = News("underrun", at, samples)
            case _:
                news = News("resumed", at, samples)
        self._notices.put(at, entry, news)

    def _known(self, utterance: str) -> Entry | None:
        return self._entries.get(utterance) or self._silenced.get(utterance)

    def _void(self, media_time: int) -> bool:
        """Whether the worker speaks of a time that, as it does not know yet, is interrupted."""
        return any(media_time > cut.at for cut in self._cuts.values())

    # --- what is played

    def due(self, sample: int, now_s: float) -> None:
        """Tell what is heard by now. Units: 48 kHz samples."""
        for notice in self._notices.due(sample):
            entry = notice.entry
            if notice.news.state == "started":
                entry.started_s = now_s
            if notice.over and self._entries.pop(entry.id, None) is None and self._silenced.pop(entry.id, None) is None:
                continue
            self._tell(entry, notice.news)
            if notice.over:
                self._over(entry, notice.news.state, notice.error)

    def pictured(self, sample: int, now_s: float) -> None:
        """Viewers were given the live picture of that time. Units: 48 kHz samples."""
        for entry in self._entries.values():
            if entry.begins is not None and entry.begins <= sample and entry.pictured_s is None:
                entry.pictured_s = now_s

    def ahead(self, begin: int) -> int:
        """Up to which sample the worker may go before its time comes: the end of what is recorded; else 0.

        ``begin`` is where the live stretch starts: a recorded utterance that has not begun may begin there. Nothing is
        made ahead where somebody streams speech in, which is not there before its time.
        """
        head = next((e for e in self._entries.values() if e.stage in (Stage.QUEUED, Stage.STARTED)), None)
        if head is None or not head.recorded or any(entry.maker for entry in self._entries.values()):
            return 0
        if head.begins is None:
            return begin + ROUNDING
        return head.begins + math.ceil((head.seconds or 0.0) * AUDIO_HZ) + ROUNDING

    # --- interruption

    def on_the_way(self, at: int) -> list[Entry]:
        """Those that will not be heard to their end before ``at``."""
        return [entry for entry in self._entries.values() if not self._heard_out(entry, at)]

    def _heard_out(self, entry: Entry, at: int) -> bool:
        end = self._notices.ends(entry)
        return end is not None and end <= at

    def cut(self, at: int, entries: Iterable[Entry], reason: str) -> Cut:
        """Nothing of ``entries`` is heard from ``at`` on; how far they came is settled later.

        What others were to say from then on, the worker says anew.
        """
        self.epoch += 1
        cut = self._cuts[self.epoch] = Cut(self.epoch, at, tuple(entries), reason)
        for entry in cut.entries:
            self._silence(entry, cut)
        for entry in self._entries.values():
            self._take_back(entry, at)
        return cut

    def _silence(self, entry: Entry, cut: Cut) -> None:
        self._silenced[entry.id] = self._entries.pop(entry.id)
        self._refuse(entry, Interrupted(cut.reason))
        self._notices.forget(entry, cut.at)

    def _take_back(self, entry: Entry, at: int) -> None:
        """What the worker said of an utterance that goes on holds up to ``at``."""
        if entry.begins is not None and entry.begins >= at:
            self._notices.forget(entry)
            entry.stage, entry.begins = Stage.QUEUED, None
            return
        self._notices.forget(entry, at)
        if entry.stage is Stage.FINISHED and self._notices.ends(entry) is None:
            entry.stage = Stage.STARTED

    def settle(self, cut: Cut, answer: CutOff | None) -> Interruption:
        """How far those came that an interruption ended: as the worker says, or as far as they can have come."""
        del self._cuts[cut.epoch]
        others = [] if answer is None else [self._entries[name] for name in answer.ended if name in self._entries]
        for entry in others:  # their turn had come when the interruption arrived
            self._silence(entry, cut)
        played, dropped = Interruption(), []
        for entry in (*cut.entries, *others):
            if self._silenced.get(entry.id) is not entry or self._notices.ends(entry) is not None:
                continue  # it came to its end after all
            if answer is not None and entry.id == answer.utterance and answer.samples:
                end, heard = answer.media_time, answer.samples
            else:
                end, heard = cut.at, 0 if entry.begins is None else max(0, cut.at - entry.begins)
            if heard:
                played = Interruption(entry.id, heard)
                news = News("interrupted", end, heard, str(entry.error))
                self._notices.put(end, entry, news, over=True, error=entry.error)
            else:
                self._notices.forget(entry)
                self._cancelled(self._silenced.pop(entry.id))
                dropped.append(entry.id)
        return replace(played, dropped=tuple(dropped))

    def cancel(self, entries: Iterable[Entry], reason: str) -> Interruption:
        """These, which have not begun, are not spoken."""
        dropped = list(entries)
        for entry in dropped:
            del self._entries[entry.id]
            self._refuse(entry, Interrupted(reason))
            self._cancelled(entry)
        return Interruption(dropped=tuple(entry.id for entry in dropped))

    def _cancelled(self, entry: Entry) -> None:
        self._tell(entry, News("cancelled", samples=0, detail=str(entry.error)))
        self._over(entry, "cancelled", entry.error)

    # --- failure

    def fail(self, error: ServerError, heard_until: int, only: list[str] | None = None) -> None:
        """The worker lost its utterances (or ``only`` these): those that will not be heard to their end fail.

        Units: ``heard_until`` in 48 kHz samples: up to there everything made is still played.
        """
        for entry in self.on_the_way(heard_until):
            if only is None or entry.id in only:
                self._notices.forget(entry)
                del self._entries[entry.id]
                self._lose(entry, "failed", error)

    def close(self, error: ServerError, now_s: float) -> None:
        """Nothing is played any more: what is on its way fails, what was interrupted is over now."""
        self.fail(error, 0)
        self.due(sys.maxsize, now_s)

    def _lose(self, entry: Entry, state: str, error: ServerError) -> None:
        self._refuse(entry, error)
        news = News("failed", detail=error.detail)
        if entry.stage is not Stage.UPLOADED:
            self._tell(entry, news)
        elif entry.maker is not None:
            entry.maker.told(news)
        self._over(entry, state, error)

    def _refuse(self, entry: Entry, error: ServerError) -> None:
        entry.error = error
        if entry.maker is not None:
            entry.maker.stopped()
        if not entry.verdict.done():
            entry.verdict.set_exception(error)

    def _tell(self, entry: Entry, news: News) -> None:
        if entry.maker is not None:
            entry.maker.told(news)
        if news.state != "mark":  # what it means is known to who set it
            self._emit(speech_event(entry, news))
