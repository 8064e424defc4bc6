"""Where the mouth is in a picture of a face: the line between shut lips, its ends, its tilt and its bow.

The cascade's box says where to look; there the line is a dark valley that runs across, between redder skin.
"""

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.prepared import Box

_SIDE: Final = 240
"""Units: pixels. The face box is brought to this size, so that all below is in parts of it."""
_ROWS: Final = (0.66, 0.93)
"""Where in the box the line between the lips can be."""
_USUAL_ROW: Final = 0.785
_ROW_SPREAD: Final = 0.055
_HALF_WIDTH: Final = (0.125, 0.165, 0.215)
"""Half of a mouth's width: least, usual, most."""
_FAINT: Final = 1.0
_FADED: Final = 0.35
"""The line ends where it is so much fainter than in its middle."""
_MOST_TILT: Final = 0.35
_MOST_BOW: Final = 0.35


@dataclass(frozen=True, slots=True)
class Lips:
    """A shut mouth. Units: pixels of the picture."""

    x: float
    y: float
    """The middle of the line between the lips."""
    half_width: float
    tilt: float
    """Units: radians; positive where the right end in the picture is lower."""
    bow: float
    """How much lower the ends are than the middle, in half widths: below zero it smiles."""

    def matrix(self) -> NDArray[np.float64]:
        """From the mouth's own units (its middle at 0, its ends at -1 and 1) to the picture. Shapes: (2, 3)."""
        across, down = (self.half_width * math.cos(self.tilt), self.half_width * math.sin(self.tilt))
        return np.array([[across, -down, self.x], [down, across, self.y]])


def find_lips(picture: NDArray[np.uint8], face: Box) -> Lips:
    """The mouth of ``face``; in its usual place where nothing is clear. Shapes: picture (H, W, 3), BGR."""
    scale = _SIDE / face.width
    shift = np.array([[scale, 0, -face.x * scale], [0, scale, -face.y * scale]])
    crop = cv2.warpAffine(picture, shift, (_SIDE, _SIDE), flags=cv2.INTER_AREA, borderMode=cv2.BORDER_REPLICATE)
    valley, red = _valley_and_red(np.asarray(crop, np.uint8))
    columns, rows, strength = _trace(valley, _line_row(valley, red))
    left, right = _ends(columns, strength)
    within = (columns >= left) & (columns <= right)
    line = np.polynomial.Polynomial.fit(columns[within], rows[within], 2, w=np.sqrt(strength[within] + 1e-3))
    x = float(np.clip((left + right) / 2, 0.42 * _SIDE, 0.58 * _SIDE))
    least, _, most = (part * _SIDE for part in _HALF_WIDTH)
    half = float(np.clip((right - left) / 2, least, most))
    slope, bend = (float(line.deriv(order)(x)) for order in (1, 2))
    tilt = float(np.clip(math.atan(slope), -_MOST_TILT, _MOST_TILT))
    bow = float(np.clip(bend * half / 2, -_MOST_BOW, _MOST_BOW))
    return Lips(face.x + x / scale, face.y + float(line(x)) / scale, half / scale, tilt, bow)


def _valley_and_red(crop: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much darker each point is than what is above and below it; how red it is. Shapes: (240, 240) each."""
    lab = cv2.cvtColor(crop, cv2.COLOR_BGR2LAB).astype(np.float32)
    luma = cv2.GaussianBlur(lab[..., 0], (0, 0), sigmaX=4, sigmaY=2)
    valley = np.maximum(0, cv2.Sobel(luma, cv2.CV_32F, 0, 2, ksize=5) / 16)
    return valley.astype(np.float32), np.asarray(cv2.GaussianBlur(lab[..., 1], (0, 0), 5), np.float32)


def _line_row(valley: NDArray[np.float32], red: NDArray[np.float32]) -> int:
    """The row of the line between the lips, in the middle of the face: nostrils and chin are as dark, and less red."""
    place = np.arange(_SIDE) / _SIDE
    middle = slice(round(0.40 * _SIDE), round(0.60 * _SIDE))
    dark = cv2.GaussianBlur(valley[:, middle].mean(axis=1).reshape(-1, 1), (0, 0), 1.5).ravel()
    skin = float(np.median(red[_SIDE // 2 :, _SIDE // 5 : -_SIDE // 5]))
    redder = np.clip(red[:, middle].mean(axis=1) - skin, 0, None)
    score = (dark + 1e-3) * (0.3 + redder / max(1.0, float(redder.max())))
    score *= np.exp(-0.5 * ((place - _USUAL_ROW) / _ROW_SPREAD) ** 2)
    score[(place < _ROWS[0]) | (place > _ROWS[1])] = 0
    return int(score.argmax())


def _trace(valley: NDArray[np.float32], row: int) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """The line from its middle to both sides: columns, the row in each, and how dark it is there."""
    middle, reach = _SIDE // 2, round(0.26 * _SIDE)
    columns = np.arange(middle - reach, middle + reach + 1)
    rows, strength = np.zeros(len(columns)), np.zeros(len(columns))
    for way in (range(reach, len(columns)), range(reach - 1, -1, -1)):
        at = float(row)
        for index in way:
            near = np.arange(round(at) - 3, round(at) + 4)
            weights = valley[near, columns[index]] * np.exp(-0.5 * ((near - at) / 2) ** 2)
            if weights.sum() > 1e-3:
                at = min(max(0.5 * (at + float(weights @ near / weights.sum())), 4.0), _SIDE - 5.0)
            rows[index], strength[index] = at, valley[round(at), columns[index]]
    return columns, rows, strength


def _ends(columns: NDArray[np.int64], strength: NDArray[np.float64]) -> tuple[int, int]:
    """Where the line fades, to the left and right; the usual width where it has no middle to fade from."""
    middle = len(columns) // 2
    core = float(strength[middle - 20 : middle + 21].mean())
    usual = round(_HALF_WIDTH[1] * _SIDE)
    if core < _FAINT:
        return int(columns[middle]) - usual, int(columns[middle]) + usual
    faded = np.convolve(strength, np.ones(3) / 3, "same") < _FADED * core
    left = np.flatnonzero(faded[:middle])
    right = np.flatnonzero(faded[middle:])
    first = int(left[-1]) + 1 if len(left) else 0
    last = middle + int(right[0]) - 1 if len(right) else len(columns) - 1
    least = round(_HALF_WIDTH[0] * _SIDE)
    return int(columns[min(first, middle - least)]), int(columns[max(last, middle + least)])
