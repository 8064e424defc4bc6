"""Rebuilds a prepared avatar from its art: ``python -m avatar.engines.viseme.bake nova --out assets/avatars/nova``.

The figure is painted once; for each picture its eyes are painted anew, the motion field moves it, and it is laid over
the backdrop at twice the size and reduced. Deterministic: the same sources and library versions give the same files.
"""

import argparse
import logging
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.view import View
from avatar.engines.viseme.backdrop import paint_backdrop
from avatar.engines.viseme.canvas import Layer
from avatar.engines.viseme.eyes import Look, paint_eyes
from avatar.engines.viseme.film import to_i420, write_film
from avatar.engines.viseme.jonah import JONAH
from avatar.engines.viseme.nova import NOVA
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.engines.viseme.portrait import EYES_WINDOW, VIEWS, Portrait, eyes_layer
from avatar.engines.viseme.pose import FPS, PICTURES, Pose, mouth_matrix, pose_at, source_of
from avatar.prepared import FORMAT, Manifest, PreparedAvatar, SizeEntry, load_prepared

PORTRAITS: Final = {portrait.name: portrait for portrait in (NOVA, JONAH)}

_LOG = logging.getLogger(__name__)
_OVER: Final = 2  # samples a pixel, each way
_COARSE: Final = 16  # the motion field is smooth: one sample in so many, the rest between


class Stage:
    """The figure ready to be shown in any pose, at every size."""

    def __init__(self, portrait: Portrait, figure: Layer, views: tuple[View, ...]) -> None:
        self._portrait = portrait
        self._rest = figure
        self._figure = figure.pixels.copy()
        self._backdrops = {view.size: paint_backdrop(view, portrait) for view in views}

    def show(self, picture: int, views: tuple[View, ...]) -> list[NDArray[np.uint8]]:
        """Picture ``picture`` of the loop, mouth left out, as I420 for each view."""
        pose = pose_at(picture)
        self._look(pose)
        return [to_i420(self._render(pose, view)) for view in views]

    def _look(self, pose: Pose) -> None:
        layer = eyes_layer(self._rest)
        paint_eyes(layer, self._portrait.palette, self._portrait.likeness, Look(pose.lids, pose.gaze, pose.brow))
        left, top = (
            round((a - b) * layer.scale) for a, b in zip(EYES_WINDOW, (self._rest.x, self._rest.y), strict=False)
        )
        rows, columns = layer.shape
        self._figure[top : top + rows, left : left + columns] = layer.pixels

    def _render(self, pose: Pose, view: View) -> NDArray[np.float32]:
        width, height = view.size
        map_x, map_y = self._map(pose, view)
        moved = cv2.remap(self._figure, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
        figure = np.asarray(cv2.resize(moved, (width, height), interpolation=cv2.INTER_AREA), np.float32)
        return np.asarray(self._backdrops[view.size] * (1 - figure[..., 3:]) + figure[..., :3], np.float32)

    def _map(self, pose: Pose, view: View) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Which sample of the figure each (over-)sample of the picture shows."""
        width, height = view.size[0] * _OVER, view.size[1] * _OVER
        unit = view.scale * _OVER
        x, y = np.meshgrid(
            view.x + (np.arange(width // _COARSE) + 0.5) * _COARSE / unit,
            view.y + (np.arange(height // _COARSE) + 0.5) * _COARSE / unit,
        )
        shift_x, shift_y = (
            cv2.resize((source - at).astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
            for source, at in zip(source_of(x, y, pose), (x, y), strict=True)
        )
        fine_x = view.x + (np.arange(width, dtype=np.float32) + 0.5) / unit
        fine_y = view.y + (np.arange(height, dtype=np.float32) + 0.5) / unit
        scale = self._rest.scale
        map_x = (fine_x[None, :] + shift_x - self._rest.x) * scale - 0.5
        map_y = (fine_y[:, None] + shift_y - self._rest.y) * scale - 0.5
        return map_x.astype(np.float32), map_y.astype(np.float32)


def _bake_part(job: tuple[str, str, str, range]) -> None:
    """In a process of its own: pictures of one range into memory-mapped files."""
    name, figure_path, folder, pictures = job
    cv2.setNumThreads(1)
    figure = Layer(*np.load(f"{figure_path}.window.npy").tolist())
    figure.pixels = np.load(figure_path)
    stage = Stage(PORTRAITS[name], figure, VIEWS)
    sheets = [np.lib.format.open_memmap(_sheet(folder, view), mode="r+") for view in VIEWS]
    for picture in pictures:
        for sheet, shown in zip(sheets, stage.show(picture, VIEWS), strict=True):
            sheet[picture] = shown


def _sheet(folder: str, view: View) -> str:
    return f"{folder}/{view.size[0]}x{view.size[1]}.npy"


def _bake_pictures(portrait: Portrait, folder: str, processes: int) -> None:
    figure = portrait.paint()
    path = f"{folder}/figure.npy"
    np.save(path, figure.pixels)
    np.save(f"{path}.window.npy", np.array([figure.x, figure.y, figure.width, figure.height, figure.scale]))
    for view in VIEWS:
        width, height = view.size
        np.lib.format.open_memmap(_sheet(folder, view), "w+", np.uint8, (PICTURES, height * 3 // 2, width)).flush()
    jobs = [(portrait.name, path, folder, range(first, PICTURES, processes)) for first in range(processes)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(_bake_part, jobs)


def _entry(view: View) -> SizeEntry:
    name = f"{view.size[0]}x{view.size[1]}"
    return SizeEntry(*view.size, f"idle-{name}.mp4", f"poster-{name}.jpg", (view.x, view.y, view.width))


def _write_manifest(portrait: Portrait, out: Path) -> None:
    name, sizes = portrait.name, [_entry(view) for view in VIEWS]
    manifest = Manifest(FORMAT, name, portrait.title, "viseme", FPS, PICTURES, name, sizes, ["poses.npy"])
    (out / "avatar.json").write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def shown_pictures(avatar: PreparedAvatar) -> Iterator[NDArray[np.uint8]]:
    """The idle loop as viewers see it: every picture with the neutral mouth."""
    painter = MouthPainter(avatar)
    for index, picture in enumerate(avatar.pictures):
        yield compose(picture, Patch(index, painter.box(index), painter.paint(index, NEUTRAL)))


def _write_shown(out: Path) -> None:
    """Posters, and the small loop that a player shows when it cannot connect."""
    for view in VIEWS:
        avatar = load_prepared(out, view.size)
        first = next(shown_pictures(avatar))
        poster = cv2.cvtColor(first, cv2.COLOR_YUV2BGR_I420)
        cv2.imwrite(str(out / _entry(view).poster), poster, [cv2.IMWRITE_JPEG_QUALITY, 88])
        if view is VIEWS[0]:
            pictures = list(shown_pictures(avatar))
            h264 = {"crf": "25", "preset": "slow", "profile": "high", "tune": "animation"}
            write_film(out / "loop.mp4", pictures, FPS, "libx264", h264)
            vp9 = {"crf": "36", "b": "0", "deadline": "good", "cpu-used": "2", "row-mt": "1"}
            write_film(out / "loop.webm", pictures, FPS, "libvpx-vp9", vp9)


def bake(portrait: Portrait, out: Path, processes: int = 2) -> None:
    """Write the whole directory of the avatar; what is there is replaced only when all is made."""
    with tempfile.TemporaryDirectory() as fresh:
        _bake_files(portrait, Path(fresh), processes)
        out.mkdir(parents=True, exist_ok=True)
        for path in Path(fresh).iterdir():
            shutil.copy(path, out)


def _bake_files(portrait: Portrait, out: Path, processes: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        _bake_pictures(portrait, folder, processes)
        _LOG.info("pictures painted")
        for view in VIEWS:
            pictures = np.load(_sheet(folder, view), mmap_mode="r")
            film = {"crf": f"{portrait.film_crf}", "preset": "slow", "profile": "high"}
            film["x264-params"] = "ipratio=1.1:pbratio=1.0"
            write_film(out / _entry(view).film, pictures, FPS, "libx264", film)
    np.save(out / "poses.npy", np.array([mouth_matrix(picture) for picture in range(PICTURES)]))
    _write_manifest(portrait, out)
    _LOG.info("idle films written")
    _write_shown(out)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Paint an avatar and write its prepared directory.")
    parser.add_argument("portrait", choices=PORTRAITS)
    parser.add_argument("--out", type=Path, help="by default the one that ships")
    parser.add_argument("--processes", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.nice(19)
    portrait = PORTRAITS[arguments.portrait]
    bake(portrait, arguments.out or Path("assets/avatars") / portrait.name, arguments.processes)


if __name__ == "__main__":
    main()
