"""What the worker says of the avatars in its memory: messages, in ``avatar.messages``' unions."""

import msgspec


class HeldAvatar(msgspec.Struct, frozen=True):
    """An avatar in memory, at one size."""

    name: str
    width: int
    height: int
    held_bytes: int
    """Its pictures, and what its engine keeps beside them."""
    streams: int
    """That show it. One that nobody shows goes when others need the room."""
    loads: int
    """Times that it was loaded, since the worker's start."""


class AvatarsHeld(msgspec.Struct, frozen=True, tag=True):
    """All avatars in memory; said whenever that changes, and when a stream has found one there."""

    held: list[HeldAvatar]
    """The one that was asked for last at the end."""
    hits: int
    """Times that a stream found its avatar there, since the worker's start."""
    misses: int
    """Times that one was loaded."""
    evictions: int
    """Times that one had to go."""
