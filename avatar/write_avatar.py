"""Writes what every filmed avatar has on disk, whichever engine it is for: films, posters, the loop, avatar.json."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.film import write_film
from avatar.prepared import FORMAT, Manifest
from avatar.window import Window

_FILM: Final = {"preset": "veryfast", "profile": "high"}
_LOOP: Final = {"crf": "25", **_FILM}
_PATIENCE: Final = 25
"""After so many pictures, how far it is is said."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures of which an avatar is made. Shapes: pictures (H, W, 3) each, BGR; read when they are needed."""

    pictures: Sequence[NDArray[np.uint8]]
    fps: int
    there_and_back: bool


@dataclass(frozen=True, slots=True)
class Engine:
    """What avatar.json says of who speaks."""

    name: str
    painter: str
    files: Sequence[str]


def write_films(out: Path, source: Source, windows: Sequence[Window], crf: int, progress: Progress) -> None:
    """All films and posters; ``crf``: x264's, of the films. ``progress`` hears 0 to 1. Errors: OSError."""
    count = len(source.pictures)
    steps = len(windows) + (2 if source.there_and_back else 1)

    def shown(window: Window, stage: str, begun: int) -> Iterator[NDArray[np.uint8]]:
        for number in range(count):
            if number % _PATIENCE == 0:
                progress(stage, (begun + number / count) / steps)
            yield window.show(source.pictures[number])

    for index, window in enumerate(windows):
        entry = window.entry()
        pictures = shown(window, f"writing {window.size[0]}x{window.size[1]}", index)
        write_film(out / entry.film, pictures, source.fps, "libx264", {"crf": str(crf), **_FILM})
        poster = cv2.cvtColor(window.show(source.pictures[0]), cv2.COLOR_YUV2BGR_I420)
        write_picture(out / entry.poster, np.asarray(poster, np.uint8))
    write_film(out / "loop.mp4", _loop(source, windows[0], progress), source.fps, "libx264", _LOOP)


def _loop(source: Source, window: Window, progress: Progress) -> Iterator[NDArray[np.uint8]]:
    """All that viewers see, once."""
    there = range(len(source.pictures))
    progress("writing the loop", 0.95)
    for number in (*there, *(reversed(there) if source.there_and_back else ())):
        yield window.show(source.pictures[number])


def write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """A JPEG file. Shapes: (H, W, 3), BGR. Errors: OSError."""
    if not cv2.imwrite(str(path), picture, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise OSError(f"{path.name} cannot be written")


def write_manifest(out: Path, name: str, title: str, engine: Engine, source: Source, windows: Sequence[Window]) -> None:
    """avatar.json: with it the directory is an avatar."""
    manifest = Manifest(
        FORMAT,
        name,
        title,
        engine.name,
        source.fps,
        len(source.pictures),
        "",
        [window.entry() for window in windows],
        list(engine.files),
        painter=engine.painter,
        there_and_back=source.there_and_back,
    )
    (out / "avatar.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
