"""How many streams may speak at one time: one that would be one too many is refused, and those that speak are unhurt.

Who speaks is looked at when somebody asks and never counted up and down: so no place is lost with a worker that dies or
a stream that goes off the air. Whoever is let in speaks in the eyes of the next one at once, without a moment between.
"""

import math
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from whep_server.errors import TooManySpeak
from whep_server.metrics.ledger import Ledger

UNKNOWN_S: Final = 5
"""When to come back where nobody knows how long any of them will speak."""


class Speaker(Protocol):
    """A stream, as far as it matters here."""

    @property
    def talks(self) -> bool:
        """Whether it speaks, or something waits to be spoken: it has a place."""
        ...

    def remaining_s(self) -> float | None:
        """How long until it has spoken; None where nobody knows."""
        ...


class Admission:
    """The places of those that may speak at one time."""

    def __init__(self, limit: int, speakers: Callable[[], Iterable[Speaker]], ledger: Ledger) -> None:
        """``limit`` 0: there is none. ``speakers`` are all streams on air."""
        self.limit = limit
        self._speakers, self._ledger = speakers, ledger

    def check(self) -> None:
        """For a stream that has no place and wants to speak. Errors: TooManySpeak."""
        if not self.limit:
            return
        talking = [each for each in self._speakers() if each.talks]
        if len(talking) < self.limit:
            return
        self._ledger.speech_refused += 1
        known = [seconds for seconds in (each.remaining_s() for each in talking) if seconds is not None]
        retry_after_s = max(1, math.ceil(min(known))) if known else UNKNOWN_S
        raise TooManySpeak(
            f"{len(talking)} streams speak, and no more than {self.limit} can at one time", retry_after_s=retry_after_s
        )
