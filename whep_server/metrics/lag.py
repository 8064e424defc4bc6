"""How late the event loop is: everything live goes through it, so what holds it up is felt by every viewer."""

import asyncio
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

PROBE_S: Final = 0.5
"""Between two looks where no stream ticks."""
WINDOW_S: Final = 60.0
LAG_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""5 ms is what a task may take at once; 20 ms is an audio packet."""


def tasks_now() -> int:
    """How many tasks the running event loop has: what is forgotten stays here. 0 where none runs."""
    try:
        return len(asyncio.all_tasks())
    except RuntimeError:
        return 0


class Histogram:
    """Numbers, counted by size."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        """Those at or below each bound and above the one before; the last: those above all."""
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class LoopLag:
    """By how much tasks of the event loop woke later than they meant to."""

    def __init__(self) -> None:
        self.late = Histogram(LAG_BOUNDS_S)
        self._window = 0
        self._worst = (0.0, 0.0)  # in the window before, in this one

    def note(self, due_s: float, now_s: float) -> None:
        """A task that was due has been woken now."""
        late_s = max(0.0, now_s - due_s)
        self.late.observe(late_s)
        before, worst = self._windows(now_s)
        self._worst = (before, max(worst, late_s))

    def worst_s(self, now_s: float) -> float:
        """The latest in the last one to two minutes."""
        self._worst = self._windows(now_s)
        return max(self._worst)

    def _windows(self, now_s: float) -> tuple[float, float]:
        passed = int(now_s / WINDOW_S) - self._window
        self._window += passed
        if passed == 0:
            return self._worst
        return (self._worst[1], 0.0) if passed == 1 else (0.0, 0.0)

    async def probe(self) -> None:
        """Look for ever."""
        time = asyncio.get_running_loop().time
        while True:
            due_s = time() + PROBE_S
            await asyncio.sleep(PROBE_S)
            self.note(due_s, time())
