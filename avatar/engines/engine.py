"""What an engine is: speech of several streams in, mouth patches for pictures of their idle loops out.

The worker owns time. It pushes the samples of a live stretch (speech, and the silence around it) into a slot, asks how
many video frames can be made, and has them made in one batched call over all streams. An engine knows neither streams,
utterances nor clocks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.motion import STILL, Motion, Mover
from avatar.prepared import Box, PreparedAvatar

REWIND_S: Final = 16
"""So far back a slot can go: what is recorded is made up to 15 s ahead of its time, and may be interrupted then."""


@dataclass(frozen=True, slots=True)
class Patch:
    """A mouth, drawn in the pose of one picture of the idle loop."""

    picture: int
    """Index of the picture in the avatar's idle loop."""
    box: Box
    """Where it goes in the picture; all four numbers even, so that it falls on whole chroma samples."""
    rgba: NDArray[np.uint8]
    """Shapes: (box.height, box.width, 4). Colour premultiplied by alpha; alpha 0 leaves the picture as it is."""
    accent: Motion = STILL
    """What the head does to stress what is said, where the avatar has a ``mover``."""


Drawing = Callable[[], Patch]
"""A patch that is yet to be drawn. Any thread may call it, once, also beside the engine's next steps."""


@dataclass(frozen=True, slots=True)
class FrameJob:
    """One video frame that a slot is to make."""

    picture: int
    """Which picture of the idle loop is under it."""
    strength: float = 1.0
    """How much of the heard mouth is shown: 1 all of it, 0 the neutral mouth. Eases speech in and out."""
    draw: bool = True
    """False advances the slot's state without drawing: the frame is too late to be shown."""


@dataclass(frozen=True, slots=True)
class Work:
    """The next frames of one slot, in order."""

    slot: int
    frames: Sequence[FrameJob]
    slack_s: float = 0.0
    """So long before its time the first of them is asked for: what has the least is made first."""


class Engine(Protocol):
    """Speech to mouth patches, for many streams at once. Not thread-safe: one thread calls it."""

    name: str
    sample_rate: int
    """Units: Hz, of the samples pushed."""
    lookahead_samples: int
    """A frame at sample t needs audio up to t + lookahead_samples."""
    max_batch: int
    """Most slots that one step may name."""
    hurried_fps: int
    """Pictures a second that are drawn at most while the worker does not keep up, all shown for equally long: for 15 it
    is 15 of 30, 12.5 of 25, 10 of 20. 0: all, for other things cost more than drawing."""

    speed: float
    """Pictures a second that it makes, all slots together, as found at its start; 0 where they cost CPU time alone."""

    @property
    def idle(self) -> bool:
        """Whether it has a processor of its own, apart from the worker's threads, that nothing waits for now."""
        ...

    def open(self, avatar: PreparedAvatar, fps: int) -> int:
        """A fresh slot for one stream; frame j since the last reset shows sample j * sample_rate / fps."""
        ...

    def close(self, slot: int) -> None:
        """Free the slot."""
        ...

    def reset(self, slot: int) -> None:
        """Forget everything pushed: the next sample is sample 0 of frame 0, the mouth is neutral."""
        ...

    def push(self, slot: int, samples: NDArray[np.float32]) -> None:
        """Append mono samples in [-1, 1], any number of them. Cheap: no model call."""
        ...

    def ready(self, slot: int) -> int:
        """How many further frames the pushed samples suffice for, lookahead included."""
        ...

    def step(self, work: Sequence[Work]) -> list[list[Drawing | None]]:
        """Make frames: one batched model call, then a drawing for each frame (None where ``draw`` is False).

        Errors: ValueError where a slot is asked for more frames than ``ready`` says.
        """
        ...

    def rewind(self, slot: int, frame: int, heard: int) -> None:
        """Go back: ``frame`` is the next one, and the next sample pushed follows the first ``heard``.

        Both are counted from the last reset, ``heard`` is a multiple of 20 ms; frames of the last ``REWIND_S`` can be
        made again. A mouth that was shaped by samples which are forgotten now may stay as it was, as far as it belongs
        to the time before ``heard``.

        Errors: ValueError where it was never that far, or is too far by now.
        """
        ...

    def mover(self, avatar: PreparedAvatar) -> Mover | None:
        """What moves the avatar's figure in its pictures; None where it has no poses but the one they show."""
        ...

    def neutral(self, slot: int, picture: int) -> Patch:
        """The neutral mouth on ``picture``: idle pictures are composed with it, so idle and speech agree exactly."""
        ...
