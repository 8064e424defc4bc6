"""A photo of a face, as an idle loop: it sways as a camera in a steady hand does, so that it is no frozen picture.

The sway is a similarity (shift, turn, scale) made of sines with whole periods in the loop, so its end meets its
beginning exactly, and it is known for every picture: nothing needs to be followed. The picture is a little enlarged, so
that its border stays outside. Experimental: eyes do not blink.

The bytes are hostile: kind, size and completeness are read from the file's own marks first, then OpenCV decodes it,
upright as EXIF says, in a process that may die (``avatar.prepare``).
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.footage import FPS, NotFootage

SECONDS: Final = 6
"""Of the loop."""
MOST_BYTES: Final = 64 * 1024 * 1024
MOST_PIXELS: Final = 8192 * 6144
LEAST_SIDE: Final = 128
# Amplitude in parts of the picture's shorter side, radians, or parts of the scale; whole periods in the loop, phase.
_SWAY: Final = {
    "across": ((0.0040, 1, 0.0), (0.0012, 3, 1.1)),
    "down": ((0.0022, 2, 0.7), (0.0010, 3, 2.3)),
    "turn": ((0.0035, 1, 2.0), (0.0012, 2, 0.4)),
    "nearer": ((0.0030, 1, 3.0), (0.0012, 2, 1.9)),
}
_HEADS: Final = {b"\x89PNG\r\n\x1a\n": "PNG", b"\xff\xd8\xff": "JPEG"}
_SOFS: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG's markers that say a size."""


def photo_kind(head: bytes) -> str | None:
    """What a file that begins so is; None for no photo. ``head``: 12 bytes or more."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WebP"
    return next((kind for begins, kind in _HEADS.items() if head.startswith(begins)), None)


def is_photo(path: Path) -> bool:
    """Whether the file says so itself; its name counts for nothing. Errors: OSError."""
    with path.open("rb") as file:
        return photo_kind(file.read(12)) is not None


def read_photo(path: Path, max_side: int) -> NDArray[np.uint8]:
    """The picture, upright, both sides even and ``max_side`` at most. Shapes: (H, W, 3), BGR.

    Errors: NotFootage, OSError.
    """
    if path.stat().st_size > MOST_BYTES:
        raise NotFootage(f"the photo has {path.stat().st_size} bytes; {MOST_BYTES} are the most")
    data = path.read_bytes()
    kind = photo_kind(data[:12])
    width, height = _size(kind, data)
    if width * height > MOST_PIXELS:
        raise NotFootage(f"a photo of {width}x{height} is too large; {MOST_PIXELS} pixels are the most")
    if min(width, height) < LEAST_SIDE:
        raise NotFootage(f"a photo of {width}x{height} is too small; {LEAST_SIDE} pixels a side are needed")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None or sorted(picture.shape[:2]) != sorted((width, height)):
        raise NotFootage(f"this {kind} picture is damaged")
    reduce = min(1.0, max_side / max(width, height))
    tall, wide = (max(2, round(side * reduce) & ~1) for side in picture.shape[:2])
    return np.asarray(cv2.resize(picture, (wide, tall), interpolation=cv2.INTER_AREA), np.uint8)


def _size(kind: str | None, data: bytes) -> tuple[int, int]:
    """Width and height as the file says them. Errors: NotFootage, also where the end of the file is missing."""
    try:
        if kind == "PNG":
            size, whole = struct.unpack_from(">II", data, 16), b"IEND" in data[-64:]
        elif kind == "WebP":
            size, whole = _webp_size(data), struct.unpack_from("<I", data, 4)[0] + 8 <= len(data)
        else:
            size, whole = _jpeg_size(data), b"\xff\xd9" in data[-4096:]  # cameras leave things behind the end
    except (struct.error, IndexError) as error:
        raise NotFootage(f"this {kind} picture is damaged: it says no size") from error
    if not whole:
        raise NotFootage(f"this {kind} picture is cut off")
    return int(size[0]), int(size[1])


def _webp_size(data: bytes) -> tuple[int, int]:
    form = data[12:16]
    if form == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if form == b"VP8L":
        (packed,) = struct.unpack_from("<I", data, 21)
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """From the first frame header. Source: ITU-T T.81, B.1.1."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # fill
            at += 1
            continue
        if marker in _SOFS:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise IndexError(at)


def sway_moves(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """From the photo to each picture of the loop, as ``shape`` (height, width) large as it. Shapes: -> (150, 2, 3)."""
    tall, wide = shape[:2]
    short = min(tall, wide)
    angle = 2 * np.pi * np.arange(SECONDS * FPS) / (SECONDS * FPS)
    sums = {
        name: sum(size * np.sin(periods * angle + phase) for size, periods, phase in waves)
        for name, waves in _SWAY.items()
    }
    most = {name: sum(size for size, _, _ in waves) for name, waves in _SWAY.items()}
    # so much larger that no corner comes inside: what a shift and a turn of the longest radius uncover
    radius = math.hypot(tall, wide) / 2
    spare = max(most["across"], most["down"]) * short + most["turn"] * radius + 1
    zoom = (1 + 2 * spare / short) * (1 + most["nearer"]) * (1 + np.asarray(sums["nearer"]))
    cosine, sine = zoom * np.cos(sums["turn"]), zoom * np.sin(sums["turn"])
    x, y = (wide - 1) / 2, (tall - 1) / 2
    to_x, to_y = x + short * np.asarray(sums["across"]), y + short * np.asarray(sums["down"])
    rows = [[cosine, -sine, to_x - cosine * x + sine * y], [sine, cosine, to_y - sine * x - cosine * y]]
    return np.moveaxis(np.array(rows), 2, 0)


def swaying(photo: NDArray[np.uint8], moves: NDArray[np.float64]) -> Iterator[NDArray[np.uint8]]:
    """The loop's pictures. Shapes: (H, W, 3) each."""
    size = (photo.shape[1], photo.shape[0])
    for move in moves:
        shown = cv2.warpAffine(photo, move, size, flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
        yield np.asarray(shown, np.uint8)
