"""The outline of a face through a video: what MuseTalk's boxes and masks are made of.

Where nobody names the points they follow from the face's box and the mouth, in the proportions of a grown person's
face: of about 0.6 of the cascade's box from the bridge of the nose to the chin, with the mouth half-way.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.faces import FaceTrack
from avatar.lips import Lips
from avatar.prepared import Box

_FROM_MOUTH: Final = 0.30
"""From the mouth to the chin, and to the third point of the nose's bridge. Units: the cascade's box."""
_HALF_WIDTH: Final = 0.75
"""Of the face, in its height from bridge to chin."""
_SQUARE: Final = 2.3
"""Exponent of the jaw's curve: 2 is an ellipse."""
_MOUTH_ROW: Final = 0.785
"""Where in the cascade's box the mouth is."""


@dataclass(frozen=True, slots=True)
class FacePoints:
    """Shapes: points (N, K, 2), the first 17 the line of the jaw from ear to ear; bridge (N, 2). Units: pixels."""

    points: NDArray[np.float64]
    bridge: NDArray[np.float64]
    """The third of four points down the nose's bridge."""

    def moved(self, moves: NDArray[np.float64]) -> "FacePoints":
        """One picture's points in all of them. Shapes: moves (N, 2, 3)."""
        turns, shifts = moves[:, :, :2], moves[:, :, 2]
        points = np.einsum("nij,kj->nki", turns, self.points[0]) + shifts[:, None]
        return FacePoints(points, turns @ self.bridge[0] + shifts)


def guessed_points(box: Box, lips: Lips) -> FacePoints:
    """Of a face of which nothing else is known. One picture's: N is 1."""
    down = np.array([-np.sin(lips.tilt), np.cos(lips.tilt)])
    mouth, away = np.array([lips.x, lips.y]), _FROM_MOUTH * box.width
    chin, bridge = mouth + away * down, mouth - away * down
    return FacePoints(jaw_line(chin, bridge)[None], bridge[None])


def jaw_line(chin: NDArray[np.float64], bridge: NDArray[np.float64]) -> NDArray[np.float64]:
    """From ear to ear. Shapes: (2,), (2,) -> (17, 2)."""
    down = chin - bridge
    across = _HALF_WIDTH * np.array([down[1], -down[0]])
    angle = np.linspace(0, np.pi, 17)
    aside, below = np.cos(angle), np.sin(angle)
    aside = -np.sign(aside) * np.abs(aside) ** (2 / _SQUARE)
    return np.asarray(bridge + aside[:, None] * across + (np.abs(below) ** (2 / _SQUARE))[:, None] * down)


def box_of(chin: NDArray[np.float64], bridge: NDArray[np.float64], mouth: NDArray[np.float64]) -> Box:
    """As the cascade would frame a face with these points."""
    side = float(np.hypot(*(chin - bridge))) / (2 * _FROM_MOUTH)
    middle = (mouth[0] + bridge[0]) / 2
    return Box(round(middle - side / 2), round(float(mouth[1]) - _MOUTH_ROW * side), round(side), round(side))


def points_through(track: FaceTrack, lips: Lips) -> FacePoints:
    """Of all pictures, where only track and mouth are known."""
    return guessed_points(track.box, lips).moved(track.moves)
