"""The poses of a figure that can move: what the head does in each, on the idle loop's own timeline, and between them.

Each pose is a motion of whole harmonics, and of events inside the loop, added to the loop's pictures: so all of them
breathe and blink together, the last picture flows into the first, and any picture of one matches the same picture of
another. Going over from one to another takes ``EASE_S``. Pure; frames and pictures come as arguments.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from avatar.formats import NEUTRAL_POSE, POSES
from avatar.motion import STILL, Motion

EASE_S: Final = 1.0
"""From one pose to another. At 25 frames a second no point of the figure moves further than ``MOST_STEP`` a picture."""
REMEMBERED_S: Final = 20
"""Frames of so long ago may be made again, and no earlier ones."""
MOST_STEP: Final = 3.0
"""Units: design units; at 1280x720 one is 0.9 pixels."""
POSES_VERSION: Final = 1
"""Raise with every change to what a pose shows: encoded loops are kept by it."""


def _bump(part: float, at: float, length: float) -> float:
    """A smooth rise and fall in the loop's part 0..1: 1 in the middle, 0 outside of ``length``."""
    away = abs((part - at + 0.5) % 1 - 0.5) / (length / 2)
    return 0.5 + 0.5 * math.cos(math.pi * away) if away < 1 else 0.0


# Where in the loop it begins, and how deep: two dips, the second one smaller, four times a loop; then a breath.
_NODS: Final = ((0.03, 1.0), (0.28, 0.85), (0.53, 1.0), (0.78, 0.9))
_DIP: Final = 0.085
_SECOND: Final = 0.080
"""How long after the first dip the second one comes."""


def _listening(part: float) -> Motion:
    """The head a little to the side and nearer, brows up; now and then a small nod: go on."""
    u = 2 * math.pi * part
    agree = _bump(part, 0.30, 0.085) + 0.7 * _bump(part, 0.385, 0.075) + 0.8 * _bump(part, 0.80, 0.09)
    return Motion(
        roll=2.5 + 0.22 * math.sin(u) + 0.10 * math.sin(2 * u + 1),
        yaw=-0.45 + 0.10 * math.sin(u + 2),
        pitch=0.20 + 0.30 * agree,
        nod=1.0 + 2.4 * agree,
        lean=0.014,
        brow=2.4 + 0.5 * math.sin(2 * u + 0.5) + 0.5 * agree,
    )


def _nodding(part: float) -> Motion:
    """Nods of assent in pairs, with a breath between."""
    dips = sum(
        depth * (_bump(part, at + _DIP / 2, _DIP) + 0.6 * _bump(part, at + _DIP / 2 + _SECOND, _DIP))
        for at, depth in _NODS
    )
    return Motion(roll=-0.5, pitch=0.75 * dips, nod=5.2 * dips, lean=0.004, brow=1.0 - 0.6 * dips)


_MOTIONS: Final[dict[str, Callable[[float], Motion]]] = {
    NEUTRAL_POSE: lambda _: STILL,
    "listening": _listening,
    "nodding": _nodding,
}


def pose_motion(pose: str, picture: int, pictures: int) -> Motion:
    """What a pose adds to picture ``picture`` of a loop of so many. Errors: KeyError for no pose."""
    return _MOTIONS[pose](picture / pictures)


@dataclass(frozen=True, slots=True)
class _Change:
    frame: int
    pose: str


class PoseTrack:
    """Which pose a stretch of frames is in, and how it goes over to the next: a function of the frame alone.

    So frames may be made again. What was asked for last is where it goes.
    """

    def __init__(self, fps: int, frame: int = 0, pose: str = NEUTRAL_POSE) -> None:
        """In ``pose`` from ``frame`` on, all of it."""
        self._ease = max(1, round(EASE_S * fps))
        self._remembered = REMEMBERED_S * fps
        self._changes = [_Change(frame - self._ease, pose)]

    @property
    def pose(self) -> str:
        """Where it goes."""
        return self._changes[-1].pose

    def change(self, frame: int, pose: str) -> None:
        """Go over to ``pose`` from ``frame`` on; not before the change before it."""
        if pose == self.pose:
            return
        self._changes.append(_Change(max(frame, self._changes[-1].frame), pose))
        while len(self._changes) > 2 and self._changes[1].frame + self._ease < frame - self._remembered:
            del self._changes[0]

    def rewind(self, frame: int) -> None:
        """Frames from ``frame`` on are made again: a change that was to come later begins there."""
        self._changes = [_Change(min(change.frame, frame), change.pose) for change in self._changes]

    def settled(self, frame: int) -> bool:
        """Whether it is wholly in its pose."""
        return frame >= self._changes[-1].frame + self._ease

    def weights(self, frame: int) -> dict[str, float]:
        """The share of each pose at a frame; they add up to 1."""
        shares = {self._changes[0].pose: 1.0}
        for place, change in enumerate(self._changes[1:], 2):
            until = min([frame, *(after.frame for after in self._changes[place : place + 1])])
            done = _smooth((until - change.frame) / self._ease)
            shares = {pose: share * (1 - done) for pose, share in shares.items()}
            shares[change.pose] = shares.get(change.pose, 0.0) + done
            if until == frame:
                break
        return {pose: share for pose, share in shares.items() if share > 0}

    def motion(self, frame: int, picture: int, pictures: int) -> Motion:
        """What the head does at a frame, on a picture of a loop of so many."""
        total = STILL
        for pose, share in self.weights(frame).items():
            if pose != NEUTRAL_POSE:
                total = total.plus(pose_motion(pose, picture, pictures).times(share))
        return total


def _smooth(done: float) -> float:
    """0 to 1, gently begun and ended; fast enough in between."""
    t = min(max(done, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def poses_of(mover: object) -> Sequence[str]:
    """Those that a figure can take: all, where something moves it."""
    return POSES if mover is not None else (NEUTRAL_POSE,)
