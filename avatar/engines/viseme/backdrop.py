"""The room behind: light from a window and shapes far out of focus, with fine grain so that no gradient shows bands."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import ramp
from avatar.engines.viseme.palette import Palette, rgb
from avatar.engines.viseme.pose import View

# x, y, half width, half height (design units), colour, opacity, blur: panes, wall, plants, a lamp.
_SHAPES = (
    (60, 380, 120, 420, 0xFBFCFC, 0.75, 46), (-240, 400, 110, 430, 0xF6F9FA, 0.70, 46),
    (300, 360, 60, 400, 0xF2F6F8, 0.35, 50), (985, 420, 190, 470, 0x8FA2B2, 0.55, 70),
    (1260, 420, 120, 470, 0xB9C6D0, 0.55, 60), (860, 250, 46, 46, 0xFFE9CB, 0.75, 34),
    (930, 640, 250, 10, 0x7C8FA0, 0.45, 20), (-160, 850, 150, 170, 0x6E8B7C, 0.55, 60),
    (-20, 900, 120, 120, 0x86A08D, 0.42, 56), (1180, 880, 200, 160, 0x71869B, 0.60, 60),
    (980, 760, 60, 80, 0xC79F7E, 0.38, 40), (1090, 720, 44, 70, 0xE2D3BF, 0.42, 36),
    (500, 1150, 900, 120, 0x6B8194, 0.40, 110), (500, 430, 330, 380, 0xF4F7F9, 0.34, 120),
)  # fmt: skip


def paint_backdrop(view: View, palette: Palette) -> NDArray[np.float32]:
    """The background at the view's own size. Shapes: (H, W, 3), 0..255."""
    width, height = view.size
    scale = view.scale
    y = view.y + (np.arange(height, dtype=np.float32) + 0.5) / scale
    fall = np.clip((y - 60) / 1160, 0, 1).astype(np.float32)
    picture = np.repeat(ramp(palette.backdrop, fall)[:, None], width, axis=1)
    for x, cy, rx, ry, colour, opacity, blur in _SHAPES:
        mask = np.zeros((height, width), np.float32)
        left, top = round((x - rx - view.x) * scale), round((cy - ry - view.y) * scale)
        right, bottom = round((x + rx - view.x) * scale), round((cy + ry - view.y) * scale)
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = 1
        mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), blur * scale, borderType=cv2.BORDER_REPLICATE), np.float32)
        picture += (np.array(rgb(colour), np.float32) - picture) * (mask * opacity)[..., None]
    gx = view.x + (np.arange(width, dtype=np.float32) + 0.5) / scale
    vignette = 1 - 0.10 * np.clip(np.hypot((gx[None] - 500) / 900, (y[:, None] - 480) / 700) - 0.45, 0, 1) ** 1.5
    picture *= vignette[..., None]
    grain = np.random.default_rng(2).normal(0, 1.0, (height, width, 1)).astype(np.float32)
    return np.asarray(picture + grain, np.float32)
