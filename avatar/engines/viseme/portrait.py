"""The resting figure, painted once: every layer but the eyes (painted for each picture) and the mouth (drawn live)."""

from typing import Final

import numpy as np

from avatar.engines.viseme import clothes, hair, head
from avatar.engines.viseme.canvas import Layer, Mask, moved, smoothstep
from avatar.engines.viseme.palette import Palette
from avatar.engines.viseme.pose import View

VIEWS: Final = (
    View(x=-200.0, y=104.0, width=1400.0, size=(1280, 720)),
    View(x=132.0, y=108.0, width=736.0, size=(512, 512)),
    View(x=200.0, y=88.0, width=600.0, size=(720, 1280)),
)
EYES_WINDOW: Final = (372.0, 346.0, 256.0, 108.0)
"""x, y, width, height, design units: what a blink, a glance or a raised brow repaints."""


def _blank() -> Layer:
    return Layer(80, 120, 840, 1180)


def paint_figure(palette: Palette) -> Layer:
    """Hair, face, neck and clothes at rest, eyes and mouth left out."""
    figure, face, front = _blank(), _blank(), _blank()
    hair.paint_hair_back(figure, palette)
    neck = _blank()
    head.paint_neck(neck, palette)
    clothes.paint_neckline_shadow(neck)
    clothes.paint_necklace(neck)
    figure.over(neck)
    for paint in (clothes.paint_blouse, clothes.paint_coat):
        cloth = _blank()
        paint(cloth, palette)
        figure.over(cloth)
    head.paint_face(face, palette)
    shade = face.blur(face.fill(moved(hair.hair_shadow_outline(), 4, 8)), 9)
    face.multiply(0x8A4E3C, shade, 0.50)
    near = face.blur(face.fill(moved(hair.hair_shadow_outline(), 1, 2)), 3)
    face.multiply(0x7A4636, near, 0.55)
    figure.over(face)
    hair.paint_hair_front(front, palette)
    falls = np.roll(front.pixels[..., 3], (18, 8), axis=(0, 1))  # down and away from the light
    figure.multiply(0x55404A, _below(front, front.blur(falls, 8)), 0.55)
    figure.over(front)
    return figure


def _below(layer: Layer, mask: Mask) -> Mask:
    """The part of a shadow that falls on the shoulders."""
    _, y = layer.grid()
    return mask * smoothstep(690, 760, y)


def eyes_layer(figure: Layer) -> Layer:
    """A copy of the figure's window that the eyes are painted into."""
    x, y, width, height = EYES_WINDOW
    window = Layer(x, y, width, height, figure.scale)
    left, top = round((x - figure.x) * figure.scale), round((y - figure.y) * figure.scale)
    rows, columns = window.shape
    window.pixels = figure.pixels[top : top + rows, left : left + columns].copy()
    return window
