"""Where a face is in each picture of a video: found by OpenCV's cascades, then followed by the skin's own pattern.

The cascade's box trembles by several pixels, which a mouth drawn there would show; so one picture is the reference, and
a similarity (shift, turn, scale) from it to every other one is measured by optical flow of points on the lower face.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.footage import NotFootage
from avatar.prepared import Box

WORK_SIDE: Final = 640
"""Longest side of the pictures that are looked at: enough for a fifth of a pixel at 1280."""
EVERY: Final = 5
"""Of so many pictures, one is searched for a face; the others are followed."""
_CASCADES: Final = ("haarcascade_frontalface_alt2.xml", "haarcascade_frontalface_default.xml")
_FOLDER: Final = Path(cv2.__file__).parent / "data"
_LEAST_PART: Final = 0.12
"""Smallest face, as a part of the picture's shorter side."""
_LEAST_PIXELS: Final = 64
"""Smallest width of a face in the video: below it there is no mouth to be moved."""
_SEEN_PART: Final = 0.5
"""Part of the searched pictures that must show the face."""
_LEAST_POINTS: Final = 8
_SMOOTH: Final = 1.2
"""Units: pictures. Standard deviation of the smoothing over time."""

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class FaceTrack:
    """One face through the video. Units: pixels of the video."""

    reference: int
    """The picture that the others are compared with."""
    box: Box
    """The face there, as the cascade frames it: from the brows to the chin."""
    moves: NDArray[np.float64]
    """Where the reference's points are in each picture. Shapes: (N, 2, 3)."""
    seen: NDArray[np.bool_]
    """Whether a face was found, of every fifth picture."""


@dataclass(frozen=True, slots=True)
class KnownFace:
    """A face that need not be searched for. Units: pixels of the video."""

    reference: int
    box: Box
    moves: NDArray[np.float64] | None = None
    """About where it goes: the pattern of its skin says it more exactly. Shapes: (N, 2, 3)."""


def cut_grey(picture: NDArray[np.uint8], to_picture: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A part of a picture, brought to ``size``, grey. Shapes: picture (H, W, 3), BGR; to_picture (2, 3)."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    cut = cv2.warpAffine(picture, to_picture, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY), np.uint8)


def face_grey(picture: NDArray[np.uint8], track: FaceTrack, index: int, side: int) -> NDArray[np.uint8]:
    """The face in the picture ``index`` where it would be in the reference. Shapes: -> (side, side)."""
    x, y, width, height = track.box
    own = np.array([[width / side, 0, x], [0, height / side, y], [0, 0, 1]])
    return cut_grey(picture, track.moves[index] @ own, (side, side))


def track_face(pictures: Sequence[NDArray[np.uint8]], progress: Progress, known: KnownFace | None = None) -> FaceTrack:
    """Find the face and follow it. Errors: NotFootage where there is none, or not in enough pictures."""
    height, width = pictures[0].shape[:2]
    reduce = min(1.0, WORK_SIDE / max(height, width))
    greys = [_grey(picture, reduce) for picture in pictures]
    progress(0.3)
    if known is None:
        reference, box, seen = _found(greys)
    else:
        box = Box(*(round(side * reduce) for side in known.box))
        reference, seen = known.reference, np.ones(len(range(0, len(greys), EVERY)), np.bool_)
    if box.width / reduce < _LEAST_PIXELS:
        raise NotFootage(f"the face is {box.width / reduce:.0f} pixels wide; {_LEAST_PIXELS} are needed")
    progress(0.6)
    guesses = None
    if known is not None and known.moves is not None:
        guesses = known.moves * [1, 1, reduce]
    moves = smoothed(_follow(greys, reference, box, guesses))
    moves[:, :, 2] /= reduce
    return FaceTrack(reference, Box(*(round(side / reduce) for side in box)), moves, seen)


def _found(greys: Sequence[NDArray[np.uint8]]) -> tuple[int, Box, NDArray[np.bool_]]:
    """The reference, the face there, and in which of the searched pictures one is seen. Errors: NotFootage."""
    searched = range(0, len(greys), EVERY)
    found = dict(zip(searched, _search(greys[::EVERY]), strict=True))
    boxes = {index: box for index, box in found.items() if box is not None}
    if not boxes:
        raise NotFootage("no face was found: it must look into the camera and fill an eighth of the picture or more")
    if len(boxes) < _SEEN_PART * len(found):
        raise NotFootage(f"a face was found in {len(boxes)} of {len(found)} pictures only: it is turned away or hidden")
    usual = np.median(np.array(list(boxes.values())), axis=0)
    reference = min(boxes, key=lambda index: float(np.abs(np.array(boxes[index]) - usual).sum()))
    return reference, boxes[reference], np.array([index in boxes for index in searched])


def _grey(picture: NDArray[np.uint8], reduce: float) -> NDArray[np.uint8]:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return np.asarray(cv2.resize(grey, None, fx=reduce, fy=reduce, interpolation=cv2.INTER_AREA), np.uint8)


def _search(greys: Sequence[NDArray[np.uint8]]) -> list[Box | None]:
    """The largest face of each picture, with the first cascade that knows any."""
    least = max(24, int(_LEAST_PART * min(greys[0].shape)))
    for name in _CASCADES:
        cascade = cv2.CascadeClassifier(str(_FOLDER / name))
        found = [cascade.detectMultiScale(grey, 1.1, 4, minSize=(least, least)) for grey in greys]
        boxes = [max((Box(*map(int, one)) for one in each), key=lambda box: box.width, default=None) for each in found]
        if any(boxes):
            return boxes
    return [None] * len(greys)


def _follow(
    greys: Sequence[NDArray[np.uint8]], reference: int, box: Box, guesses: NDArray[np.float64] | None
) -> NDArray[np.float64]:
    """The similarity from the reference to each picture; about ``guesses``, else about the last. Shapes: (N, 2, 3)."""
    moves = np.tile(np.eye(2, 3), (len(greys), 1, 1))
    points = _points(greys[reference], box)
    for way in (range(reference + 1, len(greys)), range(reference - 1, -1, -1)):
        last = np.eye(2, 3)
        for index in way:
            guess = last if guesses is None else guesses[index]
            last = moves[index] = _move(greys[reference], greys[index], points, guess)
    return moves


def _points(grey: NDArray[np.uint8], box: Box) -> NDArray[np.float32]:
    """Points of the lower face that can be found again. Shapes: (n, 1, 2)."""
    mask = np.zeros_like(grey)
    top, left = box.y + box.height * 35 // 100, box.x + box.width * 15 // 100
    mask[max(0, top) : box.y + box.height, max(0, left) : box.x + box.width * 85 // 100] = 255
    points = cv2.goodFeaturesToTrack(grey, 120, 0.005, max(3, box.width // 40), mask=mask)
    return np.zeros((0, 1, 2), np.float32) if points is None else np.asarray(points, np.float32)


def _move(
    before: NDArray[np.uint8], after: NDArray[np.uint8], points: NDArray[np.float32], guess: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The similarity between two pictures; ``guess`` where too little of the face is found again."""
    if len(points) < _LEAST_POINTS:
        return guess
    begun = cv2.transform(points, guess).astype(np.float32)
    found, seen, _ = cv2.calcOpticalFlowPyrLK(
        before, after, points, begun, winSize=(21, 21), maxLevel=3, flags=cv2.OPTFLOW_USE_INITIAL_FLOW
    )
    good = seen.ravel() == 1
    if good.sum() < _LEAST_POINTS:
        return guess
    move, inliers = cv2.estimateAffinePartial2D(points[good], found[good], ransacReprojThreshold=1.5)
    if move is None or inliers.sum() < _LEAST_POINTS or not 0.5 < np.linalg.det(move[:, :2]) < 2:
        return guess
    return np.asarray(move, np.float64)


def smoothed(moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Less tremble: each picture's with its neighbours'; beyond both ends a motion goes on as it was.

    Shapes: (N, a, b) -> the same.
    """
    reach = min(4, len(moves) - 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / _SMOOTH) ** 2)
    padded = np.pad(moves, ((reach, reach), (0, 0), (0, 0)), mode="reflect", reflect_type="odd")
    windows = np.lib.stride_tricks.sliding_window_view(padded, len(weights), axis=0)
    return np.asarray(windows @ (weights / weights.sum()), np.float64)
