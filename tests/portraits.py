"""Videos of a face, made of our own avatar: what a user would send in."""

import itertools
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.bake import shown_pictures
from avatar.engines.viseme.film import write_film
from avatar.prepared import PreparedAvatar, load_prepared

NOVA = Path(__file__).parents[1] / "assets" / "avatars" / "nova"
SIZE = (512, 512)


@cache
def nova() -> PreparedAvatar:
    """Where her mouth is in each picture is known: ``state``."""
    return load_prepared(NOVA, SIZE)


@cache
def shown(count: int) -> list[NDArray[np.uint8]]:
    """The first pictures of the loop, mouth shut, I420."""
    return list(itertools.islice(shown_pictures(nova()), count))


def as_bgr(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)


def portrait(path: Path, count: int = 50, fps: int = 25) -> Path:
    """A video of her, quiet."""
    write_film(path, shown(count), fps, "libx264", {"crf": "14", "preset": "veryfast"})
    return path


def plain(path: Path, size: tuple[int, int] = (320, 240), count: int = 30, fps: int = 25) -> Path:
    """A video of a moving pattern: no face."""
    rows, columns = np.mgrid[: size[1] * 3 // 2, : size[0]]
    pictures = [((rows + columns + 4 * k) % 200).astype(np.uint8) for k in range(count)]
    write_film(path, pictures, fps, "libx264", {"preset": "ultrafast"})
    return path
