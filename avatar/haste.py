"""Whether an engine's pictures are made in haste, because the worker does not keep up: encoded quicker and coarser, and
fewer of them where they cost more than encoding (``Engine.hurried_fps``). Pure.

In haste an H.264 picture takes 2.6 ms instead of 3.7 (1280x720) and loses 0.9 dB, 1.6 dB where something moves; a VP8
picture takes 3.9 instead of 5.6 ms and loses 0.3 dB. It begins after a second of frames that are made just in time or
too late, sooner where fewer pictures are the remedy, and ends after calm; where that was too early, the next calm must
last twice as long.
"""

from collections.abc import Iterable
from typing import Final

from avatar.scheduler import Demand

BEHIND_FRAMES: Final = 1.0
"""A next frame that is due sooner than in one frame's time is made just in time; the server grants three ahead."""
BEGINS_S: Final = 1.0
SHEDS_S: Final = 0.4
"""The same for an engine that makes fewer pictures then: that is soon undone, and to wait costs pictures."""
CALM_S: Final = 10.0
LONGEST_CALM_S: Final = 300.0
RELAPSE_S: Final = 30.0
"""Haste that begins so soon after it has ended ended too early."""
STEP_S: Final = 0.25
"""Looks that are further apart count as this far: a worker without work is not behind."""


class Haste:
    """Of one engine's streams."""

    def __init__(self, begins_s: float = BEGINS_S) -> None:
        """It begins after so long behind."""
        self.quick = False
        self._begins_s = begins_s
        self._behind_s = 0.0
        """Time behind, less time in which it was not."""
        self._looked_s: float | None = None
        self._calm_since_s = 0.0
        self._ended_s: float | None = None
        self._wait_s = CALM_S

    def look(self, demands: Iterable[Demand], now_s: float) -> bool:
        """Whether to encode in haste; to be called before each round."""
        hurried = [each for each in demands if each.next_frame < each.until and not each.patient]
        passed_s = min(STEP_S, now_s - self._looked_s) if self._looked_s is not None else 0.0
        self._looked_s = now_s
        behind = any(each.ahead_s * each.fps < BEHIND_FRAMES for each in hurried)
        self._behind_s = min(self._begins_s, max(0.0, self._behind_s + (passed_s if behind else -passed_s)))
        if self._behind_s > 0:
            self._calm_since_s = now_s
        if not self.quick and self._behind_s >= self._begins_s:
            self._begin(now_s)
        elif self.quick and now_s - self._calm_since_s >= self._wait_s:
            self.quick, self._ended_s = False, now_s
        return self.quick

    def _begin(self, now_s: float) -> None:
        relapsed = self._ended_s is not None and now_s - self._ended_s < RELAPSE_S
        self._wait_s = min(2 * self._wait_s, LONGEST_CALM_S) if relapsed else CALM_S
        self.quick = True
