"""A drawn person at rest: what tells one from another, and what all portraits share.

Every layer is painted once but the eyes (painted for each picture) and the mouth (drawn live).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from avatar.engines.view import View
from avatar.engines.viseme.canvas import Layer
from avatar.engines.viseme.likeness import Likeness
from avatar.engines.viseme.palette import Palette

VIEWS: Final = (
    View(x=-200.0, y=104.0, width=1400.0, size=(1280, 720)),
    View(x=132.0, y=108.0, width=736.0, size=(512, 512)),
    View(x=200.0, y=88.0, width=600.0, size=(720, 1280)),
)
EYES_WINDOW: Final = (372.0, 346.0, 256.0, 108.0)
"""x, y, width, height, design units: what a blink, a glance or a raised brow repaints."""

Shape = tuple[float, float, float, float, int, float, float]
"""Something out of focus: x, y, half width, half height (design units), colour, opacity, blur."""


@dataclass(frozen=True, slots=True)
class Portrait:
    """One person."""

    name: str
    """The avatar's, and its palette's in ``palette.PALETTES``."""
    title: str
    palette: Palette
    likeness: Likeness
    paint: Callable[[], Layer]
    """Hair, face, neck and clothes at rest, eyes and mouth left out."""
    room: tuple[Shape, ...]
    """What is behind: panes, walls, plants, lamps."""
    film_crf: int
    """Quality of the films on disk, as libx264 counts it: the smaller, the better."""


def blank() -> Layer:
    """An empty layer for the figure."""
    return Layer(80, 120, 840, 1180)


def eyes_layer(figure: Layer) -> Layer:
    """A copy of the figure's window that the eyes are painted into."""
    x, y, width, height = EYES_WINDOW
    window = Layer(x, y, width, height, figure.scale)
    left, top = round((x - figure.x) * figure.scale), round((y - figure.y) * figure.scale)
    rows, columns = window.shape
    window.pixels = figure.pixels[top : top + rows, left : left + columns].copy()
    return window
