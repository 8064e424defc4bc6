"""How far a mouth is open, measured from pixels: for tests that watch a stream as a viewer would.

Counts what can only be the inside of a mouth (the dark cavity; teeth, bright and pale; tongue) in the part of the
picture where this picture's pose puts the lips. The palette keeps these apart from lips and skin by a margin that
survives 4:2:0 and the quantisers of H.264 and VP8 at ordinary rates.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.mouth import MOUTH_X, MOUTH_Y
from avatar.engines.viseme.pose import VisemeState

# Design units about the mouth's centre: columns in which lips are always parted first, rows that an opening can reach.
_COLUMNS: Final = (-26.0, 26.0)
_ROWS: Final = (-22.0, 52.0)
_FULL: Final = 44.0
"""Units: design units. Mean height of the inside over the columns at jaw 1, about: the measure's 1."""


def mouth_opening(picture: NDArray[np.uint8], state: VisemeState, index: int) -> float:
    """The visible opening of the lips in a picture of the loop at ``index``: 0 sealed, about 1 widest.

    Shapes: picture (height * 3 // 2, width), I420, or (height, width, 3), RGB.
    """
    if picture.ndim == 3:
        picture = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
    luma, red = _planes(picture, state, index)
    column_heights = _inside(luma, red).mean(axis=0) * (_ROWS[1] - _ROWS[0])
    return float(column_heights.mean() / _FULL)


def _inside(luma: NDArray[np.float32], red: NDArray[np.float32]) -> NDArray[np.float32]:
    """How surely each sample shows the inside of the mouth, 0..1."""
    dark = np.clip((66 - luma) / 16, 0, 1)
    pale = np.clip((144 - red) / 6, 0, 1) * np.clip((luma - 120) / 20, 0, 1)
    return np.asarray(np.maximum(dark, pale), np.float32)


def _planes(
    picture: NDArray[np.uint8], state: VisemeState, index: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Luma and Cr of the lips' region, one sample a design unit, in the pose's own axes."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    x, y = np.meshgrid(np.arange(*_COLUMNS) + MOUTH_X + 0.5, np.arange(*_ROWS) + MOUTH_Y + 0.5)
    at = np.einsum("ij,jhw->ihw", state.matrices[index], np.stack([x, y, np.ones_like(x)])).astype(np.float32)
    luma = cv2.remap(picture[:height], at[0] - 0.5, at[1] - 0.5, cv2.INTER_LINEAR)
    red = cv2.remap(np.ascontiguousarray(chroma[1]), at[0] / 2 - 0.5, at[1] / 2 - 0.5, cv2.INTER_LINEAR)
    return luma.astype(np.float32), red.astype(np.float32)
