"""The room behind: light from a window and shapes far out of focus, with fine grain so that no gradient shows bands."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.view import View
from avatar.engines.viseme.canvas import ramp
from avatar.engines.viseme.palette import rgb
from avatar.engines.viseme.portrait import Portrait


def paint_backdrop(view: View, portrait: Portrait) -> NDArray[np.float32]:
    """The background at the view's own size. Shapes: (H, W, 3), 0..255."""
    width, height = view.size
    scale = view.scale
    y = view.y + (np.arange(height, dtype=np.float32) + 0.5) / scale
    fall = np.clip((y - 60) / 1160, 0, 1).astype(np.float32)
    picture = np.repeat(ramp(portrait.palette.backdrop, fall)[:, None], width, axis=1)
    for x, cy, rx, ry, colour, opacity, blur in portrait.room:
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
