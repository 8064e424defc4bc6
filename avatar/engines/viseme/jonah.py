"""Jonah: short black curls, ears free, a knitted sweater, in a green room with plants and a warm lamp."""

from typing import Final

import numpy as np

from avatar.engines.viseme import curls, ears, head, sweater
from avatar.engines.viseme.canvas import Layer
from avatar.engines.viseme.likeness import Likeness
from avatar.engines.viseme.palette import JONAH as COLOURS
from avatar.engines.viseme.portrait import Portrait, Shape, blank

_LIKENESS: Final = Likeness(
    half_outline=(
        (500, 200), (562, 208), (612, 244), (640, 304), (647, 368), (647, 430), (643, 490), (634, 536), (615, 580),
        (586, 618), (556, 644), (529, 655), (500, 657.5),
    ),
    neck=1.34,
    nose=1.24,
    cheeks=1.15,
    ears=True,
    eye=0.90,
    lash=0.40,
    brow=2.0,
    brow_arch=0.72,
    brow_drop=6.0,
    stubble=1.5,
)  # fmt: skip
# A wall, a window at the right, plants, a lamp and a shelf.
_ROOM: Final[tuple[Shape, ...]] = (
    (1080, 330, 150, 330, 0xF4FAF4, 0.80, 44), (1330, 330, 60, 330, 0xEAF4EE, 0.70, 44),
    (-150, 420, 150, 470, 0x5F8575, 0.45, 80), (20, 300, 60, 60, 0xFFDDA6, 0.85, 34),
    (20, 470, 9, 150, 0x6E5A48, 0.50, 16), (160, 640, 260, 9, 0x4F6A5E, 0.50, 18),
    (-120, 560, 40, 70, 0xB9654A, 0.55, 26), (-40, 580, 24, 52, 0xD9C7A4, 0.55, 20),
    (60, 566, 30, 66, 0x3F6B78, 0.50, 22), (1010, 820, 120, 190, 0x3D6B4C, 0.62, 50),
    (1130, 720, 90, 150, 0x5B8F63, 0.50, 44), (930, 900, 110, 150, 0x4B7B58, 0.48, 52),
    (-160, 900, 190, 140, 0x47695C, 0.55, 70), (500, 1150, 900, 120, 0x46695D, 0.40, 110),
    (500, 420, 340, 380, 0xD6E6DC, 0.30, 130),
)  # fmt: skip


def _paint() -> Layer:
    figure, neck, face, front = blank(), blank(), blank(), blank()
    head.paint_neck(neck, COLOURS, _LIKENESS)
    sweater.paint_collar_shadow(neck)
    figure.over(neck)
    for paint in (sweater.paint_shirt, sweater.paint_sweater):
        cloth = blank()
        paint(cloth, COLOURS)
        figure.over(cloth)
    shells = blank()
    ears.paint_ears(shells, COLOURS)
    figure.over(shells)
    head.paint_face(face, COLOURS, _LIKENESS)
    falls = np.roll(curls.curls_shadow(face), (14, 6), axis=(0, 1))
    face.multiply(0x6A4234, face.blur(falls, 8), 0.42)
    figure.over(face)
    curls.paint_curls(front, COLOURS)
    figure.over(front)
    return figure


JONAH: Final = Portrait("jonah", "Jonah", COLOURS, _LIKENESS, _paint, _ROOM, film_crf=14)
