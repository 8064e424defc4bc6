"""Measures how good an avatar a video gives: the figures of ``avatar.quality``, and what to do where one is poor."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.faces import EVERY, FaceTrack, cut_grey, face_grey
from avatar.lips import Lips
from avatar.quality import SEAM, THERE_AND_BACK, Quality

SHARP_SIDE: Final = 160
"""Units: pixels. Faces are brought to it, so that their sharpness can be compared."""
_MOUTH: Final = (96, 112)
"""Width and height of the mouth that is looked at: its half width is 32 pixels, its middle in row 40."""
_HALF: Final = 32
_MIDDLE: Final = (48, 40)
_UPPER: Final = slice(16, 36)
_LOWER: Final = slice(46, 72)
_ACROSS: Final = slice(32, 64)
"""Columns about the middle of the lips."""
_LIKENESS: Final = 64
"""Side of the face when it is compared. Units: pixels."""
_COVERED: Final = 0.8
"""Correlation below which it is another picture than the usual face: of one that speaks or blinks it is above 0.9."""
_UNUSUAL: Final = 95
"""Percentile: one picture in twenty may be a swallow, or a wrong measurement."""

GOOD_WIDTH: Final = 150
GOOD_PART: Final = 0.2
GOOD_SHARPNESS: Final = 60.0
GOOD_SEAM: Final = 1.5
GOOD_HIDDEN: Final = 0.1
GOOD_MOUTH: Final = 0.08


@dataclass(frozen=True, slots=True)
class Closing:
    """How the loop comes to its beginning again."""

    there_and_back: bool
    seam: float
    """As ``Quality`` has it."""


def appraise(
    pictures: Sequence[NDArray[np.uint8]], track: FaceTrack, lips: Lips, closing: Closing, hints: Sequence[str]
) -> Quality:
    """All figures; ``hints`` are said beside the advice. Shapes: pictures (H, W, 3) each, BGR."""
    part = track.box.width / min(pictures[0].shape[:2])
    sharpness = sharpness_of(pictures[track.reference], track)
    loop = THERE_AND_BACK if closing.there_and_back else SEAM
    hidden, moves = hidden_part(pictures, track), mouth_moves(pictures, track, lips)
    figures = Quality(
        track.box.width,
        round(part, 3),
        round(sharpness, 1),
        round(closing.seam, 2),
        loop,
        round(hidden, 3),
        round(moves, 4),
        [],
    )
    return msgspec.structs.replace(figures, notes=[*advice(figures), *hints])


def advice(figures: Quality) -> list[str]:
    """What could be better about a video of these figures, in words for whom it shows."""
    poor = {
        f"the face is {figures.face_width} pixels wide, which gives coarse lips: film it nearer or larger, so that it "
        f"has {GOOD_WIDTH} or more": figures.face_width < GOOD_WIDTH,
        f"the face fills {figures.face_part:.0%} of the picture's shorter side: nearer to the camera it is seen "
        "better": figures.face_width >= GOOD_WIDTH and figures.face_part < GOOD_PART,
        "the face is blurred: more light, focus on the eyes, less compression": figures.sharpness < GOOD_SHARPNESS,
        f"the loop closes with a step {figures.seam:.1f} times the usual one: end as you began, in the same "
        "posture": figures.seam > GOOD_SEAM,
        f"in {figures.hidden:.0%} of the pictures the face is turned away or covered: look into the camera, hands and "
        "microphone out of the face": figures.hidden > GOOD_HIDDEN,
        "the mouth moves in the video, and goes on doing so under the speech: film it shut and quiet, without a "
        "word": figures.mouth_moves > GOOD_MOUTH,
    }
    return [says for says, is_so in poor.items() if is_so]


def sharpness_of(picture: NDArray[np.uint8], track: FaceTrack) -> float:
    """As ``Quality`` has it, of the track's reference."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    x, y, width, height = track.box
    scale = SHARP_SIDE / width
    centre = track.moves[track.reference] @ (x + width / 2, y + height / 2, 1)
    # averaged where it is made smaller: fine noise would count as sharpness
    grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    crop = cv2.getRectSubPix(grey, (SHARP_SIDE, SHARP_SIDE), (float(centre[0] * scale), float(centre[1] * scale)))
    return float(cv2.Laplacian(crop, cv2.CV_32F).var())


def hidden_part(pictures: Sequence[NDArray[np.uint8]], track: FaceTrack) -> float:
    """Of one picture in five: part in which no face was found, or something else than the face is in its place."""
    crops = np.stack([face_grey(pictures[at], track, at, _LIKENESS) for at in range(0, len(pictures), EVERY)])
    usual = np.median(crops, axis=0)
    clear = [bool(seen) and _alike(crop, usual) >= _COVERED for seen, crop in zip(track.seen, crops, strict=True)]
    return 1 - sum(clear) / len(clear)


def _alike(one: NDArray[np.uint8], other: NDArray[np.float64]) -> float:
    """Correlation of two pictures: 1 where they differ in brightness and contrast at most; no number of a blank one."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def mouth_moves(pictures: Sequence[NDArray[np.uint8]], track: FaceTrack, lips: Lips) -> float:
    """How far the lips move apart beside how they usually are, of one picture in five. Units: half widths."""
    crops = [_mouth(pictures[index], track.moves[index], lips) for index in range(0, len(pictures), EVERY)]
    usual = np.median(np.stack(crops), axis=0).astype(np.uint8)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    apart = []
    for crop in crops:
        down = flow.calc(usual, crop, None)[..., 1]  # type: ignore[call-overload]  # None: no first guess
        apart.append(abs(float(np.median(down[_LOWER, _ACROSS]) - np.median(down[_UPPER, _ACROSS]))))
    return float(np.percentile(apart, _UNUSUAL)) / _HALF


def _mouth(picture: NDArray[np.uint8], move: NDArray[np.float64], lips: Lips) -> NDArray[np.uint8]:
    """The mouth, always in the same place and of the same size. Shapes: -> (112, 96), grey."""
    to_picture = move @ np.vstack([lips.matrix(), [0, 0, 1]])
    own = np.array([[1 / _HALF, 0, -_MIDDLE[0] / _HALF], [0, 1 / _HALF, -_MIDDLE[1] / _HALF], [0, 0, 1]])
    return cut_grey(picture, to_picture @ own, _MOUTH)
