"""Makes a prepared avatar of a user's video or photo: ``python -m avatar.prepare``, an ``Order`` on its input.

A process of its own and of the lowest priority: nobody on air notices it, and a video that kills it kills nothing else.
It says how far it is on standard output, a line of JSON each, and writes only into the directory it is given. The face
must be seen from the front and be quiet, the mouth shut: what the mouth does in the video goes on under the speech.

For the viseme engine the avatar is then whole. For MuseTalk's the latents are still zeros, and ``faces.npy`` lies
beside them: ``avatar.latents`` goes on from there, where there is room for PyTorch and a GPU.
"""

import logging
import resource
import shutil
import sys
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np

from avatar.appraise import appraise
from avatar.engines.musetalk.musetalk_state import FILES as MUSETALK_FILES
from avatar.engines.musetalk.musetalk_state import Source as Faces
from avatar.engines.musetalk.musetalk_state import save_source
from avatar.engines.musetalk.prepare_faces import NoFaceThere, face_of, place_face
from avatar.engines.viseme.warp_state import save_warp_state
from avatar.faces import FaceTrack
from avatar.footage import FPS, NotFootage
from avatar.give_way import give_way
from avatar.lips import Lips
from avatar.material import Material, Progress, read_photo_material, read_video_material
from avatar.photo import is_photo
from avatar.prepared import AvatarInvalid, load_prepared
from avatar.preview import write_preview
from avatar.quality import FILE, Quality
from avatar.window import window_for
from avatar.write_avatar import Engine, Source, write_films, write_manifest

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 6 * 1024**3
"""Address space: what a video may make of it before it is refused."""
CPU_S: Final = 900
FILE_BYTES: Final = 4 * 1024**3
FACES: Final = "faces.npy"
"""Of an avatar for MuseTalk whose latents are yet to be made. Shapes: (N, 256, 256, 3), RGB."""
ENGINES: Final = ("viseme", "musetalk")
_CRF: Final = 13
# The head about the cascade's box of the face, in parts of the box: what every size shows.
_HEAD: Final = (-0.4, -0.55, 1.4, 1.3)


class Order(msgspec.Struct, frozen=True):
    """What is to be made."""

    video: str
    """Or a photo: the file itself says which."""
    out: str
    """A directory that does not exist yet."""
    name: str
    title: str
    sizes: list[tuple[int, int]]
    engine: str = "viseme"
    """One of ``ENGINES``."""
    landmarks: str = ""
    """A file of ``avatar.landmarks``; points are looked for where it is empty."""


class Step(msgspec.Struct, frozen=True, tag=True):
    """How far it is."""

    stage: str
    done: float
    """0 to 1, of all."""


class Made(msgspec.Struct, frozen=True, tag=True):
    """All is written."""

    pictures: int
    notes: list[str]
    """What was left out."""
    quality: Quality


class Refused(msgspec.Struct, frozen=True, tag=True):
    """No avatar can be made of this video."""

    detail: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """It is not the video's fault: a disk that is full, a file that is gone."""

    detail: str


Line = Step | Made | Refused | Failed


def prepare(order: Order, progress: Progress) -> Made:
    """Write the whole directory. Errors: NotFootage, OSError."""
    out = Path(order.out)
    out.mkdir(parents=True)
    scratch = out / "pictures.raw"
    try:
        photo = is_photo(Path(order.video))
        read = read_photo_material if photo else read_video_material
        side = max(1280, *(max(size) for size in order.sizes))
        material = read(Path(order.video), scratch, side, order.landmarks, progress)
        windows = [window_for(material.pictures[0].shape, _head(material.track), size) for size in order.sizes]
        if order.engine == "musetalk":
            _save_faces(out, material)
            engine = Engine("musetalk", "mask", MUSETALK_FILES)
        else:
            _save_mouth(out, material.track, material.lips)
            engine = Engine("viseme", "warp", ["poses.npy", "lips.json"])
        source = Source(material.pictures, FPS, material.closing.there_and_back)
        write_films(out, source, windows, _CRF, lambda stage, done: progress(stage, 0.6 + 0.35 * done))
        experimental = " (experimental)" if photo or order.engine == "viseme" else ""
        write_manifest(out, order.name, f"{order.title or order.name}{experimental}", engine, source, windows)
        quality = _report(out, order, material, photo=photo)
        return Made(len(material.pictures), material.notes, quality)
    finally:
        scratch.unlink(missing_ok=True)


def _save_mouth(out: Path, track: FaceTrack, lips: Lips) -> None:
    square = np.vstack([lips.matrix(), [0.0, 0.0, 1.0]])
    save_warp_state(out, track.moves @ square, lips.bow)


def _save_faces(out: Path, material: Material) -> None:
    """Boxes, crops and masks; zeros for latents, and what they are made of. Errors: NotFootage."""
    pictures, points = material.pictures, material.points
    try:
        places = []
        for number, picture in enumerate(pictures):
            places.append(place_face(points.points[number], points.bridge[number], picture.shape))
    except NoFaceThere as error:
        raise NotFootage(f"picture {number}: {error}") from error
    faces, crops = (np.array([getattr(place, name) for place in places], np.float32) for name in ("face", "crop"))
    empty = np.zeros((len(places), 8, 32, 32), np.float16)
    save_source(out, Faces(empty, faces, crops, [place.mask for place in places]))
    np.save(out / FACES, np.stack([face_of(picture, box) for picture, box in zip(pictures, faces, strict=True)]))


def _report(out: Path, order: Order, material: Material, *, photo: bool) -> Quality:
    """Read the avatar again, show it, and say how good it can be. Errors: NotFootage, OSError."""
    hints = []
    if photo:
        hints.append("a photo sways, but does not blink: a few seconds of quiet video look more alive")
    if order.engine == "musetalk" and not order.landmarks:
        hints.append("the outline of the face is a guess from its width and mouth: a landmarks file places it exactly")
    track, lips = material.track, material.lips
    quality = appraise(material.pictures, track, lips, material.closing, hints)
    smallest = min(order.sizes, key=lambda size: size[0] * size[1])
    try:
        avatar = load_prepared(out, smallest)
    except AvatarInvalid as error:
        raise NotFootage(f"the avatar cannot be read again: {error}") from error
    write_preview(out, avatar, material.pictures[track.reference], track, lips)
    (out / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(quality), indent=2) + b"\n")
    return quality


def _head(track: FaceTrack) -> tuple[float, float, float, float]:
    """What the head covers in the course of the video: left, top, right, bottom."""
    x, y, width, height = track.box
    left, top, right, bottom = (
        origin + part * side for origin, part, side in zip((x, y, x, y), _HEAD, (width, height) * 2, strict=True)
    )
    corners = track.moves @ np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
    return (*corners.min(axis=(0, 2)).tolist(), *corners.max(axis=(0, 2)).tolist())


def say(line: Line) -> None:
    """Errors: BrokenPipeError where nobody listens any more: then nobody wants the avatar either."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _confine() -> None:
    """Take little of the machine, and no more than there is for it."""
    give_way()
    cv2.setNumThreads(1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))


def main() -> int:
    """The process. Exit status 0 where it said what came of it; only a whole avatar is left."""
    _confine()
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
    whole = False
    try:
        line = _outcome(order)
        say(line)
        whole = isinstance(line, Made)
    except BrokenPipeError:
        return 1
    finally:
        if not whole:
            shutil.rmtree(order.out, ignore_errors=True)
    return 0


def _outcome(order: Order) -> Line:
    """Make it; what is to be said of it. Errors: BrokenPipeError."""
    try:
        return prepare(order, lambda stage, done: say(Step(stage, done)))
    except NotFootage as error:
        return Refused(str(error))
    except (MemoryError, cv2.error) as error:
        log.exception("preparing %s", order.name)
        if isinstance(error, MemoryError) or error.code == cv2.Error.StsNoMem:
            return Refused("the video takes more memory than there is for it")
        return Refused("the pictures of this video are of a kind that nothing can be made of")
    except BrokenPipeError:
        raise
    except OSError as error:
        log.error("%s", error)
        said = error.strerror or type(error).__name__
        return Failed(f"{Path(error.filename).name}: {said}" if isinstance(error.filename, str) else said)


if __name__ == "__main__":
    sys.exit(main())
