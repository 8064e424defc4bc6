"""Where MuseTalk's face, crop and mask are in a picture: its rules, applied to points of the face.

The box: from the leftmost to the rightmost point, down to the lowest and a margin, up as far above the third point of
the nose's bridge as the lowest point is below it. The crop: a square about the box, half as large again. The mask: the
hull of the jaw in the lower half of the crop, a little smaller and with soft edges. What shows of a new face is thus
the mouth, the chin and the cheeks beside them.
Source: Zhang et al., MuseTalk (arXiv 2410.10122), version 1.5; the hull stands in for its face parsing network.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.musetalk_state import FACE

JAW_POINTS: Final = 17
"""The first points are the line of the jaw, from ear to ear."""
MARGIN: Final = 10
"""Below the chin. Units: pixels of the video."""
_CROP: Final = 1.5
_LEAST_SIDE: Final = 32
_NARROWER: Final = 0.04
_SHORTER: Final = 0.01
"""By how much the mask is smaller than the jaw, on each side, in parts of the crop: less at the chin, which drops."""
_BLUR: Final = 0.1
"""Kernel, in parts of the crop."""


class NoFaceThere(Exception):
    """A box that holds no face: it is outside its picture, or hardly larger than a point."""


@dataclass(frozen=True, slots=True)
class FacePlace:
    """One picture's. Units: whole pixels; left, top, right, bottom."""

    face: tuple[int, int, int, int]
    crop: tuple[int, int, int, int]
    mask: NDArray[np.uint8]
    """Over the crop."""


def place_face(points: NDArray[np.float64], bridge: NDArray[np.float64], shape: tuple[int, ...]) -> FacePlace:
    """The rules. ``shape``: of the picture, (height, width, ...). Errors: NoFaceThere.

    Shapes: points (K, 2), the first 17 of the jaw; bridge (2,).
    """
    left, right, lowest = points[:, 0].min(), points[:, 0].max(), points[:, 1].max()
    edges = left, bridge[1] - (lowest - bridge[1]), right, lowest + MARGIN
    tall, wide = shape[:2]
    x, y, to_x, to_y = (
        int(np.clip(round(float(edge)), 0, side)) for edge, side in zip(edges, (wide, tall) * 2, strict=True)
    )
    if to_x - x < _LEAST_SIDE or to_y - y < _LEAST_SIDE:
        raise NoFaceThere(f"the face is {to_x - x}x{to_y - y} pixels inside the picture; {_LEAST_SIDE} are needed")
    half = int(max(to_x - x, to_y - y) // 2 * _CROP)
    middle_x, middle_y = (x + to_x) // 2, (y + to_y) // 2
    crop = (middle_x - half, middle_y - half, middle_x + half, middle_y + half)
    mask = _mask(points[:JAW_POINTS] - crop[:2], 2 * half, (x - crop[0], y - crop[1], to_x - crop[0], to_y - crop[1]))
    if not mask.any():
        raise NoFaceThere("the jaw is not in the lower half of the face: these points are of no face")
    return FacePlace((x, y, to_x, to_y), crop, mask)


def _mask(jaw: NDArray[np.float64], side: int, face: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The jaw's hull. Units: pixels of the crop."""
    mask = np.zeros((side, side), np.uint8)
    hull = cv2.convexHull(np.rint(np.clip(jaw, -side, 2 * side)).astype(np.int32))
    cv2.fillConvexPoly(mask, hull, (255,))
    across, down = (2 * max(1, round(part * side)) + 1 for part in (_NARROWER, _SHORTER))
    mask = cv2.erode(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, down)))  # type: ignore[assignment]
    inside = np.zeros_like(mask)
    left, top, right, bottom = face
    inside[max(top, side // 2) : bottom, left:right] = 1
    blur = int(_BLUR * side) // 2 * 2 + 1
    return np.asarray(cv2.GaussianBlur(mask * inside, (blur, blur), 0), np.uint8)


def face_of(picture: NDArray[np.uint8], box: NDArray[np.float32] | tuple[int, ...]) -> NDArray[np.uint8]:
    """As the networks see it: its box, 256 pixels a side. Shapes: picture (H, W, 3) BGR -> (256, 256, 3) RGB.

    Errors: NoFaceThere.
    """
    left, top, right, bottom = (round(float(edge)) for edge in box)
    face = picture[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    if not face.size:
        raise NoFaceThere("the face lies outside the picture")
    scaled = cv2.resize(face, (FACE, FACE), interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.uint8)
