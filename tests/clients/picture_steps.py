"""Measuring decoded pictures: how far one steps from the next, inside and outside the mouth's box, and which it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.mover import FigureMover
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.engines.viseme.pose import VisemeState
from avatar.prepared import Box, PreparedAvatar, find_avatar, load_prepared
from tests.clients.recording_viewer import Picture

AVATARS = Path(__file__).resolve().parents[2] / "assets" / "avatars"
FRAME_TICKS = 3600
"""One picture at 25 frames a second on the 90 kHz clock."""
BLOCK = 16
"""Units: pixels. A macroblock's side."""

Luma = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Step:
    """How far one picture is from another, in steps of luma."""

    mean: float
    """Over all pixels that count."""
    block: float
    """The mean of the block that differs most."""


@dataclass(frozen=True, slots=True)
class Steps:
    """From one picture to the next."""

    body: Step
    """Outside the face, which speech moves: the mouth, and brows on stressed syllables."""
    unexplained: Step
    """The same, less what the avatar's own motion asks for: what is left is coding, and whatever should not be."""
    face: Step
    """As ``unexplained``, in the face outside the mouth's box."""
    mouth: Step
    """Inside the mouth's box."""


class Reference:
    """The avatar as it was made: its pictures with the mouth at rest, and where the mouth is in each."""

    def __init__(self, name: str = "nova", size: tuple[int, int] = (1280, 720)) -> None:
        self.avatar: PreparedAvatar = load_prepared(find_avatar(AVATARS, name), size)
        self._painter = MouthPainter(self.avatar)
        assert isinstance(self.avatar.state, VisemeState)
        self.face = FigureMover(self.avatar.state.view).face_box()
        self._shown: dict[int, NDArray[np.uint8]] = {}

    def __len__(self) -> int:
        return len(self.avatar.pictures)

    def luma(self, index: int) -> Luma:
        """Shapes: (height, width)."""
        index %= len(self)
        if index not in self._shown:
            patch = Patch(index, self.box(index), self._painter.paint(index, NEUTRAL))
            self._shown[index] = compose(self.avatar.pictures[index], patch)[: self.avatar.size[1]]
        return self._shown[index].astype(np.int16)

    def box(self, index: int) -> Box:
        """Where the mouth of a picture is."""
        return self._painter.box(index % len(self))

    def index_of(self, picture: Luma) -> int:
        """Which picture of the loop this most resembles."""
        small = picture[::8, ::8]
        height = self.avatar.size[1]
        differences = [np.abs(one[:height:8, ::8].astype(np.int16) - small).mean() for one in self.avatar.pictures]
        return int(np.argmin(differences))


def luma_of(picture: Picture) -> Luma:
    """Shapes: (height, width)."""
    return picture.i420()[: picture.frame.height].astype(np.int16)


class Aligned:
    """A recording whose every picture is known by its place in the avatar's loop."""

    def __init__(self, reference: Reference, pictures: Sequence[Picture]) -> None:
        self.reference = reference
        self.pictures = list(pictures)
        first = self.pictures[0]
        self._first_time = first.rtp_time
        self._first_index = reference.index_of(luma_of(first))

    def index(self, position: int) -> int:
        """The loop's picture under a recorded one, by media time."""
        elapsed = self.pictures[position].rtp_time - self._first_time
        return (self._first_index + elapsed // FRAME_TICKS) % len(self.reference)

    def from_idle(self, position: int) -> float:
        """How far the mouth's box is from the idle picture: the coding error while idle, much more while it speaks."""
        index = self.index(position)
        difference = np.abs(luma_of(self.pictures[position]) - self.reference.luma(index))
        return float(difference[window(self.reference.box(index))].mean())

    def steps(self, position: int) -> Steps:
        """From the picture before to this one."""
        seen = luma_of(self.pictures[position]) - luma_of(self.pictures[position - 1])
        meant = self.reference.luma(self.index(position)) - self.reference.luma(self.index(position - 1))
        boxes = [window(self.reference.box(self.index(at))) for at in (position - 1, position)]
        outside, face, inside = np.ones(seen.shape, bool), np.zeros(seen.shape, bool), np.zeros(seen.shape, bool)
        face[window(self.reference.face)] = True
        outside[window(self.reference.face)] = False
        for box in boxes:
            outside[box], face[box], inside[box] = False, False, True
        return Steps(
            body=step_within(np.abs(seen), outside),
            unexplained=step_within(np.abs(seen - meant), outside),
            face=step_within(np.abs(seen - meant), face),
            mouth=step_within(np.abs(seen), inside),
        )


def window(box: Box) -> tuple[slice, slice]:
    """A box as an index of a picture."""
    return slice(box.y, box.y + box.height), slice(box.x, box.x + box.width)


def step_within(difference: Luma, mask: NDArray[np.bool_]) -> Step:
    """The mean difference where the mask is set, in all and in the worst block that is wholly inside."""
    height, width = (side // BLOCK * BLOCK for side in difference.shape)
    shape = (height // BLOCK, BLOCK, width // BLOCK, BLOCK)
    blocks = difference[:height, :width].reshape(shape).mean(axis=(1, 3))
    whole = mask[:height, :width].reshape(shape).all(axis=(1, 3))
    return Step(float(difference[mask].mean()), float(blocks[whole].max()))
