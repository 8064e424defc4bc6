"""What server and worker say about a user's own avatars: messages, in ``avatar.messages``' unions.

A video goes as a path and not as bytes: it may have 512 MB, and server and worker run on one machine. Across machines
it would come in pieces, as ``SpeechData`` does.
"""

from enum import StrEnum

import msgspec

from avatar.formats import NEUTRAL_POSE
from avatar.quality import Quality


class AvatarInfo(msgspec.Struct, frozen=True):
    """An avatar that can go on air."""

    name: str
    title: str
    engine: str
    sizes: list[tuple[int, int]]
    shipped: bool = True
    """It came with the program and can be neither replaced nor deleted."""
    poses: tuple[str, ...] = (NEUTRAL_POSE,)
    """Those that its figure can take."""


class PrepareAvatar(msgspec.Struct, frozen=True, tag=True):
    """Make an avatar, in place of one of that name; answered by ``AvatarPrepared`` or ``AvatarRefused``."""

    job: str
    avatar: str
    title: str
    video: str
    """A file, of a video or a photo. It is read until the answer comes."""
    sizes: list[tuple[int, int]]
    engine: str = "viseme"
    """``viseme`` or ``musetalk``."""
    landmarks: str = ""
    """A file with points of the face (``avatar.landmarks``), read as long; found in the pictures where it is empty."""


class CancelAvatar(msgspec.Struct, frozen=True, tag=True):
    """Make no avatar of this order: it is refused, unless the answer to it is under way already."""

    job: str


class DropAvatar(msgspec.Struct, frozen=True, tag=True):
    """Forget an avatar's pictures, and with ``from_disk`` delete it; answered by ``AvatarDropped`` or refused."""

    job: str
    avatar: str
    from_disk: bool


class AvatarStep(msgspec.Struct, frozen=True, tag=True):
    """How far an order is: its turn has come, a new stage, or more of one; a few a second at most."""

    job: str
    stage: str
    """In words."""
    done: float
    """0 to 1, of all."""


class AvatarPrepared(msgspec.Struct, frozen=True, tag=True):
    """The avatar can go on air."""

    job: str
    avatars: list[AvatarInfo]
    """All there are now."""
    notes: list[str]
    """What was left out, in words."""
    quality: Quality


class AvatarDropped(msgspec.Struct, frozen=True, tag=True):
    """Done."""

    job: str
    evicted: bool
    """Its pictures were in memory."""
    path: str
    """The directory that was deleted, or nothing."""
    avatars: list[AvatarInfo]


class AvatarRefusal(StrEnum):
    """Why nothing came of it; each has its own HTTP status."""

    VIDEO = "video"
    """No avatar can be made of it."""
    KEPT = "kept"
    """It is shipped."""
    UNKNOWN = "unknown"
    TROUBLE = "trouble"
    """Ours: a disk that is full, for example."""
    CANCELLED = "cancelled"
    """Somebody asked for that."""


class AvatarRefused(msgspec.Struct, frozen=True, tag=True):
    """Nothing has changed."""

    job: str
    reason: AvatarRefusal
    detail: str
