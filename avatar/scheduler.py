"""Which frames of which streams are made next: the granted ones, those that would be missed first, first. Pure.

What is far ahead of its time, or has none (a recording that nobody watches), can wait: beside streams that are heard it
gets a frame now and then, so that a round never takes longer than these can stand. Those that can wait take turns, so
that a long one is made however many short ones come.

A stream that is late goes on with a picture that will be in time when it is made, not with the one that is due: viewers
of the idle loop are shown no live picture that is late, and would hear speech from a face that does not speak.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FRAMES_A_TURN: Final = 4
"""Pictures one stream may have in a round while others wait."""
FRAMES_A_ROUND: Final = 8
"""Pictures of all that are heard, but each has one: those who wait for the next round then wait for a frame's time."""
FIRST_FRAMES: Final = 1
"""Pictures of the turn with which a stretch begins: the sooner the first one is seen."""
LATE_FRAMES_A_TURN: Final = 25
"""Frames that are only stepped over are cheap: a stream that fell behind catches up a second a round."""
TRANSIT_S: Final = 0.02
"""From here to where it is shown, on a machine that has too much to do."""
NEAR_S: Final = 1.0
"""What is granted for a later time than this can wait."""
PATIENT_A_ROUND: Final = 2
"""Streams that can wait and are served beside others, a frame each: two cores do that in a frame's time."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a live stream has been granted."""

    stream: str
    fps: int
    next_frame: int
    until: int
    """Frames below it may be made."""
    now: int
    """Frames below it are too late to be shown; 0 where nothing ever is."""
    fresh: bool = False
    """Whether no frame of the stretch was made."""
    since_s: float = 0.0
    """How long ago frame ``now`` began."""
    made_in_s: float = 0.0
    """So long it takes until a turn's first picture is there, those before it included."""
    engine: str = ""
    breadth: int = FRAMES_A_ROUND
    """So many streams of the engine have a turn in a round when one is late: the others' would be late when made."""

    @property
    def ahead_s(self) -> float:
        """How long before its time the next frame is made."""
        return (self.next_frame - self.now) / self.fps

    @property
    def late(self) -> int:
        """Frames whose time has passed."""
        return max(0, self.now - self.next_frame)

    @property
    def patient(self) -> bool:
        """Whether nobody would notice if it waited."""
        return self.now == 0 or self.ahead_s > NEAR_S


@dataclass(frozen=True, slots=True)
class Turn:
    """Frames ``first`` up to ``first + count`` of a stream, of which the first ``late`` are not drawn.

    They are too late, or would be when they are made.
    """

    stream: str
    first: int
    count: int
    late: int


def plan(demands: Iterable[Demand], most: int) -> list[Turn]:
    """The next round: at most ``most`` streams, the one whose viewers run dry first at its head.

    ``demands`` are those of all live streams, also of those that are granted nothing at the moment: they may be, soon.
    They come in the order in which they had their last turns, who waits longest first.
    """
    everyone = list(demands)
    waiting = [demand for demand in everyone if demand.next_frame < demand.until]
    patient = [demand for demand in waiting if demand.patient]
    if all(demand.patient for demand in everyone):
        return [_turn(demand, FRAMES_A_TURN) for demand in patient[:most]]
    hurried = sorted((demand for demand in waiting if not demand.patient), key=lambda demand: demand.ahead_s)
    most_frames = min(FRAMES_A_TURN, max(1, FRAMES_A_ROUND // max(1, len(hurried))))
    if any(demand.late for demand in hurried):
        hurried = _narrowed(hurried)
    turns = [_turn(demand, FIRST_FRAMES if demand.fresh else most_frames) for demand in hurried]
    turns += [_turn(demand, 1) for demand in patient[:PATIENT_A_ROUND]]
    return turns[:most]


def _narrowed(hurried: Iterable[Demand]) -> list[Demand]:
    """As many of each engine as its rounds may have, the first ones."""
    counts: Counter[str] = Counter()
    kept = []
    for demand in hurried:
        counts[demand.engine] += 1
        if counts[demand.engine] <= demand.breadth:
            kept.append(demand)
    return kept


def _turn(demand: Demand, most: int) -> Turn:
    granted = demand.until - demand.next_frame
    late = min(demand.late, granted)
    # one that will be late for once, by less than a frame, is better than none
    misses = late > 0 or demand.made_in_s * demand.fps >= 1
    if misses and demand.now and late < granted:
        frames = (demand.made_in_s + TRANSIT_S + demand.since_s) * demand.fps
        late = min(max(0, demand.now + math.ceil(frames) - demand.next_frame), granted - 1)
    late = min(late, LATE_FRAMES_A_TURN)
    if late < demand.late:
        most = 0
    elif late:
        most = 1  # the next one is planned when this one is there, lest it be late again
    drawn = min(granted - late, most)
    return Turn(demand.stream, demand.next_frame, late + drawn, late)
