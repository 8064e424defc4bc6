"""The live mouth: the picture's own lower face pulled down with the jaw, and lips, teeth and tongue drawn over it.

The skin is never drawn live: where the jaw drops, the idle picture's pixels are moved by a smooth field that is zero at
the box's border, so the patch has no seam whatever the picture holds. Lips are vectors (``mouth``), drawn straight in
the picture's pose by ThorVG.
"""

import threading
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from thorvg_python.base import Colorspace, Result
from thorvg_python.canvas.sw import SwCanvas
from thorvg_python.engine import Engine
from thorvg_python.paint.picture import Picture

from avatar.engines.viseme.mouth import GLAZE_BOX, MOUTH_X, MOUTH_Y, jaw_drop, mouth_svg
from avatar.engines.viseme.pose import VisemeState
from avatar.prepared import Box, PreparedAvatar

# The lower face, design units about the mouth's centre: left, top, right, bottom.
_REACH: Final = (-128.0, -56.0, 128.0, 198.0)
# Two threads that draw at once crash the library (thorvg-python 1.1.3), also with a canvas each.
_LOCK: Final = threading.Lock()


class PaintFailed(Exception):
    """ThorVG refused a drawing."""


class _Canvas:
    """A ThorVG canvas of one size. Only ever used under the lock."""

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        with _LOCK:
            self._engine = Engine(threads=0)
            self._canvas = SwCanvas(self._engine)
            self._canvas.set_target(*size, size[0], Colorspace.ABGR8888)
        self._pixels = np.asarray(self._canvas.buffer_arr).view(np.uint8).reshape(size[1], size[0], 4)

    def draw(self, svg: str) -> NDArray[np.uint8]:
        """A drawing's pixels, premultiplied RGBA. Errors: PaintFailed."""
        with _LOCK:
            picture = Picture(self._engine)
            result = picture.load_data(svg.encode(), "svg", None, True)
            if result != Result.SUCCESS:
                raise PaintFailed(f"ThorVG: {result!r}")
            picture.set_size(*self._size)
            self._canvas.add(picture)
            self._canvas.draw(True)
            self._canvas.sync()
            self._canvas.remove()
            return np.array(self._pixels, np.uint8)


def _smoothstep(low: float, high: float, value: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class MouthPainter:
    """Paints mouths onto the pictures of one avatar at one size. Safe to use from several threads."""

    def __init__(self, avatar: PreparedAvatar) -> None:
        """Errors: TypeError where the avatar was not prepared for this engine."""
        if not isinstance(avatar.state, VisemeState):
            raise TypeError(f"{avatar.name} was prepared for the engine {avatar.engine!r}")
        self._avatar = avatar
        self._state = avatar.state
        scale = self._state.scale
        left, top, right, bottom = _REACH
        self._extent = _even_up((right - left) * scale), _even_up((bottom - top) * scale)
        self._glaze = _even_up(GLAZE_BOX[2] * scale), _even_up(GLAZE_BOX[3] * scale)
        self._canvas = _Canvas(self._glaze)
        self._boxes = [self._box(matrix) for matrix in self._state.matrices]

    def box(self, picture: int) -> Box:
        """Where mouths go in this picture; all four numbers even."""
        return self._boxes[picture]

    def paint(self, picture: int, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The mouth in the pose of ``picture``.

        Shapes: mouth (7,) as ``parameters`` orders them -> (box.height, box.width, 4), premultiplied RGBA.
        """
        box, matrix = self._boxes[picture], self._state.matrices[picture]
        drop = jaw_drop(mouth)
        patch = np.zeros((box.height, box.width, 4), np.uint8)
        if drop > 0.05:
            self._lower(patch, picture, drop)
        corner = matrix @ (GLAZE_BOX[0], GLAZE_BOX[1], 1.0)
        x, y = (int(np.floor(c)) - o for c, o in zip(corner, (box.x, box.y), strict=True))
        local = matrix.copy()
        local[:, 2] -= (box.x + x, box.y + y)
        drawn = self._canvas.draw(mouth_svg(mouth, local, self._glaze, self._state.palette))
        width, height = self._glaze
        under = patch[y : y + height, x : x + width]
        drawn = drawn[: under.shape[0], : under.shape[1]]
        through = cv2.merge([cv2.bitwise_not(cv2.extractChannel(drawn, 3))] * 4)
        under[...] = cv2.add(cv2.multiply(under, through, scale=1 / 255), drawn)
        return patch

    def _box(self, matrix: NDArray[np.float64]) -> Box:
        scale, (width, height) = self._state.scale, self._extent
        x, y = matrix @ (MOUTH_X, MOUTH_Y, 1.0) + np.array(_REACH[:2]) * scale
        most_x, most_y = self._avatar.size[0] - width, self._avatar.size[1] - height
        return Box(min(max(int(x) & ~1, 0), most_x), min(max(int(y) & ~1, 0), most_y), width, height)

    def _lower(self, patch: NDArray[np.uint8], picture: int, drop: float) -> None:
        """Put in the picture's own lower face with the chin ``drop`` design units down, wherever anything can move.

        No soft edge is needed: at the edges nothing moves, and a picture's own pixels come back as they were.
        """
        box, scale = self._boxes[picture], self._state.scale
        centre = self._state.matrices[picture] @ (MOUTH_X, MOUTH_Y, 1.0)
        x = (np.arange(box.width, dtype=np.float32) + np.float32(0.5 + box.x - centre[0])) / np.float32(scale)
        y = (np.arange(box.height, dtype=np.float32) + np.float32(0.5 + box.y - centre[1])) / np.float32(scale)
        across = 1 - _smoothstep(46, 122, np.abs(x))
        down = _smoothstep(-34, 62, y) * (1 - _smoothstep(118, 190, y))
        columns, rows = _touched(across), _touched(down)
        field = down[rows, None] * across[None, columns]
        row, column = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
        source_y = row[:, None].astype(np.float32) - field * np.float32(drop * scale)
        source_x = column[None].astype(np.float32) + field * (x[None, columns] * np.float32(0.0017 * drop * scale))
        crop = self._crop(picture)
        patch[rows, columns] = cv2.remap(crop, source_x, source_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)

    def _crop(self, picture: int) -> NDArray[np.uint8]:
        """The box of a picture as opaque RGBA. Shapes: (box.height, box.width, 4)."""
        (x, y, w, h), planes = self._boxes[picture], self._avatar.pictures[picture]
        height, width = self._avatar.size[1], self._avatar.size[0]
        crop = np.empty((h * 3 // 2, w), np.uint8)
        crop[:h] = planes[y : y + h, x : x + w]
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        crop[h:].reshape(2, h // 2, w // 2)[...] = chroma[:, y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_YUV2RGBA_I420), np.uint8)


def _touched(field: NDArray[np.float32]) -> slice:
    """Where a bump is not zero, begun and ended on an even sample: whole chroma samples."""
    inside = np.flatnonzero(field)
    return slice(int(inside[0]) & ~1, (int(inside[-1]) + 2) & ~1)


def _even_up(length: float) -> int:
    return (int(np.ceil(length)) + 3) & ~1
