"""A mouth patch into its idle picture, in planar YUV 4:2:0, touching nothing outside the patch's box.

Everything stays premultiplied: shown = picture * (1 - alpha) + patch, with the patch converted to BT.601 limited range
weighted by its alpha, and chroma from colour and alpha averaged over 2x2 samples. So there is no division, alpha 0
leaves a sample's exact value, and one call makes idle pictures and speaking ones alike.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.engine import Patch

# BT.601 limited range for colour premultiplied by alpha; the offsets 16 and 128 therefore ride on alpha.
_LUMA: Final = np.array([[65.481, 128.553, 24.966, 16.0]]) / 255
_CB: Final = np.array([[-37.797, -74.203, 112.0, 128.0]]) / 255
_CR: Final = np.array([[112.0, -93.786, -18.214, 128.0]]) / 255


def compose(picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """A copy of ``picture`` with the patch in it; written to ``out`` where that is given.

    Shapes: picture and out (height * 3 // 2, width), I420; height and width even.
    Errors: ValueError where the patch's box is odd, or not inside the picture, or not the size of its pixels.
    """
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    x, y, w, h = patch.box
    if (x | y | w | h) & 1 or x < 0 or y < 0 or x + w > width or y + h > height:
        raise ValueError(f"patch box {tuple(patch.box)} in a picture of {width}x{height}")
    if patch.rgba.shape != (h, w, 4):
        raise ValueError(f"patch of shape {patch.rgba.shape} for box {tuple(patch.box)}")
    if out is None:
        out = picture.copy()
    else:
        np.copyto(out, picture)
    luma = out[:height]
    _blend(luma[y : y + h, x : x + w], patch.rgba, _LUMA)
    half = cv2.resize(patch.rgba, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
    chroma = out[height:].reshape(2, height // 2, width // 2)  # a view: both planes lie one after the other
    for plane, matrix in zip(chroma, (_CB, _CR), strict=True):
        _blend(plane[y // 2 : (y + h) // 2, x // 2 : (x + w) // 2], half, matrix)
    return out


def _blend(
    target: NDArray[np.uint8], rgba: NDArray[np.uint8] | cv2.typing.MatLike, matrix: NDArray[np.float64]
) -> None:
    """``target`` * (1 - alpha) + the patch's own component, in place."""
    through = cv2.bitwise_not(cv2.extractChannel(rgba, 3))
    kept = cv2.multiply(target, through, scale=1 / 255)
    target[...] = cv2.add(kept, cv2.transform(rgba, matrix))
