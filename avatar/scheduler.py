"""Which frames of which streams are made next: the granted ones, those that would be missed first, first. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

FRAMES_A_TURN: Final = 4
"""Pictures one stream may have in a round while others wait."""
LATE_FRAMES_A_TURN: Final = 25
"""Frames that are only stepped over are cheap: a stream that fell behind catches up a second a round."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a live stream has been granted."""

    stream: str
    fps: int
    next_frame: int
    until: int
    """Frames below it may be made."""
    now: int
    """Frames below it are too late to be shown."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Frames ``first`` up to ``first + count`` of a stream, of which the first ``late`` are not drawn."""

    stream: str
    first: int
    count: int
    late: int


def plan(demands: Iterable[Demand], most: int) -> list[Turn]:
    """The next round: at most ``most`` streams, the one whose viewers run dry first at its head."""
    waiting = [demand for demand in demands if demand.next_frame < demand.until]
    waiting.sort(key=lambda demand: ((demand.next_frame - demand.now) / demand.fps, demand.stream))
    return [_turn(demand) for demand in waiting[:most]]


def _turn(demand: Demand) -> Turn:
    granted = demand.until - demand.next_frame
    late = min(max(0, demand.now - demand.next_frame), granted, LATE_FRAMES_A_TURN)
    drawn = min(granted - late, FRAMES_A_TURN)
    return Turn(demand.stream, demand.next_frame, late + drawn, late)
