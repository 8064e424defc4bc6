"""Moves a drawn figure in a finished picture: one smooth field bends head and neck, brows by themselves.

The field fades to nothing in the blurred room beside the head and on the shoulders, so there is no edge. It is linear
in the motion, so it is kept as one coarse sheet for each kind of motion and summed for each picture. What moves inside
the face alone, as accents do, touches that part of the picture and no more.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.view import View
from avatar.motion import STILL, Motion
from avatar.prepared import Box

_CELL: Final = 16
"""Units: pixels from sample to sample of the coarse sheets; the field is smooth."""
_NECK: Final = (500.0, 770.0)
# Design units: columns about the middle, and rows, between which the field fades.
_ACROSS: Final = (262.0, 360.0)
_DOWN: Final = (600.0, 860.0)
_BROWS: Final = (58.0, 362.0, 30.0, 12.0)
"""Middle of a brow beside the face's middle, its height, and the spread of what is raised with it."""
_FACE: Final = (345.0, 300.0, 655.0, 668.0)
"""Left, top, right, bottom: all that moves within the head."""
_DIP_ACROSS: Final = (95.0, 150.0)
_DIP_DOWN: Final = ((302.0, 372.0), (600.0, 666.0))
"""Between these a dip of the face fades to its outline."""


@dataclass(frozen=True, slots=True)
class _Sheet:
    """The field in one part of the picture."""

    left: int
    top: int
    width: int
    height: int
    """Units: luma pixels, all even."""
    rest: NDArray[np.float32]
    """Where each coarse sample is, in luma pixels from the part's corner. Shapes: (2, rows, columns)."""
    basis: NDArray[np.float32]
    """Shapes: (motions, 2, rows, columns): where a unit of each motion takes a coarse sample, in luma pixels."""


class FigureMover:
    """One size's. Called with a picture and a motion; any thread."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._size = view.size
        self._head = self._sheet(_NECK[0] - _ACROSS[1], -1e9, _NECK[0] + _ACROSS[1], _DOWN[1])
        self._face = self._sheet(*_FACE)
        self._desks = threading.local()

    def __call__(self, picture: NDArray[np.uint8], motion: Motion) -> None:
        """Move the figure in ``picture``, in place. Shapes: (height * 3 // 2, width), I420."""
        if motion == STILL:
            return
        sheet = self._face if motion.within_face else self._head
        coarse = sheet.rest - np.tensordot(np.array(motion, np.float32), sheet.basis, 1)  # (2, rows, columns)
        width, height = self._size
        self._bend([picture[:height]], sheet, coarse, 1)
        self._bend(picture[height:].reshape(2, height // 2, width // 2), sheet, coarse, 2)

    def _bend(self, planes: Iterable[NDArray[np.uint8]], sheet: _Sheet, coarse: NDArray[np.float32], step: int) -> None:
        """Each sample of the sheet's part from where the field says it was; ``step`` luma pixels to a sample."""
        rows, columns, cell = sheet.height // step, sheet.width // step, _CELL // step
        # As samples lie in the middle of their pixels: luma x is chroma (x - 0.5) / 2.
        coarse = np.asarray((coarse - (step - 1) / 2) / step, np.float32)
        maps, moved = self._desk(sheet, step)
        for part, fine in zip(coarse, maps, strict=True):
            cv2.resize(part, (columns + 2 * cell, rows + 2 * cell), dst=fine)
        x, y = (fine[cell : cell + rows, cell : cell + columns] for fine in maps)
        top, left = sheet.top // step, sheet.left // step
        for plane in planes:
            part = plane[top : top + rows, left : left + columns]
            cv2.remap(part, x, y, cv2.INTER_LINEAR, dst=moved, borderMode=cv2.BORDER_REPLICATE)
            part[...] = moved

    def _desk(self, sheet: _Sheet, step: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Room for two maps and a plane, each thread's own, kept: half of the time would go into getting it anew."""
        desks: dict[str, tuple[NDArray[np.float32], NDArray[np.uint8]]] = self._desks.__dict__
        key = f"{sheet is self._head} {step}"
        if key not in desks:
            rows, columns, edge = sheet.height // step, sheet.width // step, 2 * (_CELL // step)
            desks[key] = np.empty((2, rows + edge, columns + edge), np.float32), np.empty((rows, columns), np.uint8)
        return desks[key]

    def face_box(self) -> Box:
        """All that accents move lies in it."""
        return Box(self._face.left, self._face.top, self._face.width, self._face.height)

    def _sheet(self, left: float, top: float, right: float, bottom: float) -> _Sheet:
        """Of a part in design units; what lies outside of the picture is left out."""
        view, (width, height) = self._view, self._size
        x0, x1 = (min(max(round((x - view.x) * view.scale / _CELL) * _CELL, 0), width & -_CELL) for x in (left, right))
        y0, y1 = (min(max(round((y - view.y) * view.scale / _CELL) * _CELL, 0), height & -_CELL) for y in (top, bottom))
        # One cell more on each side: a resized sheet is right only between its own samples.
        along, across = (np.arange(-0.5, (far - near) // _CELL + 1) * _CELL for near, far in ((x0, x1), (y0, y1)))
        x, y = np.meshgrid(view.x + (x0 + along) / view.scale, view.y + (y0 + across) / view.scale)
        rest = np.stack(np.meshgrid(along - 0.5, across - 0.5)).astype(np.float32)
        basis = (field_of(x, y) * view.scale).astype(np.float32)
        return _Sheet(x0, y0, x1 - x0, y1 - y0, rest, basis)


def field_of(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a unit of each motion takes points, in design units. Shapes: (H, W) twice -> (motions, 2, H, W)."""
    across = 1 - _smoothstep(*_ACROSS, np.abs(x - _NECK[0]))
    head = across * (1 - _smoothstep(*_DOWN, y))
    right, down = x - _NECK[0], y - _NECK[1]
    # The face stands out from the head: it goes further when that turns (as ``pose.displacement`` has it).
    depth = 9.5 * np.exp(-((right / 175) ** 2) - ((y - 450) / 250) ** 2)
    depth += 3.0 * np.exp(-((right / 30) ** 2) - ((y - 492) / 26) ** 2)
    nothing = np.zeros_like(x)
    beside, high, wide, tall = _BROWS
    brows = sum(np.exp(-0.5 * (((x - 500 - s * beside) / wide) ** 2 + ((y - high) / tall) ** 2)) for s in (-1, 1))
    (above, top), (bottom, below) = _DIP_DOWN
    dip = (
        (1 - _smoothstep(*_DIP_ACROSS, np.abs(right)))
        * _smoothstep(above, top, y)
        * (1 - _smoothstep(bottom, below, y))
    )
    degree = np.pi / 180
    return np.array(
        [
            [-degree * down * head, degree * right * head],
            [depth * head, nothing],
            [nothing, 0.72 * depth * head],
            [nothing, head],
            [right * head, down * head],
            [nothing, -np.asarray(brows)],
            [nothing, dip],
        ]
    )


def _smoothstep(low: float, high: float, value: NDArray[np.float64]) -> NDArray[np.float64]:
    t = np.clip((value - low) / (high - low), 0, 1)
    smooth: NDArray[np.float64] = t * t * (3 - 2 * t)
    return smooth
