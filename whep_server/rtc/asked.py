"""Which lost packets a viewer still waits for, as far as its requests tell, and when to send them once more. Pure.

Most receivers ask again until a packet has come. aiortc asks only when it notices a further loss, for all that it
misses of the last 128 packets; and it shows nothing more until they are there or 512 others have come. So where what
was sent again was lost as well and the way then is whole, an idle picture would stand for twenty seconds. To a viewer
that has never asked again by itself, what it asked for is therefore sent up to three times; and what could not be sent,
since too much was asked for, is sent as soon as it may be. Once a viewer has asked again, nothing is sent unasked.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from whep_server.rtc.sent import COOLDOWN_S

MOST: Final = 128
"""Packets that are kept in mind: as many as aiortc asks for; of more, the first are forgotten."""
TIMES: Final = 3
"""One in twenty lost, then one in eight thousand is not there after so many."""
WAIT_S: Final = 0.2
"""Before the second time; as long again before the third. At least two round trips."""
HALF: Final = 1 << 15
WHOLE: Final = 1 << 16


def _newer(number: int, than: int) -> bool:
    return 0 < (number - than) % WHOLE < HALF


@dataclass(slots=True)
class _Lost:
    """One packet."""

    due_s: float
    times: int = 0
    """It was sent again since it was asked for."""
    sent_s: float = -math.inf
    """When it was sent again last."""


class Asked:
    """One track's."""

    def __init__(self) -> None:
        self._lost: dict[int, _Lost] = {}
        self._newest: int | None = None
        """The newest that was asked for."""
        self._persists = False
        """Whether the viewer asks again by itself."""

    def __bool__(self) -> bool:
        return bool(self._lost)

    def take(self, numbers: Sequence[int], now_s: float, trip_s: float) -> None:
        """A request, by 16-bit sequence numbers. What is older than the newest of them and not among them has come."""
        newest = numbers[0]
        for number in numbers:
            newest = number if _newer(number, newest) else newest
        if self._newest is not None and not _newer(newest, self._newest):
            self._persists = True
        else:
            self._newest = newest
        named = set(numbers)
        for number in [each for each in self._lost if each not in named and _newer(newest, each)]:
            del self._lost[number]
        for number in numbers:
            lost = self._lost.get(number)
            if lost is None or now_s >= lost.sent_s + max(COOLDOWN_S, trip_s):  # else it is under way
                self._lost[number] = _Lost(now_s)
        while len(self._lost) > MOST:
            del self._lost[next(iter(self._lost))]

    def due(self, now_s: float) -> list[tuple[int, bool]]:
        """What is to be sent now, each with whether it was asked for and not sent since."""
        return [(number, not lost.times) for number, lost in self._lost.items() if lost.due_s <= now_s]

    def sent(self, number: int, now_s: float, trip_s: float) -> None:
        """It was sent again."""
        lost = self._lost[number]
        lost.times += 1
        lost.sent_s, lost.due_s = now_s, now_s + max(WAIT_S, 2 * trip_s)
        if self._persists or lost.times >= TIMES:
            del self._lost[number]

    def drop(self, number: int) -> None:
        """It cannot be sent any more."""
        del self._lost[number]

    def clear(self) -> None:
        """The viewer goes on by a keyframe."""
        self._lost.clear()
