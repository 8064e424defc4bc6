"""An avatar's directory as the MuseTalk API server has written it, read as it is.

    avator_info.json      (spelt so) what it was made of
    full_imgs/%08d.png    the pictures, forward and then backward
    mask/%08d.png         the mask of each, over its crop
    coords.pkl            the face in each picture, mask_coords.pkl the crop
    latents.pt            the face's latents in each: a list of (1, 8, 32, 32), or one tensor (2N, [1,] 8, 32, 32)

The second half repeats the first, so only N pictures are kept and the way back is a matter of counting; where it does
not, all are. A loop lasts whole seconds, so that it has whole frames at every rate: of N pictures the last few, which
do not fill one, are left out.

What does not fit together is refused with the reason: a face that was not found in some pictures makes the latents
fewer than the pictures, and then every mouth would sit on the wrong one. Pickles are read by ``plain_pickles``, tensors
by PyTorch with nothing but weights allowed.
"""

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Final

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.musetalk_state import MASK_VERSION, Source, state_for
from avatar.engines.musetalk.plain_pickles import NotPlain, read_rows
from avatar.engines.view import View
from avatar.prepared import AvatarInvalid, PreparedAvatar
from avatar.window import Window, window_for

INFO: Final = "avator_info.json"
FPS: Final = 25
"""Pictures a second where the video does not tell."""
_MOST_PICTURES: Final = 3000
"""A minute at 25, there and back."""
_MOST_LATENTS_BYTES: Final = 512 * 1024 * 1024
_MOST_SIDE: Final = 4096
_LARGEST: Final = 1920 * 1080
"""Pixels that a stream can have."""


@dataclass(frozen=True, slots=True)
class Original:
    """A directory whose parts fit together."""

    directory: Path
    images: list[Path]
    """Those that are shown, N or all."""
    source: Source
    there_and_back: bool
    fps: int
    size: tuple[int, int]
    """Of its pictures, (width, height)."""


def is_original(directory: Path) -> bool:
    """Whether it looks like such a directory, whatever state it is in."""
    return (directory / INFO).is_file()


def picture_size(directory: Path) -> tuple[int, int]:
    """Of its pictures, from the first one's header. Errors: AvatarInvalid."""
    images = _numbered(directory / "full_imgs")
    if not images:
        raise AvatarInvalid("full_imgs holds no picture")
    with images[0].open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        raise AvatarInvalid(f"full_imgs/{images[0].name} is no PNG picture")
    width, height = struct.unpack(">II", head[16:24])
    if not (16 <= width <= _MOST_SIDE and 16 <= height <= _MOST_SIDE):
        raise AvatarInvalid(f"pictures of {width}x{height}")
    return width, height


def sizes_offered(directory: Path, usual: tuple[int, int]) -> list[tuple[int, int]]:
    """At which it can be shown: the server's usual size, and its pictures' own. Errors: AvatarInvalid."""
    width, height = (side & ~1 for side in picture_size(directory))
    own = [(width, height)] if width * height <= _LARGEST else []
    return list(dict.fromkeys([usual, *own]))


def open_original(directory: Path) -> Original:
    """Read everything but the pictures. Errors: AvatarInvalid where it is damaged or does not fit together."""
    size = picture_size(directory)
    images, masks = _numbered(directory / "full_imgs"), _numbered(directory / "mask")
    try:
        faces, crops = (_boxes(directory / name) for name in ("coords.pkl", "mask_coords.pkl"))
        latents = _latents(directory / "latents.pt")
    except OSError as error:
        raise AvatarInvalid(f"{Path(error.filename or directory).name}: {error.strerror or error}") from error
    counts = {
        "pictures": len(images),
        "masks": len(masks),
        "faces": len(faces),
        "crops": len(crops),
        "latents": len(latents),
    }
    if len(set(counts.values())) > 1:
        said = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise AvatarInvalid(
            f"{said}: in some pictures no face was found, and what belongs together cannot be told any more"
        )
    without = next((number for number, box in enumerate(faces) if not (box[2] > box[0] and box[3] > box[1])), None)
    if without is not None:
        raise AvatarInvalid(
            f"no face was found in picture {without}: prepare it anew, of a video that shows one throughout"
        )
    fps = _rate(directory)
    count, there_and_back = _shown(fps, faces, crops, latents)
    source = Source(latents[:count], faces[:count], crops[:count], [_mask(path) for path in masks[:count]])
    return Original(directory, images[:count], source, there_and_back, fps, size)


def load_original(directory: Path, size: tuple[int, int]) -> PreparedAvatar:
    """The avatar at any size. Errors: AvatarInvalid."""
    original = open_original(directory)
    window = window_of(original, size)
    try:
        state = state_for(original.source, View(window.x, window.y, window.width, window.size))
    except ValueError as error:
        raise AvatarInvalid(str(error)) from error
    pictures = np.empty((len(original.images), size[1] * 3 // 2, size[0]), np.uint8)
    for number, path in enumerate(original.images):
        pictures[number] = window.show(read_picture(path, original.size))
    pictures.setflags(write=False)
    return PreparedAvatar(
        directory.name,
        title_of(directory),
        "musetalk",
        original.fps,
        size,
        pictures,
        _digest(directory, size),
        state,
        original.there_and_back,
    )


def window_of(original: Original, size: tuple[int, int]) -> Window:
    """What a size shows of the pictures: the largest part of its proportions about the face."""
    crops = original.source.crops
    left, top = (float(side) for side in crops[:, :2].min(axis=0))
    right, bottom = (float(side) for side in crops[:, 2:].max(axis=0))
    return window_for((original.size[1], original.size[0]), (left, top, right, bottom), size)


def read_picture(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """BGR. Errors: AvatarInvalid."""
    picture = _decoded(path, cv2.IMREAD_COLOR)
    if picture is None or picture.shape[:2] != (size[1], size[0]):
        raise AvatarInvalid(f"{path.parent.name}/{path.name} is no picture of {size[0]}x{size[1]}")
    return np.asarray(picture, np.uint8)


def title_of(directory: Path) -> str:
    """What a person reads: the id it was made under. Errors: AvatarInvalid."""
    try:
        info = json.loads((directory / INFO).read_bytes())
    except (OSError, ValueError) as error:
        raise AvatarInvalid(f"{INFO}: {error}") from error
    name = info.get("avatar_id") if isinstance(info, dict) else None
    return name if isinstance(name, str) and 0 < len(name) <= 128 else directory.name


def _numbered(folder: Path) -> list[Path]:
    """PNG files by number: that is how they belong together. Errors: AvatarInvalid where one is missing between."""
    if not folder.is_dir():
        raise AvatarInvalid(f"the folder {folder.name} is missing")
    found = {int(path.stem): path for path in folder.glob("*.png") if path.stem.isdecimal()}
    if len(found) > _MOST_PICTURES:
        raise AvatarInvalid(f"{folder.name} holds {len(found)} pictures; {_MOST_PICTURES} at most")
    missing = next((number for number in range(len(found)) if number not in found), None)
    if missing is not None:
        raise AvatarInvalid(f"{folder.name}/{missing:08d}.png is missing")
    return [found[number] for number in range(len(found))]


def _boxes(path: Path) -> NDArray[np.float32]:
    """Shapes: -> (n, 4). Errors: OSError, AvatarInvalid."""
    try:
        rows = read_rows(path)
    except NotPlain as error:
        raise AvatarInvalid(f"{path.name}: {error}") from error
    if not rows or any(len(row) != 4 for row in rows):
        raise AvatarInvalid(f"{path.name}: an entry that is no box")
    boxes = np.array(rows, np.float32)
    if not (np.abs(boxes) <= 2 * _MOST_SIDE).all():
        raise AvatarInvalid(f"{path.name}: a box far outside the picture")
    return boxes


def _latents(path: Path) -> NDArray[np.float16]:
    """Shapes: -> (n, 8, 32, 32). Errors: OSError, AvatarInvalid."""
    import torch

    if path.stat().st_size > _MOST_LATENTS_BYTES:
        raise AvatarInvalid(f"{path.name}: {path.stat().st_size} bytes")
    try:
        held = torch.load(path, map_location="cpu", weights_only=True)
        listed = held if isinstance(held, torch.Tensor) else torch.stack(list(held))
        latents = listed.detach().to(torch.float16).numpy()
    except (RuntimeError, UnpicklingError, TypeError, EOFError, ValueError, AttributeError, KeyError) as error:
        raise AvatarInvalid(f"{path.name} holds no latents: {str(error).splitlines()[0][:120]}") from error
    if latents.ndim == 5 and latents.shape[1] == 1:
        latents = latents[:, 0]
    if latents.shape[1:] != (8, 32, 32):
        raise AvatarInvalid(f"{path.name}: latents of shape {latents.shape}")
    return np.ascontiguousarray(latents)


def _shown(fps: int, *parts: NDArray[np.float32] | NDArray[np.float16]) -> tuple[int, bool]:
    """How many pictures are shown, and whether there and back. Errors: AvatarInvalid for less than a second."""
    count = len(parts[0])
    mirrored = count % 2 == 0 and all(np.array_equal(part, part[::-1]) for part in parts)
    there = count // 2 if mirrored else count
    if there < fps:
        raise AvatarInvalid(f"{there} pictures at {fps} a second; one second is needed")
    return there - there % fps, mirrored or there % fps > 0


def _mask(path: Path) -> NDArray[np.uint8]:
    mask = _decoded(path, cv2.IMREAD_GRAYSCALE)
    if mask is None or max(mask.shape) > _MOST_SIDE:
        raise AvatarInvalid(f"mask/{path.name} is no mask")
    return np.asarray(mask, np.uint8)


def _decoded(path: Path, kind: int) -> NDArray[np.uint8] | None:
    """None where it is no picture."""
    try:
        return cv2.imdecode(np.fromfile(path, np.uint8), kind)  # type: ignore[return-value]  # loosely typed
    except cv2.error:  # an empty file
        return None


def _rate(directory: Path) -> int:
    """Pictures a second of the video it was made of."""
    video = directory / "input_video.mp4"
    if not video.is_file():
        return FPS
    try:
        with av.open(str(video)) as container:
            rate = container.streams.video[0].average_rate
    except (OSError, ValueError, IndexError):
        return FPS
    return min(60, max(1, round(rate))) if rate else FPS


def _digest(directory: Path, size: tuple[int, int]) -> str:
    """Large files by size and time: to read hundreds of megabytes for a name would take longer than to show them."""
    whole = hashlib.sha256(f"original {MASK_VERSION} {size}".encode())
    for path in sorted([*directory.glob("full_imgs/*.png"), *directory.glob("mask/*.png"), directory / "latents.pt"]):
        about = path.stat()
        whole.update(f"\0{path.relative_to(directory)}\0{about.st_size}\0{about.st_mtime_ns}".encode())
    for name in ("coords.pkl", "mask_coords.pkl"):
        whole.update((directory / name).read_bytes())
    return whole.hexdigest()
