"""The mouth of a filmed face, moved: the idle picture's own lips parted, lowered, spread and narrowed. Experimental.

Two smooth fields move the picture's pixels, one what is above the line between the lips and one what is below it; where
they part, a mouth's inside is drawn. Both fields are zero at the box's border and everywhere for the neutral mouth, and
a patch is transparent where nothing moves: there the picture keeps its exact values.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.parameters import BITE, JAW, NEUTRAL, PRESS, ROUND, SEAL, TEETH, TONGUE, WIDE, gap
from avatar.engines.viseme.warp_state import WarpState
from avatar.prepared import Box, PreparedAvatar

# All lengths are mouth units: half the width of the shut mouth. About 25 mm of a grown person.
_REACH: Final = (-2.3, -1.25, 2.3, 3.4)
"""What may move, about the middle of the mouth: left, top, right, bottom."""
_OPEN: Final = 0.64
"""Height of the opening at jaw 1, in the middle; people open by 15 mm when they say /a/."""
_EAGER: Final = 0.85
"""Small openings are made a little larger than they are: below two pixels nobody sees them."""
_UPPER_PART: Final = 0.2
"""Part of it that the upper lip rises."""
_CHIN: Final = 0.30
"""How far the chin sinks at jaw 1."""
_COARSE: Final = 72
"""The fields are smooth: so many samples across, the rest between."""
_LEAST_MOVE: Final = 0.6
"""Units: pixels. What moves less is mixed with the picture as it was."""

# The inside of a mouth in ordinary light, RGB.
_THROAT: Final = np.array([46, 16, 18], np.float32)
_TOOTH: Final = np.array([238, 228, 212], np.float32)
_TONGUE: Final = np.array([158, 78, 80], np.float32)


@dataclass(frozen=True, slots=True)
class _Shape:
    """What a mouth asks of the lips. Units: mouth units."""

    open: float
    """Height of the opening."""
    chin: float
    spread: float
    """How far the corners go outward; below zero they go inward."""
    teeth: float
    """How much of the upper teeth is seen, 0..1."""
    tongue: float

    @classmethod
    def of(cls, mouth: NDArray[np.float32]) -> "_Shape":
        values = [float(value) for value in np.clip(mouth, 0, 1)]
        parted = max(0.0, 1 - SEAL * values[PRESS])
        least = max(0.16 * values[TEETH], 0.10 * values[BITE]) * parted
        opening = max(float(gap(np.clip(mouth, 0, 1))), least)
        return cls(
            _OPEN * opening**_EAGER * (1 - 0.1 * values[ROUND]),
            _CHIN * values[JAW],
            0.14 * (values[WIDE] - float(NEUTRAL[WIDE])) - 0.26 * values[ROUND],
            min(1.0, 0.9 + values[TEETH] + values[BITE]) * (1 - 0.5 * values[ROUND]),
            values[TONGUE],
        )

    @property
    def still(self) -> bool:
        """Whether the picture's own mouth is what is wanted."""
        return max(self.open, self.chin, abs(self.spread)) < 1e-3


class _Fields(NamedTuple):
    """Where each sample of a patch comes from. Shapes: (h, w) each; float32."""

    lower_x: NDArray[np.float32]
    lower_y: NDArray[np.float32]
    upper_x: NDArray[np.float32]
    upper_y: NDArray[np.float32]
    """Shifts to the source. Units: pixels."""
    below: NDArray[np.float32]
    """How far below the lower lip's edge."""
    above: NDArray[np.float32]
    """How far above the upper lip's edge."""
    across: NDArray[np.float32]
    """Which part of the shut mouth is shown: -1 its left end, 1 its right one."""


def _step(low: float, high: float, value: NDArray[np.float32]) -> NDArray[np.float32]:
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)


class WarpPainter:
    """Moves the mouths of one filmed avatar at one size. Safe to use from several threads."""

    def __init__(self, avatar: PreparedAvatar) -> None:
        """Errors: TypeError where the avatar was not prepared for this painter."""
        if not isinstance(avatar.state, WarpState):
            raise TypeError(f"{avatar.name} was not prepared for the warping painter")
        self._pictures, self._size, self._bow = avatar.pictures, avatar.size, avatar.state.bow
        self._matrices = avatar.state.matrices
        self._boxes = [self._box(matrix) for matrix in self._matrices]
        self._light = self._brightness()

    def box(self, picture: int) -> Box:
        """What may change in this picture; all four numbers even."""
        return self._boxes[picture]

    def paint(self, picture: int, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The mouth in the picture's own face.

        Shapes: mouth (7,) as ``parameters`` orders them -> (box.height, box.width, 4), premultiplied RGBA.
        """
        box = self._boxes[picture]
        shape = _Shape.of(mouth)
        if shape.still:
            return np.zeros((box.height, box.width, 4), np.uint8)
        fields = self._fields(picture, shape)
        lower = fields.below > fields.above
        shift_x = np.where(lower, fields.lower_x, fields.upper_x)
        shift_y = np.where(lower, fields.lower_y, fields.upper_y)
        alpha = cv2.convertScaleAbs(cv2.magnitude(shift_x, shift_y), alpha=255 / _LEAST_MOVE)  # stops at 255
        shift_x += np.arange(box.width, dtype=np.float32)
        shift_y += np.arange(box.height, dtype=np.float32)[:, None]
        # linear: cubic is a little sharper and takes 2 ms more, half of all that a frame costs
        moved = cv2.remap(self._crop(picture), shift_x, shift_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # its own alpha, 255, becomes this one
        patch = np.asarray(cv2.multiply(moved, cv2.merge([alpha] * 4), scale=1 / 255), np.uint8)
        self._draw_inside(patch, fields, shape, self._unit(picture))
        return patch

    def _unit(self, picture: int) -> float:
        """Pixels a mouth unit."""
        return float(np.sqrt(np.linalg.det(self._matrices[picture, :, :2])))

    def _box(self, matrix: NDArray[np.float64]) -> Box:
        left, top, right, bottom = _REACH
        corners = matrix @ np.array([[left, right, left, right], [top, top, bottom, bottom], [1, 1, 1, 1]])
        first = np.clip(np.floor(corners.min(axis=1)).astype(int) & ~1, 0, np.array(self._size) - 2)
        last = np.clip((np.ceil(corners.max(axis=1)).astype(int) + 1) & ~1, first + 2, self._size)
        return Box(int(first[0]), int(first[1]), int(last[0] - first[0]), int(last[1] - first[1]))

    def _fields(self, picture: int, shape: _Shape) -> _Fields:
        box, matrix = self._boxes[picture], self._matrices[picture]
        columns = min(box.width, _COARSE)
        rows = max(1, round(box.height * columns / box.width))
        x = (np.arange(columns) + 0.5) * box.width / columns - 0.5 + box.x - matrix[0, 2]
        y = ((np.arange(rows) + 0.5) * box.height / rows - 0.5 + box.y - matrix[1, 2])[:, None]
        turn = matrix[:, :2]
        back = np.linalg.inv(turn)
        u, v = (np.asarray(back[i, 0] * x + back[i, 1] * y, np.float32) for i in (0, 1))
        coarse = _moved(u, v, shape, self._bow, turn)
        return _Fields(*(np.asarray(cv2.resize(each, (box.width, box.height)), np.float32) for each in coarse))

    def _draw_inside(self, patch: NDArray[np.uint8], fields: _Fields, shape: _Shape, unit: float) -> None:
        """What is seen between the lips, over the patch."""
        depth = np.minimum(-fields.below, -fields.above) * unit  # pixels from the nearer lip
        inside = cv2.boundingRect((depth > 0).astype(np.uint8))
        if not inside[2]:
            return
        at = (slice(inside[1], inside[1] + inside[3]), slice(inside[0], inside[0] + inside[2]))
        cover = np.clip(depth[at], 0, 1)[..., None]
        colour = _inside_colour(-fields.above[at], -fields.below[at], fields.across[at], shape) * self._light
        # lips throw a shadow inward
        colour *= (0.78 + 0.22 * np.clip(depth[at] / (0.10 * unit), 0, 1))[..., None]
        opaque = np.concatenate([colour, np.full_like(cover, 255)], axis=2)
        patch[at] = np.rint(patch[at] * (1 - cover) + opaque * cover)

    def _brightness(self) -> float:
        """How bright the face is, beside ordinary light: the inside of its mouth is as much darker or lighter."""
        luma = self._crop(0)[..., :3].mean()
        return float(np.clip(luma / 150, 0.45, 1.1))

    def _crop(self, picture: int) -> NDArray[np.uint8]:
        """The box of a picture as opaque RGBA. Shapes: (box.height, box.width, 4)."""
        (x, y, w, h), planes = self._boxes[picture], self._pictures[picture]
        width, height = self._size
        crop = np.empty((h * 3 // 2, w), np.uint8)
        crop[:h] = planes[y : y + h, x : x + w]
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        crop[h:].reshape(2, h // 2, w // 2)[...] = chroma[:, y // 2 : (y + h) // 2, x // 2 : (x + w) // 2]
        return np.asarray(cv2.cvtColor(crop, cv2.COLOR_YUV2RGBA_I420), np.uint8)


def _moved(
    u: NDArray[np.float32], v: NDArray[np.float32], shape: _Shape, bow: float, turn: NDArray[np.float64]
) -> _Fields:
    """The fields at the points (u, v) of the mouth's own units. ``turn``: from those to pixels. Shapes: (2, 2)."""
    away = np.abs(u)
    about = (1 - _step(0.8, 1.8, away)) * _step(-1.1, -0.1, v) * (1 - _step(0.2, 1.2, v))
    across = u * (1 - shape.spread * about)
    parted = 0.66 + 0.20 * min(1.0, shape.open / _OPEN)  # a small opening does not reach the corners
    profile = np.clip(1 - (across / parted) ** 2, 0, 1) ** 0.8
    line = bow * np.minimum(across * across, 1.4)
    lower, upper = (1 - _UPPER_PART) * shape.open * profile, _UPPER_PART * shape.open * profile
    below, above = v - line - lower, line - upper - v
    chin = shape.chin * (1 - _step(0.7, 2.2, away))
    near = np.exp(-((np.maximum(below, 0) / 0.55) ** 2))
    sunk = (chin + (lower - chin) * near) * (1 - _step(1.7, 3.3, v)) * (1 - _step(1.6, 2.25, away))
    risen = upper * np.exp(-((np.maximum(above, 0) / 0.45) ** 2)) * _step(-1.2, -0.7, v)
    aside = across - u
    shifts = [turn[i, 0] * aside + turn[i, 1] * by for by in (-sunk, risen) for i in (0, 1)]
    return _Fields(*(np.asarray(each, np.float32) for each in (*shifts, below, above, across)))


def _inside_colour(
    under: NDArray[np.float32], over: NDArray[np.float32], across: NDArray[np.float32], shape: _Shape
) -> NDArray[np.float32]:
    """A mouth's inside at points ``under`` the upper lip and ``over`` the lower one. Shapes: (h, w) -> (h, w, 3)."""
    teeth_height = 0.15
    tooth = (1 - _step(0.7 * teeth_height, teeth_height, under)) * (1 - _step(0.35, 0.8, np.abs(across)))
    tooth *= np.float32(shape.teeth)
    tongue_height = 0.10 + 0.22 * shape.open / _OPEN + 0.10 * shape.tongue
    tongue = (1 - _step(0.4 * tongue_height, tongue_height, over)) * (1 - _step(0.3, 0.75, np.abs(across)))
    tongue *= np.float32(min(1.0, shape.open / 0.2) * 0.8)
    colour = _THROAT + (_TONGUE - _THROAT) * tongue[..., None]
    return np.asarray(colour + (_TOOTH - colour) * tooth[..., None], np.float32)
