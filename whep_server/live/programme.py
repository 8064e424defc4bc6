"""What is put on air, and what it is called where its name may not be seen."""

from dataclasses import dataclass

from avatar.messages import AvatarInfo, OpenStream, VideoFormat
from whep_server.log import shown_id


def key_of(name: str, *, listed: bool) -> str:
    """What the worker and the log call a stream: its name, or for one that is secret what leads no way back to it.

    The slash keeps it apart from all names.
    """
    return name if listed else f"unlisted/{shown_id(name)}"


@dataclass(frozen=True, slots=True)
class Programme:
    """An avatar at a format, under a name."""

    name: str
    avatar: AvatarInfo
    video: VideoFormat
    drawn_fps: int = 0
    """As in ``OpenStream``."""
    listed: bool = True
    """Whether everybody may know its name; else who knows it may use the stream."""

    @property
    def key(self) -> str:
        """As ``key_of``."""
        return key_of(self.name, listed=self.listed)

    @property
    def opening(self) -> OpenStream:
        """What makes it known to a worker."""
        return OpenStream(self.key, self.avatar.name, self.video, self.drawn_fps)
