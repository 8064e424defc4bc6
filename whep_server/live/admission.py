"""How many streams may speak at one time: one that would be one too many is refused, and those that speak are unhurt.

A machine carries so many streams of an engine's, if all are of that one. So each takes its part of the machine, and no
more is given away than there is: half as many of one engine's, and beside them half as many of the other's.

Who speaks is looked at when somebody asks and never counted up and down: so no place is lost with a worker that dies or
a stream that goes off the air. Whoever is let in speaks in the eyes of the next one at once, without a moment between.
"""

import logging
import math
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Final, Protocol

from whep_server.errors import TooManySpeak
from whep_server.live.capacity import MEASURE
from whep_server.metrics.ledger import Ledger

logger = logging.getLogger(__name__)

UNKNOWN_S: Final = 5
"""When to come back where nobody knows how long any of them will speak."""
HEADROOM: Final = 0.75
"""The part of an engine's own speed that is counted on where no stream was measured: it is never asked evenly."""


class Speaker(Protocol):
    """A stream, as far as it matters here."""

    @property
    def engine(self) -> str:
        """What makes its avatar speak."""
        ...

    @property
    def talks(self) -> bool:
        """Whether it speaks, or something waits to be spoken: it has a place."""
        ...

    def remaining_s(self) -> float | None:
        """How long until it has spoken; None where nobody knows."""
        ...


class Admission:
    """The places of those that may speak at one time."""

    def __init__(
        self, limits: Mapping[str, int], speakers: Callable[[], Iterable[Speaker]], ledger: Ledger, otherwise: int = 0
    ) -> None:
        """``limits`` by engine, ``otherwise`` that of the rest; 0: as many as want to. ``speakers``: all on air."""
        self.limits, self._otherwise = dict(limits), otherwise
        self._known = {engine for engine, limit in limits.items() if limit}
        self._speakers, self._ledger = speakers, ledger

    def estimate(self, speeds: Mapping[str, float], fps: int) -> None:
        """Limits for engines that have none, from the pictures a second that they said they make."""
        for engine, speed in speeds.items():
            if engine in self._known or self._otherwise:
                continue
            limit = max(1, int(HEADROOM * speed / fps))
            if limit != self.limits.get(engine):
                text = "%d %s streams may speak at one time, by the %.1f pictures/s of its warm-up; %s measures it"
                logger.warning(text, limit, engine, speed, f"{MEASURE} --avatar NAME")
            self.limits[engine] = limit

    def _limit(self, engine: str) -> int:
        return self.limits.get(engine, self._otherwise)

    def _part(self, engine: str) -> Fraction:
        """Of the machine, that a stream takes."""
        limit = self._limit(engine)
        return Fraction(1, limit) if limit else Fraction(0)

    def check(self, engine: str) -> None:
        """For a stream that has no place and wants to speak. Errors: TooManySpeak."""
        mine = self._part(engine)
        if not mine:
            return
        talking = [each for each in self._speakers() if each.talks]
        if mine + sum(self._part(each.engine) for each in talking) <= 1:
            return
        self._ledger.speech_refused += 1
        known = [seconds for seconds in (each.remaining_s() for each in talking) if seconds is not None]
        retry_after_s = max(1, math.ceil(min(known))) if known else UNKNOWN_S
        beside = ", fewer beside those of other engines" if any(each.engine != engine for each in talking) else ""
        raise TooManySpeak(
            f"{len(talking)} streams speak, and no more than {self._limit(engine)} can at one time{beside}",
            retry_after_s=retry_after_s,
        )
