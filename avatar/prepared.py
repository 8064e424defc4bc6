"""A prepared avatar: a directory on disk, immutable, named by its content hash.

    avatar.json              name, title, engine, fps, number of pictures, sizes, files
    idle-1280x720.mp4 ...    the pictures of the idle loop, one film a size
    (whatever else the engine needs: the viseme engine keeps each picture's pose)

A picture's index in the loop is a function of media time alone (``picture_at``), so that idle and speech share one body
motion and a switch between them has no jump.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Box(NamedTuple):
    """A rectangle in a picture. Units: pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class PreparedAvatar:
    """A prepared avatar in memory, at one size; shared by all streams that show it."""

    name: str
    title: str
    engine: str
    fps: int
    """Pictures a second of the idle loop as it was made."""
    size: tuple[int, int]
    """Units: pixels, (width, height), both even."""
    pictures: NDArray[np.uint8]
    """Shapes: (N, height * 3 // 2, width), planar YUV 4:2:0 (I420), BT.601 limited range. Read-only."""
    digest: str
    """Hash of everything in the directory that a viewer could see; names what is cached of it."""
    state: object
    """The engine's own, as its loader made it."""

    def picture_at(self, frame: int, fps: int) -> int:
        """Which picture is under video frame ``frame`` of a stream at ``fps``: idle motion keeps its natural speed."""
        return (frame * self.fps // fps) % len(self.pictures)
