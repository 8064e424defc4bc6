"""In which pose a stream's idle pictures show the figure, frame by frame. Pure.

A stream goes over from one pose to another in a live stretch; when that ends, the idle loop of the new pose goes on.
Who has to be shown an idle picture while the stretch is on, because he has just come or the worker stands still, is
shown the pose that the stretch is in by then.
"""

from typing import Final

from avatar.messages import NEUTRAL_POSE
from whep_server.live.idle import IdleLoops

TURN_S: Final = 1.2
"""After so long a figure has taken the pose that it was to take; a little more than the worker gives it."""


class Posing:
    """One stream's."""

    def __init__(self, fps: int, loops: IdleLoops) -> None:
        self._turn = round(TURN_S * fps)
        self._loops = loops
        self._settled: list[tuple[int, str]] = [(0, NEUTRAL_POSE)]
        self.wanted = NEUTRAL_POSE
        self._taken_at = 0

    @property
    def shown(self) -> str:
        """The pose of the idle pictures when the stretches that are known are over."""
        return self._settled[-1][1]

    @property
    def ready(self) -> bool:
        """Whether there is an idle loop of the wanted pose; of the neutral one there is, as far as there is any."""
        return self.wanted == NEUTRAL_POSE or self._loops.has_pose(self.wanted)

    def want(self, pose: str, frame: int) -> None:
        """Have the figure take it; a live stretch that is on does so from ``frame``."""
        self.wanted, self._taken_at = pose, frame

    def begin(self, frame: int) -> None:
        """A live stretch begins at ``frame``: in it the figure goes over to the wanted pose, if it is in another."""
        if self.wanted != self.shown:
            self._taken_at = max(self._taken_at, frame)

    def settle(self, frame: int, pose: str) -> None:
        """From ``frame`` on idle pictures are in ``pose``; what was told of later frames does not hold."""
        earlier = [entry for entry in self._settled if entry[0] < frame]
        self._settled = [*earlier[-2:], (frame, pose)]

    def at(self, frame: int, *, live: bool) -> str:
        """The pose of an idle picture; ``live``: it is shown in the place of a live one."""
        if live and self.ready and frame >= self._taken_at + self._turn:
            return self.wanted
        return next((pose for first, pose in reversed(self._settled) if first <= frame), self._settled[0][1])
