"""The part of what an avatar is made of, a drawn portrait or pictures, that a size shows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """Units: the source's own, a portrait's design units or the pixels of a film; the height follows from the size."""

    x: float
    y: float
    width: float
    size: tuple[int, int]
    """Units: pixels, (width, height)."""

    @property
    def scale(self) -> float:
        """Pixels of the size to a unit of the source."""
        return self.size[0] / self.width

    def matrix(self) -> NDArray[np.float64]:
        """The source's units to pixels of the size. Shapes: (3, 3)."""
        s = self.scale
        return np.array([[s, 0, -self.x * s], [0, s, -self.y * s], [0, 0, 1]])
