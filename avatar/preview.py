"""One picture to judge a prepared avatar by, before it goes on air: what was found, and what the mouth does.

At the left the reference picture with the face's box and the line between the lips; beside it the same face at rest,
and as it says aa, E, ou and p. Of a face that MuseTalk's networks move, in place of those the mask: what of it is new.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.musetalk.musetalk_state import Mouth, MuseTalkState
from avatar.engines.viseme.phonemes import POSES
from avatar.engines.viseme.warp import WarpPainter
from avatar.faces import FaceTrack
from avatar.lips import Lips
from avatar.prepared import Box, PreparedAvatar
from avatar.quality import PREVIEW
from avatar.write_avatar import write_picture

MOUTHS: Final = {"rest": "sil", "aa": "aa", "E": "E", "ou": "ou", "p": "PP"}
"""What stands under each, and the viseme."""
_HEIGHT: Final = 360
_BAND: Final = 28
_GREEN: Final = (90, 230, 60)
_YELLOW: Final = (40, 220, 255)
_AROUND: Final = 2.0
"""Side of what is shown of the face, in half widths of the mouth's box."""


def write_preview(out: Path, avatar: PreparedAvatar, found: NDArray[np.uint8], track: FaceTrack, lips: Lips) -> None:
    """preview.jpg. ``found``: the track's reference. Shapes: found (H, W, 3), BGR. Errors: OSError."""
    tiles = [("found", _marked(found, track, lips)), *_tiles(avatar, track.reference)]
    write_picture(out / PREVIEW, np.hstack([_labelled(name, _high(tile)) for name, tile in tiles]))


def _marked(picture: NDArray[np.uint8], track: FaceTrack, lips: Lips) -> NDArray[np.uint8]:
    """The picture, with what was found in it."""
    marked = picture.copy()
    thick = max(1, round(picture.shape[0] / 240))
    move = track.moves[track.reference]
    x, y, width, height = track.box
    across = np.linspace(-1, 1, 21)
    mouth = np.vstack([across, lips.bow * across**2, np.ones_like(across)])
    line = lips.matrix() @ mouth
    frame = np.array([[x, x + width, x + width, x], [y, y, y + height, y + height]])
    for points, closed, colour in ((frame, True, _GREEN), (line, False, _YELLOW)):
        moved = move[:, :2] @ points + move[:, 2:]
        cv2.polylines(marked, [np.rint(moved.T).astype(np.int32)], closed, colour, thick)
    return marked


def _tiles(avatar: PreparedAvatar, picture: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    if isinstance(avatar.state, MuseTalkState):
        mouth = avatar.state.mouths[picture]
        box = Box(*mouth.box)
        shown = _bgr(avatar.pictures[picture])
        yield "rest", _cut(shown, box)
        yield "mask", _cut(_tinted(shown, mouth), box)
        return
    painter = WarpPainter(avatar)
    box = painter.box(picture)
    for name, viseme in MOUTHS.items():
        patch = Patch(picture, box, painter.paint(picture, POSES[viseme]))
        yield name, _cut(_bgr(compose(avatar.pictures[picture], patch)), box)


def _bgr(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_YUV2BGR_I420), np.uint8)


def _tinted(picture: NDArray[np.uint8], mouth: Mouth) -> NDArray[np.uint8]:
    """Green where the mask covers it."""
    tinted = picture.copy()
    x, y, width, height = mouth.box
    share = 0.6 * mouth.alpha[..., None] / 255
    part = tinted[y : y + height, x : x + width]
    part[...] = np.rint(part * (1 - share) + np.array(_GREEN) * share)
    return tinted


def _cut(picture: NDArray[np.uint8], mouth: Box) -> NDArray[np.uint8]:
    """The face: a square about the mouth's box, as far as the picture goes."""
    half = max(mouth.width, mouth.height) * _AROUND / 2
    x, y = mouth.x + mouth.width / 2, mouth.y + mouth.height / 2 - half / 4
    left, top = (max(0, round(edge - half)) for edge in (x, y))
    return picture[top : round(y + half), left : round(x + half)]


def _high(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    width = max(1, round(tile.shape[1] * _HEIGHT / tile.shape[0]))
    way = cv2.INTER_AREA if tile.shape[0] > _HEIGHT else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(tile, (width, _HEIGHT), interpolation=way), np.uint8)


def _labelled(name: str, tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    band = np.full((_BAND, tile.shape[1], 3), 24, np.uint8)
    cv2.putText(band, name, (8, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (235, 235, 235), 1, cv2.LINE_AA)
    return np.vstack([tile, band])
