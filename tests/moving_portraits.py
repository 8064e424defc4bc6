"""Videos of a face that moves as it is told to, so that it is known whether and where they come back to themselves."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.portraits import as_bgr, shown

COUNT = 90
"""Pictures: a loop of 75 of them can be closed."""
SIDE = 200


def video(move_of: Callable[[int], tuple[float, float, float]], light_of: Callable[[int], float]) -> NDArray[np.uint8]:
    """Her picture, moved (across, down, turned by degrees) and lit; with a camera's noise."""
    still = cv2.resize(as_bgr(shown(1)[0]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(5).normal(0, 1.5, (SIDE, SIDE, 3))
    pictures = np.empty((COUNT, SIDE, SIDE, 3), np.uint8)
    for k in range(COUNT):
        across, down, turn = move_of(k)
        move = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), turn, 1)
        move[:, 2] += across, down
        shown_so = cv2.warpAffine(still, move, (SIDE, SIDE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        pictures[k] = np.clip(shown_so * light_of(k) + np.roll(noise, 37 * k, axis=(0, 1)), 0, 255)
    return pictures


def sway(k: float) -> tuple[float, float, float]:
    """A period of three seconds."""
    return 6 * np.sin(2 * np.pi * k / 75), 3 * np.cos(2 * np.pi * k / 75), 1.5 * np.sin(2 * np.pi * k / 75)


def returning() -> NDArray[np.uint8]:
    """Comes back to itself all but exactly, as people do: 75 pictures make a loop."""
    return video(lambda k: sway(k + 1.5 * (k > 60)), lambda k: 1 + 0.004 * (k > 60))
