"""Nova: long brown hair parted at the side, blazer, blouse and a thin chain, before a bright window."""

from typing import Final

import numpy as np

from avatar.engines.viseme import clothes, hair, head
from avatar.engines.viseme.canvas import Layer, Mask, moved, smoothstep
from avatar.engines.viseme.likeness import Likeness
from avatar.engines.viseme.palette import NOVA as COLOURS
from avatar.engines.viseme.portrait import Portrait, Shape, blank

_LIKENESS: Final = Likeness()
# Panes, wall, plants, a lamp.
_ROOM: Final[tuple[Shape, ...]] = (
    (60, 380, 120, 420, 0xFBFCFC, 0.75, 46), (-240, 400, 110, 430, 0xF6F9FA, 0.70, 46),
    (300, 360, 60, 400, 0xF2F6F8, 0.35, 50), (985, 420, 190, 470, 0x8FA2B2, 0.55, 70),
    (1260, 420, 120, 470, 0xB9C6D0, 0.55, 60), (860, 250, 46, 46, 0xFFE9CB, 0.75, 34),
    (930, 640, 250, 10, 0x7C8FA0, 0.45, 20), (-160, 850, 150, 170, 0x6E8B7C, 0.55, 60),
    (-20, 900, 120, 120, 0x86A08D, 0.42, 56), (1180, 880, 200, 160, 0x71869B, 0.60, 60),
    (980, 760, 60, 80, 0xC79F7E, 0.38, 40), (1090, 720, 44, 70, 0xE2D3BF, 0.42, 36),
    (500, 1150, 900, 120, 0x6B8194, 0.40, 110), (500, 430, 330, 380, 0xF4F7F9, 0.34, 120),
)  # fmt: skip


def _paint() -> Layer:
    figure, face, front = blank(), blank(), blank()
    hair.paint_hair_back(figure, COLOURS)
    neck = blank()
    head.paint_neck(neck, COLOURS, _LIKENESS)
    clothes.paint_neckline_shadow(neck)
    clothes.paint_necklace(neck)
    figure.over(neck)
    for paint in (clothes.paint_blouse, clothes.paint_coat):
        cloth = blank()
        paint(cloth, COLOURS)
        figure.over(cloth)
    head.paint_face(face, COLOURS, _LIKENESS)
    shade = face.blur(face.fill(moved(hair.hair_shadow_outline(), 4, 8)), 9)
    face.multiply(0x8A4E3C, shade, 0.50)
    near = face.blur(face.fill(moved(hair.hair_shadow_outline(), 1, 2)), 3)
    face.multiply(0x7A4636, near, 0.55)
    figure.over(face)
    hair.paint_hair_front(front, COLOURS)
    falls = np.roll(front.pixels[..., 3], (18, 8), axis=(0, 1))  # down and away from the light
    figure.multiply(0x55404A, _below(front, front.blur(falls, 8)), 0.55)
    figure.over(front)
    return figure


def _below(layer: Layer, mask: Mask) -> Mask:
    """The part of a shadow that falls on the shoulders."""
    _, y = layer.grid()
    return mask * smoothstep(690, 760, y)


NOVA: Final = Portrait("nova", "Nova", COLOURS, _LIKENESS, _paint, _ROOM, film_crf=11)
