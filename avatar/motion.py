"""What the head does beside what its pictures show: a tilt, a turn, a nod, raised brows. Pure numbers.

Added to the pose that a picture holds already; an engine that can, moves the figure in the composed picture by it
(``engines.engine.Mover``).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Motion(NamedTuple):
    """All 0: the picture as it is. Design units are those of the avatar's art: 1000 to a portrait's width."""

    roll: float = 0.0
    """Units: degrees about the neck, to the right of the picture."""
    yaw: float = 0.0
    """-1..1, of a turn to the right of the picture."""
    pitch: float = 0.0
    """-1..1, of a face turned down."""
    nod: float = 0.0
    """Units: design units that the head goes down."""
    lean: float = 0.0
    """How much nearer the head is, as a share of its size."""
    brow: float = 0.0
    """Units: design units that the brows are raised."""
    dip: float = 0.0
    """Units: design units that the face goes down within the head: a small nod."""

    @property
    def within_face(self) -> bool:
        """Whether the head stays where it is."""
        return not any(self[: self._fields.index("brow")])

    def plus(self, other: "Motion") -> "Motion":
        """Both at once."""
        return Motion(*(a + b for a, b in zip(self, other, strict=True)))

    def times(self, share: float) -> "Motion":
        """A part of it."""
        return Motion(*(share * a for a in self))


STILL: Final = Motion()

Mover = Callable[[NDArray[np.uint8], Motion], None]
"""Moves the figure in a composed picture, in place, whatever mouth is in it. Any thread. Shapes: as ``compose``'s."""
