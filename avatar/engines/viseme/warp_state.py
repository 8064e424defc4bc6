"""What the warping painter keeps of a prepared avatar: where the mouth is in each picture. Numpy only.

``poses.npy`` has a matrix a picture, from the mouth's own units (the middle of the line between the lips at 0, its ends
at -1 and 1, y down) to pixels of the video; ``lips.json`` what is the same in all of them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.engines.view import View
from avatar.engines.viseme.pose import load_matrices

WARP_VERSION: Final = 1
"""Of what the painter makes; a part of what is cached."""
_MOST_BOW: Final = 1.0


class LipsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """lips.json."""

    bow: float
    """How much lower than its middle the ends of the line between the lips are. Units: mouth units."""


@dataclass(frozen=True, slots=True)
class WarpState:
    """The mouth at one size."""

    matrices: NDArray[np.float64]
    """Mouth units to pixels of each picture. Shapes: (N, 2, 3). Read-only."""
    bow: float


def load_warp_state(directory: Path, view: View, pictures: int) -> WarpState:
    """Errors: ValueError, OSError where a file is missing or says what cannot be."""
    matrices = load_matrices(directory, view, pictures)
    lips = msgspec.json.decode((directory / "lips.json").read_bytes(), type=LipsFile)
    if not abs(lips.bow) <= _MOST_BOW:
        raise ValueError(f"lips.json: bow {lips.bow}")
    if not (np.linalg.det(matrices[:, :, :2]) > 1).all():
        raise ValueError("poses.npy: a mouth without extent")
    return WarpState(matrices, lips.bow)


def save_warp_state(directory: Path, matrices: NDArray[np.float64], bow: float) -> None:
    """What ``load_warp_state`` reads. Shapes: matrices (N, 2, 3), to pixels of the video."""
    np.save(directory / "poses.npy", matrices.astype(np.float64))
    (directory / "lips.json").write_bytes(msgspec.json.encode(LipsFile(bow)) + b"\n")
