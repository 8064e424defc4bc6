"""Where a video can be made to end as it began: two moments, whole seconds apart, at which head and picture are alike.

From the last pictures before the later moment, the loop goes over to those before the earlier one: cross-faded, with
the head moved to where it would be on its way between both, so that nothing of a face is seen twice. The points that
are known of the face go over alike. Where no two moments are alike enough, the video is shown there and back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.faces import FaceTrack, face_grey
from avatar.footage import FPS
from avatar.prepared import Box

BLEND: Final = 8
"""Pictures of the cross-fade: a third of a second."""
LEAST_PART: Final = 0.6
"""A loop is at least so long, as a part of the video."""
MOST_APART: Final = 0.03
"""How far the head may be from where it was. Units: the face's width."""
MOST_STEPS: Final = 3.0
"""How much picture and face may differ, in usual steps from one picture to the next: a ninth of it is one step more."""
_LEAST_STEP: Final = 0.3
"""Of a video that stands still. Units: grey levels."""
_SIDE: Final = 200
"""The longer side of the pictures that are compared. Units: pixels."""
_FACE_SIDE: Final = 64
_HEAD: Final = (0.75, 1.0)
"""Half axes of what moves with the head, in the widths of its box; from there it fades."""
_FADE: Final = 0.5


@dataclass(frozen=True, slots=True)
class Seam:
    """The loop is ``first`` to before ``end``; the last of it are blended with those before ``first``."""

    first: int
    end: int

    @property
    def shares(self) -> list[tuple[int, int, float]]:
        """Which pictures are blended: one, the other, and how much of the other."""
        return [(self.end - BLEND + step, self.first - BLEND + step, (step + 1) / (BLEND + 1)) for step in range(BLEND)]

    def cut(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of what is known of each picture: the loop's, with the same blend. Shapes: (N, ...) -> (end - first, ...)."""
        made = values.copy()
        for one, other, share in self.shares:
            made[one] = (1 - share) * values[one] + share * values[other]
        return made[self.first : self.end]


def find_seam(pictures: Sequence[NDArray[np.uint8]], track: FaceTrack) -> Seam | None:
    """The best one, the longer of two that are as good; None where none is good enough."""
    count = len(pictures)
    lengths = [length for length in range(FPS, count, FPS) if length >= LEAST_PART * count and count - length >= BLEND]
    if not lengths:
        return None
    wholes, faces = _reduced(pictures), _faces(pictures, track)
    corners = _corners(track)
    best: tuple[float, Seam] | None = None
    for length in reversed(lengths):
        apart = np.abs(corners[length:] - corners[:-length]).max(axis=(1, 2)) / track.box.width / MOST_APART
        costs = [_steps(each, length) / MOST_STEPS for each in (wholes, faces)]
        cost = np.lib.stride_tricks.sliding_window_view(np.max([apart, *costs], axis=0), BLEND).max(axis=1)
        first = int(cost.argmin())
        if cost[first] <= 1 and (best is None or cost[first] < best[0]):
            best = float(cost[first]), Seam(first + BLEND, first + BLEND + length)
    return None if best is None else best[1]


def _reduced(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """Shapes: -> (N, h, w), grey."""
    reduce = min(1.0, _SIDE / max(pictures[0].shape[:2]))
    return np.stack(
        [_grey(cv2.resize(each, None, fx=reduce, fy=reduce, interpolation=cv2.INTER_AREA)) for each in pictures]
    )


def _faces(pictures: Sequence[NDArray[np.uint8]], track: FaceTrack) -> NDArray[np.float32]:
    """The faces where they would be in the reference, whatever the head does. Shapes: -> (N, 64, 64), grey."""
    faces = [face_grey(each, track, index, _FACE_SIDE) for index, each in enumerate(pictures)]
    return np.stack(faces).astype(np.float32)


def _grey(picture: NDArray[np.uint8] | cv2.typing.MatLike) -> NDArray[np.float32]:
    return cv2.cvtColor(np.asarray(picture, np.uint8), cv2.COLOR_BGR2GRAY).astype(np.float32)


def _corners(track: FaceTrack) -> NDArray[np.float64]:
    """Of the face's box in every picture. Shapes: -> (N, 2, 4)."""
    x, y, width, height = track.box
    square = np.array([[x, x + width, x, x + width], [y, y, y + height, y + height], [1, 1, 1, 1]])
    return np.asarray(track.moves @ square)


def _steps(pictures: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """How much each differs from the one ``length`` later, in usual steps. Shapes: (N, h, w) -> (N - length,)."""
    usual = max(_LEAST_STEP, float(np.median(_differences(pictures, 1))))
    return np.asarray(_differences(pictures, length) / usual, np.float32)


def _differences(pictures: NDArray[np.float32], by: int) -> NDArray[np.float32]:
    return np.array([np.abs(later - one).mean() for one, later in zip(pictures[:-by], pictures[by:], strict=True)])


def blend(pictures: Sequence[NDArray[np.uint8]], track: FaceTrack, seam: Seam) -> None:
    """Write the cross-fade over the last pictures of the loop, in place."""
    made = []
    for one, other, share in seam.shares:
        moves = track.moves[one], track.moves[other]
        between = (1 - share) * moves[0] + share * moves[1]
        sides = [
            _head_moved(pictures[at], track.box, move, between) for at, move in zip((one, other), moves, strict=True)
        ]
        made.append(cv2.addWeighted(sides[0], 1 - share, sides[1], share, 0))
    for (one, _, _), picture in zip(seam.shares, made, strict=True):
        pictures[one][...] = picture


def _head_moved(
    picture: NDArray[np.uint8], box: Box, move: NDArray[np.float64], to: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """The picture with its head not where ``move`` has it, but where ``to`` does; around it, nothing moves."""
    last = np.array([[0, 0, 1]])
    back = np.linalg.inv(np.vstack([to, last]))
    shift = (np.vstack([move, last]) @ back)[:2]
    height, width = picture.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    face = back[:2]  # where each point would be in the reference
    aside, below = (face[row, 0] * x + face[row, 1] * y + face[row, 2] for row in (0, 1))
    aside, below = aside - (box.x + box.width / 2), below - (box.y + box.height / 2)
    away = np.sqrt((aside / (_HEAD[0] * box.width)) ** 2 + (below / (_HEAD[1] * box.height)) ** 2)
    weight = np.clip((1 + _FADE - away) / _FADE, 0, 1)
    weight = weight * weight * (3 - 2 * weight)
    from_x = x + weight * (shift[0, 0] * x + shift[0, 1] * y + shift[0, 2] - x)
    from_y = y + weight * (shift[1, 0] * x + shift[1, 1] * y + shift[1, 2] - y)
    maps = np.asarray(from_x, np.float32), np.asarray(from_y, np.float32)
    return np.asarray(cv2.remap(picture, *maps, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def seam_of(pictures: Sequence[NDArray[np.uint8]], blended: int) -> float:
    """The largest step where a loop closes, in usual steps of the second before and after.

    ``blended``: how many of its last pictures are a blend.
    """
    greys = _reduced(pictures)
    steps = np.abs(np.roll(greys, -1, axis=0) - greys).mean(axis=(1, 2))  # the last one leads to the first picture
    begins = len(steps) - 1 - blended
    near = np.concatenate([steps[:FPS], steps[max(0, begins - FPS) : begins]])
    return float(steps[begins:].max() / max(_LEAST_STEP, float(np.median(near))))
