"""Points of a face, as a landmarks file has them: made up, of a face whose measures are known."""

import math
from typing import Any

Point = list[float]

SHAPE = (480, 640)
"""Height and width of the picture."""
_MOUTH = (320.0, 250.0)


def file_of(entries: list[Any], fps: float = 25, size: tuple[int, int] = (SHAPE[1], SHAPE[0])) -> dict[str, Any]:
    """A landmarks file."""
    return {"size": list(size), "fps": fps, "pictures": entries}


def six() -> dict[str, Point]:
    """A mouth 60 pixels wide about (320, 250), its ends 3 pixels higher; chin and bridge 60 below and above it."""
    x, y = _MOUTH
    return {
        "left_corner": [x - 30, y - 3],
        "right_corner": [x + 30, y - 3],
        "upper_lip": [x, y],
        "lower_lip": [x, y],
        "chin": [x, y + 60],
        "nose_bridge": [x, y - 60],
    }


def points_68(
    shift: float = 0.0, turn: float = 0.0, scale: float = 1.0, at: tuple[float, float] = _MOUTH
) -> list[Point]:
    """The same face in iBUG's scheme: moved to the right, turned (radians) about the mouth, which is ``at``."""
    jaw = [(-90 * math.cos(math.pi * k / 16), -60 + 120 * math.sin(math.pi * k / 16)) for k in range(17)]
    brows = [(-70 + 14 * k, -100) for k in range(5)] + [(14 + 14 * k, -100) for k in range(5)]
    nose = [(0, -84), (0, -72), (0, -60), (0, -48)] + [(-12 + 6 * k, -36) for k in range(5)]
    eyes = [(-55 + 6 * k, -84) for k in range(6)] + [(25 + 6 * k, -84) for k in range(6)]
    outer = [(-30, -3), *((-20 + 10 * k, -6) for k in range(5)), (30, -3), *((20 - 10 * k, 8) for k in range(5))]
    inner = [(-28, -3), (-10, -1), (0, 0), (10, -1), (28, -3), (10, 0), (0, 0), (-10, 0)]
    points = [*jaw, *brows, *nose, *eyes, *outer, *inner]
    cosine, sine = scale * math.cos(turn), scale * math.sin(turn)
    return [[at[0] + shift + cosine * x - sine * y, at[1] + sine * x + cosine * y] for x, y in points]
