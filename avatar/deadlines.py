"""How long before they are due a stream's pictures are finished. Pure: the time is an argument.

Picture k is due when the stream's clock reaches k / fps, for then the server shows it; one that is finished later is
left out, or shown for less long. The worker knows that clock by what it hears of it: frame ``now`` began when the
server said so, or before that, if the message had to wait. So the earliest beginning that a message speaks for counts.
"""

import threading
from bisect import bisect_left
from collections import defaultdict

from avatar.formats import SLACK_BOUNDS_S


class Deadlines:
    """Those of one live stretch. Units: seconds of the worker's clock."""

    def __init__(self, fps: int) -> None:
        self._fps = fps
        self._began_s: float | None = None

    def heard(self, now: int, at_s: float) -> None:
        """The server has said that frame ``now`` is shown; 0: there is nobody to be late for."""
        if now > 0:
            began_s = at_s - now / self._fps
            self._began_s = began_s if self._began_s is None else min(self._began_s, began_s)

    def slack_s(self, frame: int, at_s: float) -> float | None:
        """How long before it is due a picture was finished, below 0 where it was late; None where it is never due."""
        return None if self._began_s is None else self._began_s + frame / self._fps - at_s


class SlackMeter:
    """Pictures by their slack, and by the engine that made them; counted by several threads."""

    def __init__(self) -> None:
        self._counts: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(SLACK_BOUNDS_S) + 1))
        self._lock = threading.Lock()

    def add(self, engine: str, slack_s: float) -> None:
        """One more."""
        with self._lock:
            self._counts[engine][bisect_left(SLACK_BOUNDS_S, slack_s)] += 1

    def counts(self) -> dict[str, list[int]]:
        """How many, by engine: at most the first bound, up to the second one, …, above the last."""
        with self._lock:
            return {engine: list(counts) for engine, counts in self._counts.items()}
