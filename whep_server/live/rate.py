"""Which rendition the way to a viewer can carry. Pure: the viewer's feedback and the time go in, a rung comes out.

Down, where the way carries less than what is sent: the viewer's REMB fell far below it, or packets are lost, or round
trips grow; at once to the rung that fits. A REMB that is low and never fell says nothing: receivers let it grow by 8 %
a second to 1.5 times what they get, so that it lags behind speech after a cheap idle loop.

Up, one rung at a time, after calm. For the same reason a REMB seldom shows room for a larger rendition before it is
sent, so that it is tried; the next try after one that failed waits twice as long.

Bitrates are of payloads, as REMB's are (draft-alvestrand-rmcat-remb).
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from whep_server.rtc.sender import Feedback

SOUND_BPS: Final = 50_000
"""What is sent beside the pictures."""
FITS: Final = 0.9
"""Of a rung's bitrate: a REMB below it does not carry it."""
SHORT: Final = 0.75
"""Of what is sent: a REMB below it is too little. A keyframe alone can make it fall to 0.85 of what arrives."""
SHORT_S: Final = 1.0
"""A REMB must be too little for so long: where more is sent than before, it may lag behind."""
FELL: Final = 0.97
"""A REMB this far below the one before it fell: the viewer has seen a queue."""
FELL_S: Final = 10.0
"""For so long after it fell, a REMB that is too little is believed."""
SENT_S: Final = 3.0
"""What is sent is looked at over so long: a keyframe takes its share of a second."""
LOSSY: Final = 0.1
LOSSY_S: Final = 2.0
"""Loss may be higher than that for so long."""
VERY_LOSSY: Final = 0.5
"""Loss that no other report need confirm."""
LATE_S: Final = 0.5
"""Round trips that are longer than the shortest one by that: a queue is filling."""
SETTLE_S: Final = 2.0
"""What is reported so soon after a change is about the time before it."""
CALM_S: Final = 5.0
CALM_LOSS: Final = 0.05
"""Radio links lose that much whatever is sent."""
ROOM: Final = 1.2
"""Of what is sent: with a REMB below it, a try has little hope."""
FIRST_TRY_S: Final = 10.0
LAST_TRY_S: Final = 120.0
USED: Final = 0.5
"""Of a rung's bitrate: what was tried is proven where so much was sent for as long as the next try waits at least."""
STALE_S: Final = 10.0
"""Who reports more seldom is tried with nothing."""


class RateChooser:
    """One viewer's rung. Begins at the best: most have the room, and who has not says so within a second or two."""

    def __init__(self, bitrates_bps: Sequence[int]) -> None:
        """``bitrates_bps``: the most that each rung of the ladder takes, best first."""
        self.rung = 0
        self._bitrates_bps = bitrates_bps
        self._reports = 0
        self._heard_s = -STALE_S
        self._sent: deque[tuple[float, float]] = deque()
        self._losses: deque[tuple[float, float]] = deque()
        self._remb_bps: int | None = None
        self._shortest_trip_s: float | None = None
        self._fell_s: float | None = None
        self._short_since_s: float | None = None
        self._lossy_since_s: float | None = None
        self._late_since_s: float | None = None
        self._changed_s: float | None = None
        self._uneasy_s = 0.0
        """When something last spoke against more."""
        self._proving = False
        """Whether the rung was tried and is yet to be proven."""
        self._wait_s = FIRST_TRY_S

    def choose(self, feedback: Feedback, now_s: float) -> int:
        """The rung from now on; to be called once a second or more often."""
        _note(self._sent, now_s, feedback.sent_bps, SENT_S)
        needs_bps = self._needs_bps()
        news = feedback.reports > self._reports
        if news:
            self._reports, self._heard_s = feedback.reports, now_s
            self._hear(feedback, needs_bps, now_s)
        carried_bps = self._carried_bps(feedback, needs_bps, now_s, news=news)
        if carried_bps is not None or _mean(self._losses) > CALM_LOSS:
            self._uneasy_s = now_s
        if carried_bps is None:
            self._think_of_more(feedback, needs_bps, now_s)
        elif self._changed_s is None or now_s - self._changed_s >= SETTLE_S:
            self._go_down(carried_bps, now_s)
        return self.rung

    def _needs_bps(self) -> float:
        """What the rung takes: an idle loop may take far less than speech."""
        return min(_mean(self._sent), self._bitrates_bps[self.rung])

    def _hear(self, feedback: Feedback, needs_bps: float, now_s: float) -> None:
        """Take in a report."""
        lost, remb_bps, trip_s = feedback.fraction_lost, feedback.remb_bps, feedback.round_trip_s
        _note(self._losses, now_s, lost or 0.0, CALM_S)
        self._lossy_since_s = _since(self._lossy_since_s, (lost or 0.0) > LOSSY, now_s)
        if remb_bps is not None:
            first = self._remb_bps is None
            if remb_bps < (SHORT * needs_bps if first else FELL * (self._remb_bps or 0)):
                self._fell_s = now_s
            self._remb_bps = remb_bps
            self._short_since_s = _since(self._short_since_s, remb_bps < SHORT * needs_bps, now_s)
        if trip_s is not None:
            self._shortest_trip_s = min(trip_s, self._shortest_trip_s or trip_s)
            self._late_since_s = _since(self._late_since_s, trip_s > self._shortest_trip_s + LATE_S, now_s)

    # --- down

    def _carried_bps(self, feedback: Feedback, needs_bps: float, now_s: float, *, news: bool) -> float | None:
        """What the way carries, where that is too little; None where it is enough for all that is known."""
        found: list[float] = []
        lost, remb_bps = feedback.fraction_lost or 0.0, feedback.remb_bps
        if _lasts(self._lossy_since_s, LOSSY_S, now_s) or (news and lost > VERY_LOSSY):
            found.append(needs_bps * (1 - lost))
        if _lasts(self._late_since_s, LOSSY_S, now_s):
            found.append(needs_bps)
        fell = self._fell_s is not None and now_s - self._fell_s <= FELL_S
        if remb_bps is not None and fell and _lasts(self._short_since_s, SHORT_S, now_s):
            found.append(remb_bps)
        return min(found, default=None)

    def _go_down(self, carried_bps: float, now_s: float) -> None:
        lower = range(self.rung + 1, len(self._bitrates_bps))
        if not lower:
            return
        fits = (rung for rung in lower if FITS * (self._bitrates_bps[rung] + SOUND_BPS) <= carried_bps)
        self._wait_s = min(2 * self._wait_s, LAST_TRY_S) if self._proving else FIRST_TRY_S
        self._change(next(fits, lower[-1]), now_s, proving=False)

    # --- up

    def _think_of_more(self, feedback: Feedback, needs_bps: float, now_s: float) -> None:
        calm_s = now_s - max(self._uneasy_s, self._changed_s or 0.0)
        if self._proving and calm_s >= FIRST_TRY_S and needs_bps >= USED * self._bitrates_bps[self.rung]:
            self._proving, self._wait_s = False, FIRST_TRY_S
        if self.rung == 0 or calm_s < CALM_S or now_s - self._heard_s > STALE_S:
            return
        if now_s - (self._changed_s or 0.0) >= self._patience_s(feedback.remb_bps, needs_bps):
            self._change(self.rung - 1, now_s, proving=True)

    def _patience_s(self, remb_bps: int | None, needs_bps: float) -> float:
        """How long the rung must have been shown before the next better one is."""
        if remb_bps is None:
            return self._wait_s
        if remb_bps >= ROOM * (self._bitrates_bps[self.rung - 1] + SOUND_BPS) and not self._proving:
            return CALM_S
        return self._wait_s if remb_bps >= ROOM * (needs_bps + SOUND_BPS) else LAST_TRY_S

    def _change(self, rung: int, now_s: float, *, proving: bool) -> None:
        self.rung, self._proving, self._changed_s = rung, proving, now_s
        self._sent.clear()
        self._losses.clear()
        self._fell_s = self._short_since_s = self._lossy_since_s = self._late_since_s = None


def _note(noted: deque[tuple[float, float]], now_s: float, value: float, kept_s: float) -> None:
    noted.append((now_s, value))
    while now_s - noted[0][0] > kept_s:
        noted.popleft()


def _mean(noted: deque[tuple[float, float]]) -> float:
    return sum(value for _, value in noted) / len(noted) if noted else 0.0


def _since(before_s: float | None, holds: bool, now_s: float) -> float | None:
    """Since when something has held without a break."""
    if not holds:
        return None
    return now_s if before_s is None else before_s


def _lasts(since_s: float | None, long_s: float, now_s: float) -> bool:
    return since_s is not None and now_s - since_s >= long_s
