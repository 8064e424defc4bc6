"""What the engine keeps of a prepared avatar: for each picture the face's latents, its place, the mouth's mask.

On disk, in our own form (``avatar.json``, N pictures shown forward and backward by index):

    latents.npy     (N, 8, 32, 32) float16, scaled for the UNet
    faces.npz       faces (N, 4) and crops (N, 4): left, top, right, bottom in pixels of the source picture
    masks.npz       mask of picture k as ``k``: (height, width) uint8 over its crop

Numpy and OpenCV only: the loader of prepared avatars uses this module.
"""

import io
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.view import View

MASK_VERSION: Final = 1
"""Of what is made of the mask; a part of what is cached."""
FACE: Final = 256
FILES: Final = ("faces.npz", "latents.npy", "masks.npz")
_DAMAGE: Final = (KeyError, EOFError, TypeError, zipfile.BadZipFile, zlib.error)
"""What reading a damaged file raises."""
_MOST_MASK: Final = 4096
_MARGIN: Final = 2
"""Rows of a face beside those shown, for what is between two rows."""


@dataclass(frozen=True, slots=True)
class Source:
    """An avatar's faces in pixels of its source pictures.

    Shapes: latents (N, 8, 32, 32) float16; faces and crops (N, 4): left, top, right, bottom; a mask covers its crop.
    """

    latents: NDArray[np.float16]
    faces: NDArray[np.float32]
    crops: NDArray[np.float32]
    masks: Sequence[NDArray[np.uint8]]


@dataclass(frozen=True, slots=True)
class Mouth:
    """Where a picture's mouth goes, at one size."""

    box: tuple[int, int, int, int]
    """x, y, width, height; even, and inside the picture."""
    alpha: NDArray[np.uint8]
    """How much of the new face is shown. Shapes: (height, width)."""
    to_face: NDArray[np.float64]
    """From pixels of the box to those of the face. Shapes: (2, 3)."""


@dataclass(frozen=True, slots=True)
class MuseTalkState:
    """An avatar at one size."""

    latents: NDArray[np.float16]
    """Shapes: (N, 8, 32, 32)."""
    mouths: tuple[Mouth, ...]
    top: int
    """The highest row of a face that any mask shows."""


def state_for(source: Source, view: View) -> MuseTalkState:
    """Everything at the size of ``view``. Errors: ValueError where the parts do not agree."""
    count = len(source.latents)
    if not (count == len(source.faces) == len(source.crops) == len(source.masks) and count):
        parts = len(source.faces), len(source.crops), len(source.masks)
        raise ValueError(f"{count} latents, {parts[0]} faces, {parts[1]} crops and {parts[2]} masks")
    if source.latents.shape[1:] != (8, 32, 32):
        raise ValueError(f"latents of shape {source.latents.shape[1:]}, not (8, 32, 32)")
    if not np.isfinite(source.latents).all():
        raise ValueError("latents that are not numbers")
    mouths, tops = [], []
    for number in range(count):
        mouth = _mouth(source.faces[number], source.crops[number], source.masks[number], view)
        mouths.append(mouth)
        tops.append(mouth.to_face[1, 2])
    return MuseTalkState(source.latents, tuple(mouths), int(np.clip(min(tops) - _MARGIN, 0, FACE - 2)))


def _mouth(face: NDArray[np.float32], crop: NDArray[np.float32], mask: NDArray[np.uint8], view: View) -> Mouth:
    """The mask inside the face and the picture, at the size that is shown, cut to what it covers."""
    if not (face[2] - face[0] >= 2 and face[3] - face[1] >= 2):
        raise ValueError(f"a face without extent: {face.tolist()}")
    if mask.ndim != 2 or not 0 < max(mask.shape) <= _MOST_MASK:
        raise ValueError(f"a mask of shape {mask.shape}")
    origin = np.array([view.x, view.y, view.x, view.y], np.float32)
    shown, seen = (face - origin) * view.scale, (crop - origin) * view.scale
    width, height = view.size
    x, y = (max(0, int(np.floor(edge))) & ~1 for edge in shown[:2])
    right, bottom = (
        min(side, int(np.ceil(edge)) + 1 & ~1) for edge, side in zip(shown[2:], (width, height), strict=True)
    )
    if right - x < 2 or bottom - y < 2:  # this size shows nothing of it
        return Mouth((0, 0, 2, 2), np.zeros((2, 2), np.uint8), _between((0, 0), shown, (FACE, FACE)))
    to_mask = _between((x, y), seen, (mask.shape[1], mask.shape[0]))
    alpha = _warped(mask, to_mask, (right - x, bottom - y), cv2.BORDER_CONSTANT)
    alpha *= _inside((x, y, right, bottom), shown)
    rows = np.flatnonzero(alpha.any(axis=1))
    if not len(rows):
        return Mouth((0, 0, 2, 2), np.zeros((2, 2), np.uint8), _between((0, 0), shown, (FACE, FACE)))
    skipped = int(rows[0]) & ~1
    box = (x, y + skipped, right - x, bottom - y - skipped)
    return Mouth(box, np.ascontiguousarray(alpha[skipped:]), _between(box[:2], shown, (FACE, FACE)))


def _between(origin: tuple[int, int], rectangle: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float64]:
    """From pixels at ``origin`` to those of an image of ``size`` that lies over ``rectangle``; centres on centres."""
    left, top, right, bottom = (float(edge) for edge in rectangle)
    across, down = size[0] / (right - left), size[1] / (bottom - top)
    return np.array(
        [
            [across, 0, (origin[0] + 0.5 - left) * across - 0.5],
            [0, down, (origin[1] + 0.5 - top) * down - 0.5],
        ]
    )


def _warped(
    image: NDArray[np.uint8], matrix: NDArray[np.float64], size: tuple[int, int], border: int
) -> NDArray[np.uint8]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix, size, flags=flags, borderMode=border), np.uint8)


def _inside(box: tuple[int, int, int, int], rectangle: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Which pixels of a box have their centre in a rectangle. Shapes: (height, width), 0 or 1."""
    across = np.arange(box[0], box[2]) + 0.5
    down = np.arange(box[1], box[3]) + 0.5
    in_x = (across >= rectangle[0]) & (across <= rectangle[2])
    in_y = (down >= rectangle[1]) & (down <= rectangle[3])
    return np.asarray(in_y[:, None] & in_x, np.uint8)


def patch_of(mouth: Mouth, face: NDArray[np.uint8], top: int, strength: float) -> NDArray[np.uint8]:
    """A new face under the mask, colour premultiplied. Shapes: face (256 - top, 256, 3) -> (height, width, 4)."""
    matrix = mouth.to_face.copy()
    matrix[1, 2] -= top
    height, width = mouth.alpha.shape
    colour = _warped(face, matrix, (width, height), cv2.BORDER_REPLICATE)
    alpha = mouth.alpha if strength >= 1 else cv2.convertScaleAbs(mouth.alpha, alpha=strength)
    weights = cv2.merge([alpha, alpha, alpha])
    premultiplied = cv2.multiply(colour, weights, scale=1 / 255)
    return np.asarray(np.dstack([premultiplied, alpha]), np.uint8)


def save_source(directory: Path, source: Source) -> None:
    """What ``load_source`` reads."""
    np.save(directory / "latents.npy", source.latents)
    np.savez(directory / "faces.npz", faces=source.faces, crops=source.crops)
    named: dict[str, Any] = {str(number): mask for number, mask in enumerate(source.masks)}
    np.savez_compressed(directory / "masks.npz", **named)


class _StoredMasks(Sequence[NDArray[np.uint8]]):
    """Unpacked one by one: all at once they take more memory than what is made of them."""

    def __init__(self, file: Path, count: int) -> None:
        self._held = np.load(io.BytesIO(file.read_bytes()), allow_pickle=False)
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: Any) -> Any:
        try:
            return np.asarray(self._held[str(number)], np.uint8)
        except _DAMAGE as error:
            raise ValueError(f"masks.npz: mask {number} is damaged: {error}") from error


def load_source(directory: Path, pictures: int) -> Source:
    """Errors: ValueError, OSError where a file is missing or says what cannot be."""
    try:
        with (directory / "latents.npy").open("rb") as file:
            latents = np.lib.format.read_array(file, allow_pickle=False)
        with (directory / "faces.npz").open("rb") as file, np.load(file, allow_pickle=False) as places:
            faces, crops = (np.asarray(places[name], np.float32) for name in ("faces", "crops"))
        masks = _StoredMasks(directory / "masks.npz", pictures)
    except _DAMAGE as error:
        raise ValueError(f"{', '.join(FILES)}: one is damaged: {error}") from error
    if latents.dtype != np.float16 or latents.shape != (pictures, 8, 32, 32):
        raise ValueError(f"latents.npy: {latents.dtype} of shape {latents.shape}")
    if faces.shape != (pictures, 4) or crops.shape != (pictures, 4):
        raise ValueError(f"faces.npz: shapes {faces.shape} and {crops.shape}")
    return Source(latents, faces, crops, masks)
