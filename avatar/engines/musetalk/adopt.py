"""An original server's avatar in our own form: films instead of pictures, each once, in a tenth of the room.

Latents are kept as they are, or made anew of the pictures: the original draws them at random about the likeliest ones,
so that a face that stands still flickers (``Generator.latents_of`` does not).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.musetalk.make_latents import MakeLatents, latents_in_batches
from avatar.engines.musetalk.musetalk_state import FILES, save_source
from avatar.engines.musetalk.original_avatar import Original, open_original, read_picture, title_of, window_of
from avatar.engines.musetalk.prepare_faces import NoFaceThere, face_of
from avatar.prepared import AvatarInvalid, load_prepared
from avatar.write_avatar import Engine, Source, write_films, write_manifest

Progress = Callable[[str], None]
_CRF: Final = 16


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
    faces = original.source
    pictures = _Images(original)
    if make_latents is not None:
        progress(f"making the latents of {len(pictures)} faces")
        faces = replace(faces, latents=latents_in_batches(_Faces(original, pictures), make_latents, lambda _: None))
    save_source(out, faces)
    windows = [window_of(original, size) for size in sizes]
    source = Source(pictures, original.fps, original.there_and_back)
    write_films(out, source, windows, _CRF, _once_each(progress))
    write_manifest(out, name, title or title_of(directory), Engine("musetalk", "mask", FILES), source, windows)
    load_prepared(out, sizes[0])
    return len(pictures)


def _once_each(progress: Progress) -> Callable[[str, float], None]:
    """Say each step once."""
    said: list[str] = []

    def say(stage: str, _: float) -> None:
        if said[-1:] != [stage]:
            said.append(stage)
            progress(stage)

    return say


class _Images(Sequence[NDArray[np.uint8]]):
    """The original's pictures, read when they are needed."""

    def __init__(self, original: Original) -> None:
        self._original = original

    def __len__(self) -> int:
        return len(self._original.images)

    def __getitem__(self, number: Any) -> Any:
        return read_picture(self._original.images[number], self._original.size)


class _Faces(Sequence[NDArray[np.uint8]]):
    """Their faces, as the networks see them. Errors: AvatarInvalid for one that is outside its picture."""

    def __init__(self, original: Original, pictures: _Images) -> None:
        self._boxes, self._pictures = original.source.faces, pictures

    def __len__(self) -> int:
        return len(self._pictures)

    def __getitem__(self, number: Any) -> Any:
        try:
            return face_of(self._pictures[number], self._boxes[number])
        except NoFaceThere as error:
            raise AvatarInvalid(f"the face in picture {number} lies outside it") from error
