"""Contact sheets of the avatar for the documentation: ``python -m avatar.engines.viseme.sheets --out docs/images``."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.bake import PORTRAITS
from avatar.engines.viseme.mover import FigureMover
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.engines.viseme.phonemes import POSES, VISEMES
from avatar.engines.viseme.pose import VisemeState
from avatar.engines.viseme.stress import Accent, StressEar
from avatar.formats import POSES as FIGURE_POSES
from avatar.poses import pose_motion
from avatar.prepared import PreparedAvatar, load_prepared

_IDLE: Final = (0, 12, 22, 23, 25, 44, 67, 86, 87, 120, 152, 154)  # gazes, and lids on their way down and up
_HEAD: Final = (0.305, 0.03, 0.695, 0.80)  # share of a 1280x720 picture: left, top, right, bottom
_BUST: Final = (0.25, 0.0, 0.75, 1.0)
_TURNED: Final = {"neutral": 2, "listening": 60, "nodding": 14}
_FACE: Final = (0.385, 0.24, 0.615, 0.74)


def _shown(avatar: PreparedAvatar, painter: MouthPainter, index: int, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture of the loop with a mouth. Shapes: (height, width, 3), blue, green, red."""
    picture = compose(avatar.pictures[index], Patch(index, painter.box(index), painter.paint(index, mouth)))
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _cut(
    picture: NDArray[np.uint8], window: tuple[float, float, float, float], width: int, label: str
) -> NDArray[np.uint8]:
    rows, columns = picture.shape[:2]
    left, top, right, bottom = window
    part = picture[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]
    height = round(part.shape[0] * width / part.shape[1])
    tile = np.asarray(cv2.resize(part, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    cv2.putText(tile, label, (10, 26), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (40, 30, 30), 2, cv2.LINE_AA)
    return tile


def _grid(tiles: Sequence[NDArray[np.uint8]], columns: int) -> NDArray[np.uint8]:
    rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
    return np.vstack(rows)


def draw_sheets(avatar_directory: Path, out: Path) -> None:
    """Write visemes.jpg, idle.jpg, formats.jpg and poses.jpg: the last one of all avatars beside this one."""
    out.mkdir(parents=True, exist_ok=True)
    avatar = load_prepared(avatar_directory, (1280, 720))
    painter = MouthPainter(avatar)
    mouths = [_cut(_shown(avatar, painter, 2, POSES[viseme]), _FACE, 280, viseme) for viseme in VISEMES]
    cv2.imwrite(str(out / "visemes.jpg"), _grid(mouths, 5))
    poses = [
        _cut(_shown(avatar, painter, index, NEUTRAL), _HEAD, 350, f"{index / avatar.fps:.2f} s") for index in _IDLE
    ]
    cv2.imwrite(str(out / "idle.jpg"), _grid(poses, 4))
    formats = []
    for size in ((1280, 720), (512, 512), (720, 1280)):
        avatar = load_prepared(avatar_directory, size)
        whole = _shown(avatar, MouthPainter(avatar), 2, POSES["E"])
        formats.append(_cut(whole, (0, 0, 1, 1), round(560 * size[0] / size[1]), f"{size[0]}x{size[1]}"))
    cv2.imwrite(str(out / "formats.jpg"), np.hstack(formats))
    people = [load_prepared(avatar_directory.parent / name, (1280, 720)) for name in PORTRAITS]
    cv2.imwrite(str(out / "poses.jpg"), np.vstack([_poses(avatar) for avatar in people]))


def _poses(avatar: PreparedAvatar) -> NDArray[np.uint8]:
    """One person in each pose, and stressing a syllable."""
    if not isinstance(avatar.state, VisemeState):
        raise TypeError(f"{avatar.name} is not drawn")
    painter, mover, count = MouthPainter(avatar), FigureMover(avatar.state.view), len(avatar.pictures)
    accent = StressEar([Accent(0, 1.0)]).motion(0.16)
    shown = [(_TURNED[pose], NEUTRAL, pose_motion(pose, _TURNED[pose], count)) for pose in FIGURE_POSES]
    tiles = []
    for (index, mouth, motion), label in zip(
        [*shown, (2, POSES["aa"], accent)], [*FIGURE_POSES, "accent"], strict=True
    ):
        patch = Patch(index, painter.box(index), painter.paint(index, mouth))
        picture = compose(avatar.pictures[index], patch)
        mover(picture, motion)
        tiles.append(_cut(np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8), _BUST, 320, label))
    return np.hstack(tiles)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="Draw the contact sheets of the avatar Nova.")
    parser.add_argument("--avatar", type=Path, default=Path("assets/avatars/nova"))
    parser.add_argument("--out", type=Path, default=Path("docs/images"))
    arguments = parser.parse_args()
    draw_sheets(arguments.avatar, arguments.out)


if __name__ == "__main__":
    main()
