"""A prepared avatar: a directory on disk, immutable, named by its content hash.

    avatar.json              name, title, engine, fps, number of pictures, sizes, files
    idle-1280x720.mp4 ...    the pictures of the idle loop, one film a size
    poster-1280x720.jpg ...  its first picture, mouth shut
    loop.mp4                 the whole loop as viewers see it, mouth shut
    (whatever else the engine needs: the viseme engine keeps each picture's pose)

A picture's index in the loop is a function of media time alone (``picture_at``), so that idle and speech share one body
motion and a switch between them has no jump.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import av
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.musetalk_state import MASK_VERSION, load_source, state_for
from avatar.engines.view import View
from avatar.engines.viseme import pose as viseme_pose
from avatar.engines.viseme.mouth import PAINTER_VERSION
from avatar.engines.viseme.warp_state import WARP_VERSION, load_warp_state
from avatar.formats import NEUTRAL_POSE, POSES

FORMAT: Final = 1
"""Version of the directory's layout."""
_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
"""The original server's, but for a dot in front: such directories are ours, of avatars that are being made."""
_FILE: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MOST_PICTURES: Final = 1500  # a minute at 25 fps; every picture is held in memory
_MOST_PIXELS: Final = 1920 * 1080


class AvatarInvalid(Exception):
    """A prepared avatar that cannot be shown: missing, damaged or inconsistent."""


class Box(NamedTuple):
    """A rectangle in a picture. Units: pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, slots=True, weakref_slot=True)
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
    there_and_back: bool = False
    """The pictures are shown forward, then backward: a film whose ends do not meet still loops without a jump."""

    @property
    def loop_length(self) -> int:
        """Steps of the idle loop, each a picture."""
        return len(self.pictures) * (2 if self.there_and_back else 1)

    def picture_at(self, frame: int, fps: int) -> int:
        """Which picture is under video frame ``frame`` of a stream at ``fps``: idle motion keeps its natural speed."""
        step = (frame * self.fps // fps) % self.loop_length
        return min(step, 2 * len(self.pictures) - 1 - step)


class SizeEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One size of an avatar, as avatar.json lists it."""

    width: int
    height: int
    film: str
    poster: str
    view: tuple[float, float, float]
    """Left, top and width of what the size shows, in the engine's own units."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """avatar.json."""

    format: int
    name: str
    title: str
    engine: str
    fps: int
    pictures: int
    palette: str
    sizes: list[SizeEntry]
    files: list[str]
    """What the engine keeps beside the films and what a viewer could see of it."""
    painter: str = "drawn"
    """How a mouth is shown: the viseme engine's ``drawn`` over the picture, or ``warp``: the picture's own one, moved;
    the musetalk engine's under a ``mask``."""
    there_and_back: bool = False
    """As ``PreparedAvatar`` has it."""

    @property
    def poses(self) -> tuple[str, ...]:
        """Those that the figure can take: a drawn one can be moved, a filmed one stands before what is in focus."""
        return POSES if self.painter == "drawn" else (NEUTRAL_POSE,)


_Loader = Callable[[Path, SizeEntry, Manifest], object]


def _view(entry: SizeEntry) -> View:
    x, y, width = entry.view
    if not width > 0:
        raise ValueError(f"view of width {width}")
    return View(x, y, width, (entry.width, entry.height))


def _load_drawn(directory: Path, entry: SizeEntry, manifest: Manifest) -> object:
    return viseme_pose.load_state(directory, _view(entry), manifest.pictures, manifest.palette)


def _load_warp(directory: Path, entry: SizeEntry, manifest: Manifest) -> object:
    return load_warp_state(directory, _view(entry), manifest.pictures)


def _load_mask(directory: Path, entry: SizeEntry, manifest: Manifest) -> object:
    return state_for(load_source(directory, manifest.pictures), _view(entry))


_ENGINES: Final[dict[tuple[str, str], tuple[_Loader, int]]] = {
    ("viseme", "drawn"): (_load_drawn, PAINTER_VERSION),
    ("viseme", "warp"): (_load_warp, WARP_VERSION),
    ("musetalk", "mask"): (_load_mask, MASK_VERSION),
}
"""How each engine and painter loads its state, and the version of what it shows."""


def is_name(name: str) -> bool:
    """Whether an avatar could be called so: a name of a directory and nothing else, with nothing to escape in a URL."""
    return _NAME.fullmatch(name) is not None


def find_avatar(root: Path, name: str) -> Path:
    """The directory of the avatar ``name`` under ``root``. Errors: AvatarInvalid for no such avatar or no such name."""
    if not is_name(name):
        raise AvatarInvalid(f"{name[:80]!r} is no avatar's name: letters, digits, dots, hyphens and underscores only")
    directory = root / name
    if not (directory / "avatar.json").is_file():
        raise AvatarInvalid(f"no avatar named {name!r}")
    return directory


def read_manifest(directory: Path) -> Manifest:
    """What avatar.json says. Errors: AvatarInvalid where it is missing or says what cannot be."""
    try:
        manifest = msgspec.json.decode((directory / "avatar.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise AvatarInvalid(f"avatar.json: {error}") from error
    if manifest.format != FORMAT:
        raise AvatarInvalid(f"avatar.json: format {manifest.format}, this version reads {FORMAT}")
    if (manifest.engine, manifest.painter) not in _ENGINES:
        raise AvatarInvalid(f"avatar.json: unknown engine {manifest.engine[:40]!r}, painter {manifest.painter[:40]!r}")
    if not (1 <= manifest.fps <= 60 and 1 <= manifest.pictures <= _MOST_PICTURES):
        raise AvatarInvalid(f"avatar.json: {manifest.pictures} pictures at {manifest.fps} fps")
    names = [name for entry in manifest.sizes for name in (entry.film, entry.poster)] + manifest.files
    if not all(_FILE.fullmatch(name) for name in names):
        raise AvatarInvalid("avatar.json: a file's name is not a plain name")
    for entry in manifest.sizes:
        if entry.width % 2 or entry.height % 2 or not 0 < entry.width * entry.height <= _MOST_PIXELS:
            raise AvatarInvalid(f"avatar.json: size {entry.width}x{entry.height}")
    return manifest


def load_prepared(directory: Path, size: tuple[int, int]) -> PreparedAvatar:
    """The avatar in ``directory`` at ``size`` (width, height).

    Errors: AvatarInvalid where a file is missing, damaged or does not agree with the others, or the size is not there.
    """
    manifest = read_manifest(directory)
    entry = next((each for each in manifest.sizes if (each.width, each.height) == tuple(size)), None)
    if entry is None:
        there = ", ".join(f"{each.width}x{each.height}" for each in manifest.sizes)
        raise AvatarInvalid(f"{manifest.name}: no size {size[0]}x{size[1]}; there are {there}")
    loader, version = _ENGINES[manifest.engine, manifest.painter]
    try:
        state = loader(directory, entry, manifest)
        digest = _digest(directory, entry, manifest, version)
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise AvatarInvalid(f"{manifest.name}: {error}") from error
    pictures = _decode(directory / entry.film, entry, manifest.pictures)
    return PreparedAvatar(
        manifest.name,
        manifest.title,
        manifest.engine,
        manifest.fps,
        (entry.width, entry.height),
        pictures,
        digest,
        state,
        manifest.there_and_back,
    )


def _digest(directory: Path, entry: SizeEntry, manifest: Manifest, version: int) -> str:
    painter = "" if manifest.painter == "drawn" else f" {manifest.painter}"
    whole = hashlib.sha256(f"{FORMAT} {manifest.engine}{painter} {version}".encode())
    for name in ("avatar.json", entry.film, *sorted(manifest.files)):
        content = (directory / name).read_bytes()
        whole.update(f"\0{name}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def _decode(film: Path, entry: SizeEntry, count: int) -> NDArray[np.uint8]:
    """All pictures of a film as I420. Shapes: (count, height * 3 // 2, width)."""
    pictures = np.empty((count, entry.height * 3 // 2, entry.width), np.uint8)
    seen = 0
    try:
        with av.open(str(film)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                if (frame.width, frame.height, frame.format.name) != (entry.width, entry.height, "yuv420p"):
                    raise AvatarInvalid(f"{film.name}: pictures of {frame.width}x{frame.height} {frame.format.name}")
                if seen == count:
                    raise AvatarInvalid(f"{film.name}: more than {count} pictures")
                pictures[seen] = frame.to_ndarray()
                seen += 1
    except (OSError, IndexError, ValueError) as error:  # PyAV's errors are OSErrors or ValueErrors too
        raise AvatarInvalid(f"{film.name}: {error}") from error
    if seen != count:
        raise AvatarInvalid(f"{film.name}: {seen} pictures, avatar.json says {count}")
    pictures.setflags(write=False)
    return pictures
