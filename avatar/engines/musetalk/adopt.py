"""An original server's avatar in our own form: films instead of pictures, each once, in a tenth of the room.

Latents are kept as they are, or made anew of the pictures: the original draws them at random about the likeliest ones,
so that a face that stands still flickers (``Generator.latents_of`` does not).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.musetalk_state import FACE, FILES, save_source
from avatar.engines.musetalk.original_avatar import Original, open_original, read_picture, title_of, window_of
from avatar.engines.viseme.film import write_film
from avatar.prepare import Window
from avatar.prepared import FORMAT, AvatarInvalid, Manifest, load_prepared

MakeLatents = Callable[[NDArray[np.uint8]], NDArray[np.float16]]
"""Shapes: faces (B, 256, 256, 3) RGB -> (B, 8, 32, 32)."""
Progress = Callable[[str], None]
_FILM: Final = {"crf": "16", "preset": "veryfast", "profile": "high"}
_LOOP: Final = {"crf": "25", "preset": "veryfast", "profile": "high"}
_AT_ONCE: Final = 8


def adopt(
    directory: Path,
    out: Path,
    name: str,
    sizes: Sequence[tuple[int, int]],
    progress: Progress,
    *,
    title: str = "",
    make_latents: MakeLatents | None = None,
) -> int:
    """Write ``out``, which does not exist yet, of an original's ``directory``; how many pictures it has.

    Errors: AvatarInvalid where the original is damaged, OSError.
    """
    original = open_original(directory)
    out.mkdir(parents=True)
    source = original.source
    if make_latents is not None:
        progress(f"making the latents of {len(original.images)} faces")
        source = replace(source, latents=_latents_anew(original, make_latents))
    save_source(out, source)
    windows = [window_of(original, size) for size in sizes]
    for window in windows:
        progress(f"writing {window.size[0]}x{window.size[1]}")
        _write_size(out, original, window)
    progress("writing the loop")
    there = list(original.images)
    cycle = there + there[::-1] if original.there_and_back else there
    write_film(out / "loop.mp4", _shown(original, windows[0], cycle), original.fps, "libx264", _LOOP)
    manifest = Manifest(
        FORMAT,
        name,
        title or title_of(directory),
        "musetalk",
        original.fps,
        len(there),
        "",
        [window.entry() for window in windows],
        list(FILES),
        painter="mask",
        there_and_back=original.there_and_back,
    )
    (out / "avatar.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
    load_prepared(out, sizes[0])
    return len(there)


def _shown(original: Original, window: Window, images: Sequence[Path]) -> Iterator[NDArray[np.uint8]]:
    for path in images:
        yield window.show(read_picture(path, original.size))


def _write_size(out: Path, original: Original, window: Window) -> None:
    entry = window.entry()
    write_film(out / entry.film, _shown(original, window, original.images), original.fps, "libx264", _FILM)
    poster = cv2.cvtColor(window.show(read_picture(original.images[0], original.size)), cv2.COLOR_YUV2BGR_I420)
    if not cv2.imwrite(str(out / entry.poster), poster, [cv2.IMWRITE_JPEG_QUALITY, 88]):
        raise OSError(f"{entry.poster} cannot be written")


def _latents_anew(original: Original, make_latents: MakeLatents) -> NDArray[np.float16]:
    made: list[NDArray[np.float16]] = []
    for at in range(0, len(original.images), _AT_ONCE):
        numbers = range(at, min(at + _AT_ONCE, len(original.images)))
        made.append(make_latents(np.stack([_face(original, number) for number in numbers])))
    return np.concatenate(made)


def _face(original: Original, number: int) -> NDArray[np.uint8]:
    """As the networks see it: its box, 256 pixels a side. Shapes: -> (256, 256, 3) RGB."""
    picture = read_picture(original.images[number], original.size)
    left, top, right, bottom = (round(float(edge)) for edge in original.source.faces[number])
    face = picture[max(0, top) : bottom, max(0, left) : right]
    if not face.size:
        raise AvatarInvalid(f"the face in picture {number} lies outside it")
    scaled = cv2.resize(face, (FACE, FACE), interpolation=cv2.INTER_LANCZOS4)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2RGB), np.uint8)
