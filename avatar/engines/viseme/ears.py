"""Ears, where hair leaves them free: a shell of skin beside the face, lit like it, with its folds in shade."""

import numpy as np

from avatar.engines.viseme.canvas import Curve, Layer, ramp, smoothstep, spline
from avatar.engines.viseme.palette import Palette

# Of the ear on the left of the picture; the other mirrors it.
_SHELL = (
    (362, 396), (350, 384), (337, 382), (327, 391), (323, 410), (325, 434), (330, 456), (333, 474), (338, 488),
    (346, 494), (354, 490), (362, 474),
)  # fmt: skip
_FOLD = ((352, 402), (341, 396), (334, 406), (333, 424), (338, 446), (343, 462))
_HOLLOW = ((352, 420), (345, 428), (345, 444), (352, 456))


def _side(points: tuple[tuple[float, float], ...], side: int) -> Curve:
    return np.array([(500 + side * (500 - x), y) for x, y in points], np.float64)


def paint_ears(layer: Layer, palette: Palette) -> None:
    """Both, on an empty layer; the face goes over their roots."""
    gx, _ = layer.grid()
    for side in (-1, 1):
        mask = layer.fill(spline(_side(_SHELL, side), closed=True), blur=0.7)
        light = 0.54 if side < 0 else 0.36
        value = light + 0.10 * smoothstep(322, 352, 500 - np.abs(gx - 500)) * (1 if side < 0 else -1)
        layer.paint(ramp(palette.skin, np.broadcast_to(value, layer.shape).astype(np.float32)), mask)
        layer.multiply(palette.blush, mask, 0.16)
        layer.multiply(0x7A4A3A, layer.stroke(_side(_FOLD, side), 4.2, blur=2.2) * mask, 0.62)
        layer.multiply(0x5A3226, layer.stroke(_side(_HOLLOW, side), 8.0, blur=3.2) * mask, 0.66)
        rim = _side(_SHELL[1:8], side) + np.array([-side * 3.0, 1.0])
        layer.screen(palette.skin[6], layer.stroke(rim, 3.0, blur=1.7) * mask, 0.26 if side < 0 else 0.12)
        layer.screen(palette.skin[6], layer.glow(500 + side * 153, 482, 5, 6) * mask, 0.14)
        root = layer.stroke(_side(((360, 392), (358, 440), (360, 482)), side), 9.0, blur=4)
        layer.multiply(0x6A4032, root * mask, 0.50)
