"""The body's motion through the idle loop, and where it carries each point of the portrait.

Every motion is made of whole harmonics of the loop, or of events inside it, so the last picture flows into the first.
One smooth field moves the whole figure (``displacement``): the head turns, nods and rolls about the neck, the shoulders
breathe, and what lies between follows. Numpy only: the loader of prepared avatars uses this module.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.view import View
from avatar.engines.viseme.palette import PALETTES, Palette

PICTURES: Final = 200
FPS: Final = 25
_CALM: Final = 22
"""The loop begins where the body moves least: a step between two encodings of it shows least there."""
_NECK: Final = (500.0, 770.0)
# Lids at successive pictures of a blink: down in 80 ms, up in 200 ms, as people do.
_BLINK: Final = (0.72, 0.22, 0.0, 0.06, 0.34, 0.64, 0.85, 0.95)
_BLINKS: Final = (21, 84, 92, 151)
# Picture at which the gaze jumps, and where to (design units right, down).
_SACCADES: Final = (
    (8, 0.0, 0.0),
    (43, 1.7, -0.3),
    (66, 0.2, 0.2),
    (86, -1.5, 0.3),
    (118, 0.4, -0.6),
    (150, 0.0, 0.1),
    (178, -0.7, 0.4),
)


@dataclass(frozen=True, slots=True)
class Pose:
    """The figure in one picture. Units: design units and degrees."""

    sway: tuple[float, float]
    """Shift of the head."""
    roll: float
    yaw: float
    """-1..1, of a turn to the right of the picture."""
    pitch: float
    """-1..1, of a nod down."""
    breath: float
    """0 breathed out, 1 in."""
    lids: float
    """1 open, 0 shut."""
    gaze: tuple[float, float]
    brow: float


@dataclass(frozen=True, slots=True)
class VisemeState:
    """What the viseme engine keeps of a prepared avatar at one size."""

    matrices: NDArray[np.float64]
    """Shapes: (N, 2, 3): design units at the mouth to pixels, for each picture."""
    view: View
    palette: Palette

    @property
    def scale(self) -> float:
        """Pixels a design unit."""
        return self.view.scale


def pose_at(picture: int) -> Pose:
    """The pose in picture ``picture`` of the loop."""
    u = 2 * math.pi * (picture + _CALM) / PICTURES
    sin = math.sin
    return Pose(
        sway=(3.6 * sin(u) + 1.3 * sin(2 * u + 1.0), 1.1 * sin(2 * u + 0.4) - 0.8 * sin(3 * u)),
        roll=0.62 * sin(u + 0.6) + 0.22 * sin(3 * u),
        yaw=0.62 * sin(u + 1.2) + 0.26 * sin(2 * u),
        pitch=0.46 * sin(2 * u + 0.2) + 0.22 * sin(3 * u + 2),
        breath=0.5 - 0.5 * math.cos(2 * u + 0.5),
        lids=_lids_at(picture),
        gaze=_gaze_at(picture),
        brow=1.0 * max(0.0, sin(u + 2)) ** 2,
    )


def _lids_at(picture: int) -> float:
    opening = 0.97 + 0.03 * math.sin(2 * math.pi * picture / PICTURES)
    for start in _BLINKS:
        since = (picture - start) % PICTURES
        if since < len(_BLINK):
            opening = min(opening, _BLINK[since])
    return opening


def _gaze_at(picture: int) -> tuple[float, float]:
    """A jump takes two pictures; between jumps the eye drifts a little."""
    u = 2 * math.pi * picture / PICTURES
    index = max((i for i, (start, *_) in enumerate(_SACCADES) if start <= picture), default=len(_SACCADES) - 1)
    start, x, y = _SACCADES[index]
    _, old_x, old_y = _SACCADES[index - 1]
    done = min(1.0, ((picture - start) % PICTURES + 1) / 2)
    drift_x, drift_y = 0.16 * math.sin(7 * u) + 0.08 * math.sin(17 * u), 0.10 * math.sin(9 * u + 1)
    return old_x + (x - old_x) * done + drift_x, old_y + (y - old_y) * done + drift_y


def _smoothstep(low: float, high: float, value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip((value - low) / (high - low), 0, 1)
    smooth: NDArray[np.float64] = t * t * (3 - 2 * t)
    return smooth


def displacement(
    x: NDArray[np.float64], y: NDArray[np.float64], pose: Pose
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How far the pose carries the points of the resting portrait, in design units."""
    head = 1 - _smoothstep(610, 860, y)
    angle = math.radians(pose.roll)
    turn_x = (math.cos(angle) - 1) * (x - _NECK[0]) - math.sin(angle) * (y - _NECK[1])
    turn_y = math.sin(angle) * (x - _NECK[0]) + (math.cos(angle) - 1) * (y - _NECK[1])
    relief = 9.5 * np.exp(-(((x - 500) / 175) ** 2) - ((y - 450) / 250) ** 2)
    nose = 3.0 * np.exp(-(((x - 500) / 30) ** 2) - ((y - 492) / 26) ** 2)
    depth = relief + nose - 2.5
    chest = _smoothstep(700, 900, y)
    sway_x, sway_y = pose.sway
    dx = head * (turn_x + sway_x + pose.yaw * depth) + (1 - head) * (
        0.35 * sway_x + 0.012 * pose.breath * (x - 500) * chest
    )
    dy = (
        head * (turn_y + sway_y + 0.72 * pose.pitch * depth - 1.2 * pose.breath)
        - (1 - head) * 3.4 * pose.breath * chest
    )
    return dx, dy


def source_of(
    x: NDArray[np.float64], y: NDArray[np.float64], pose: Pose
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Which point of the resting portrait is seen at (x, y): the inverse of the displacement."""
    from_x, from_y = x, y
    for _ in range(3):
        dx, dy = displacement(from_x, from_y, pose)
        from_x, from_y = x - dx, y - dy
    return from_x, from_y


def mouth_matrix(picture: int) -> NDArray[np.float64]:
    """The best affine map of the displacement around the mouth, design units to design units. Shapes: (2, 3)."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.linspace(450, 550, 11), np.linspace(540, 620, 9)))
    dx, dy = displacement(x, y, pose_at(picture))
    points = np.stack([x, y, np.ones_like(x)], 1)
    solution = np.linalg.lstsq(points, np.stack([x + dx, y + dy], 1), rcond=None)[0]
    return np.asarray(solution.T, np.float64)


def _read(path: Path) -> NDArray[np.float64]:
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except EOFError as error:
        raise ValueError(f"{path.name}: {error}") from error


def load_state(directory: Path, view: View, pictures: int, palette: str) -> VisemeState:
    """Of a drawn figure at one size. Errors: ValueError, OSError where it is missing or not whole."""
    if palette not in PALETTES:
        raise ValueError(f"no palette {palette[:40]!r}")
    return VisemeState(load_matrices(directory, view, pictures), view, PALETTES[palette])


def load_matrices(directory: Path, view: View, pictures: int) -> NDArray[np.float64]:
    """Where the mouth is in each picture at one size: its own units to pixels. Shapes: (pictures, 2, 3), read-only.

    Errors: ValueError, OSError where the file is missing or not whole.
    """
    poses = _read(directory / "poses.npy")
    if poses.shape != (pictures, 2, 3) or poses.dtype != np.float64 or not np.isfinite(poses).all():
        raise ValueError(f"poses.npy: shape {poses.shape}, expected {(pictures, 2, 3)} of float64")
    square: NDArray[np.float64] = np.concatenate(
        [poses, np.broadcast_to([[[0.0, 0.0, 1.0]]], (pictures, 1, 3))], axis=1
    )
    matrices = np.ascontiguousarray((view.matrix() @ square)[:, :2])
    matrices.setflags(write=False)
    return matrices
