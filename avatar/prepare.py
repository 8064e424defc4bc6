"""Makes a prepared avatar of a user's video: ``python -m avatar.prepare``, an ``Order`` on its input. Experimental.

A process of its own and of the lowest priority: nobody on air notices it, and a video that kills it kills nothing else.
It says how far it is on standard output, a line of JSON each, and writes only into the directory it is given. The face
must be seen from the front and be quiet, the mouth shut: what the mouth does in the video goes on under the speech.
"""

import contextlib
import logging
import os
import resource
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.appraise import Closing, appraise
from avatar.engines.viseme.film import write_film
from avatar.engines.viseme.warp_state import save_warp_state
from avatar.faces import FaceTrack, track_face
from avatar.footage import FPS, FootageLimits, NotFootage, pictures_of
from avatar.lips import find_lips
from avatar.prepared import FORMAT, AvatarInvalid, Manifest, SizeEntry, load_prepared
from avatar.quality import FILE, Quality

log = logging.getLogger(__name__)

MEMORY_BYTES: Final = 6 * 1024**3
"""Address space: what a video may make of it before it is refused."""
CPU_S: Final = 900
FILE_BYTES: Final = 4 * 1024**3
_FILM: Final = {"crf": "13", "preset": "veryfast", "profile": "high"}
_LOOP: Final = {"crf": "25", "preset": "veryfast", "profile": "high"}
# The head about the cascade's box of the face, in parts of the box: what every size shows.
_HEAD: Final = (-0.4, -0.55, 1.4, 1.3)

Progress = Callable[[str, float], None]


class Order(msgspec.Struct, frozen=True):
    """What is to be made."""

    video: str
    out: str
    """A directory that does not exist yet."""
    name: str
    title: str
    sizes: list[tuple[int, int]]


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


@dataclass(frozen=True, slots=True)
class Window:
    """What a size shows of the video; it may reach beyond it. Units: pixels of the video."""

    x: int
    y: int
    width: int
    height: int
    size: tuple[int, int]

    def show(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture as the size shows it, I420. Where the video ends, its own colours go on, blurred and dimmed."""
        scale = self.size[0] / self.width
        tall, wide = picture.shape[:2]
        left, top = max(0, self.x), max(0, self.y)
        right, bottom = min(wide, self.x + self.width), min(tall, self.y + self.height)
        at_x, at_y = round((left - self.x) * scale), round((top - self.y) * scale)
        to_x = min(self.size[0], round((right - self.x) * scale))  # the window's height is a rounded one
        to_y = min(self.size[1], round((bottom - self.y) * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        shown = cv2.resize(picture[top:bottom, left:right], (to_x - at_x, to_y - at_y), interpolation=way)
        if (to_x - at_x, to_y - at_y) != self.size:
            dim = cv2.GaussianBlur(cv2.resize(picture, (32, 32), interpolation=cv2.INTER_AREA), (0, 0), 2) * 0.6
            whole = cv2.resize(dim.astype(np.uint8), self.size, interpolation=cv2.INTER_CUBIC)
            whole[at_y:to_y, at_x:to_x] = shown
            shown = whole
        return np.asarray(cv2.cvtColor(shown, cv2.COLOR_BGR2YUV_I420), np.uint8)

    def entry(self) -> SizeEntry:
        """As avatar.json has it."""
        name = f"{self.size[0]}x{self.size[1]}"
        view = (float(self.x), float(self.y), float(self.width))
        return SizeEntry(*self.size, f"idle-{name}.mp4", f"poster-{name}.jpg", view)


def prepare(order: Order, progress: Progress) -> Made:
    """Write the whole directory. Errors: NotFootage."""
    out = Path(order.out)
    out.mkdir(parents=True)
    scratch = out / "pictures.raw"
    try:
        pictures, notes = _read(Path(order.video), scratch, order.sizes, progress)
        track = track_face(list(pictures), lambda done: progress("looking for the face", 0.3 + 0.3 * done))
        lips = find_lips(pictures[track.reference], track.box)
        square = np.vstack([lips.matrix(), [0.0, 0.0, 1.0]])
        save_warp_state(out, track.moves @ square, lips.bow)
        quality = appraise(pictures, track, lips, Closing(there_and_back=True, seam=0.0))
        windows = [window_for(pictures[0].shape, _head(track), size) for size in order.sizes]
        _write_films(out, pictures, windows, progress)
        del pictures
    finally:
        scratch.unlink(missing_ok=True)
    _write_manifest(out, order, len(track.moves), windows)
    smallest = min(order.sizes, key=lambda size: size[0] * size[1])
    try:
        load_prepared(out, smallest)
    except AvatarInvalid as error:
        raise NotFootage(f"the avatar cannot be read again: {error}") from error
    (out / FILE).write_bytes(msgspec.json.format(msgspec.json.encode(quality), indent=2) + b"\n")
    return Made(len(track.moves), notes, quality)


def _read(
    video: Path, scratch: Path, sizes: Sequence[tuple[int, int]], progress: Progress
) -> tuple[NDArray[np.uint8], list[str]]:
    """The video's pictures, on disk since they are large. Shapes: (N, H, W, 3); N a multiple of 25."""
    most_s = FootageLimits().max_s
    most = round(most_s * FPS)
    limits = FootageLimits(max_s=most_s + 1 / FPS, max_side=max(1280, *(max(size) for size in sizes)))
    count = 0
    shape: tuple[int, ...] = ()
    with scratch.open("wb") as file:
        for picture in pictures_of(video, limits):
            if count < most:
                file.write(picture.tobytes())
            count, shape = count + 1, picture.shape
            if count % FPS == 0:
                progress("reading the video", 0.3 * min(1.0, count / most))
    notes = [f"only the first {most_s:.0f} s of the video are used"] if count > most else []
    # whole seconds: at every rate the loop then has a whole number of frames, with keyframes where they belong
    whole = min(count, most) // FPS * FPS
    if not whole:
        raise NotFootage(f"the video is {count / FPS:.2f} s long; one second is needed")
    return np.memmap(scratch, np.uint8, "r", shape=(whole, *shape)), notes


def _head(track: FaceTrack) -> tuple[float, float, float, float]:
    """What the head covers in the course of the video: left, top, right, bottom."""
    x, y, width, height = track.box
    left, top, right, bottom = (
        origin + part * side for origin, part, side in zip((x, y, x, y), _HEAD, (width, height) * 2, strict=True)
    )
    corners = track.moves @ np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
    return (*corners.min(axis=(0, 2)).tolist(), *corners.max(axis=(0, 2)).tolist())


def window_for(shape: tuple[int, ...], head: tuple[float, float, float, float], size: tuple[int, int]) -> Window:
    """The largest part of the video with the size's proportions about the head; larger where the head needs it."""
    tall, wide = shape[:2]
    left, top, right, bottom = max(0, head[0]), max(0, head[1]), min(wide, head[2]), min(tall, head[3])
    ratio = size[0] / size[1]
    width = max(min(wide, tall * ratio), right - left, (bottom - top) * ratio)
    height = width / ratio
    x, y = (
        _placed(low, high, length, whole)
        for low, high, length, whole in ((left, right, width, wide), (top, bottom, height, tall))
    )
    return Window(round(x), round(y), max(2, round(width)), max(2, round(height)), size)


def _placed(low: float, high: float, length: float, whole: int) -> float:
    """Where a window of ``length`` begins: about the middle of the head, inside the video where it fits."""
    if length >= whole:
        return (whole - length) / 2
    return min(max((low + high - length) / 2, 0), whole - length)


def _write_films(out: Path, pictures: NDArray[np.uint8], windows: Sequence[Window], progress: Progress) -> None:
    for index, window in enumerate(windows):

        def shown(window: Window = window, begun: float = index / len(windows)) -> Iterator[NDArray[np.uint8]]:
            for number, picture in enumerate(pictures):
                if number % FPS == 0:
                    part = begun + number / len(pictures) / len(windows)
                    progress(f"writing {window.size[0]}x{window.size[1]}", 0.6 + 0.35 * part)
                yield window.show(picture)

        entry = window.entry()
        write_film(out / entry.film, shown(), FPS, "libx264", _FILM)
        poster = cv2.cvtColor(window.show(pictures[0]), cv2.COLOR_YUV2BGR_I420)
        if not cv2.imwrite(str(out / entry.poster), poster, [cv2.IMWRITE_JPEG_QUALITY, 88]):
            raise OSError(f"{entry.poster} cannot be written")
    progress("writing the loop", 0.95)
    turns = (windows[0].show(picture) for way in (pictures, pictures[::-1]) for picture in way)
    write_film(out / "loop.mp4", turns, FPS, "libx264", _LOOP)


def _write_manifest(out: Path, order: Order, pictures: int, windows: Sequence[Window]) -> None:
    manifest = Manifest(
        FORMAT,
        order.name,
        f"{order.title or order.name} (experimental)",
        "viseme",
        FPS,
        pictures,
        "",
        [window.entry() for window in windows],
        ["poses.npy", "lips.json"],
        painter="warp",
        there_and_back=True,
    )
    (out / "avatar.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def _say(line: Line) -> None:
    """Errors: BrokenPipeError where nobody listens any more: then nobody wants the avatar either."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


def _confine() -> None:
    """Take little of the machine, and no more than there is for it."""
    os.nice(19)
    with contextlib.suppress(OSError):  # below nice 19, which may be the server's own; a sandbox may forbid it
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    cv2.setNumThreads(1)
    with contextlib.suppress(OSError):  # where memory ends all the same, this process goes, not the one on air
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
        _say(line)
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
        return prepare(order, lambda stage, done: _say(Step(stage, done)))
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
        return Failed(error.strerror or type(error).__name__)


if __name__ == "__main__":
    sys.exit(main())
