"""Short curly hair: thousands of small open rings over a dark ground, brighter where the skull turns to the light."""

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, Mask, ramp, smoothstep, spline
from avatar.engines.viseme.palette import Palette

_OUTER = (
    (349, 424), (340, 372), (338, 318), (346, 262), (366, 212), (400, 172), (446, 148), (500, 140), (556, 147),
    (602, 171), (636, 212), (655, 262), (662, 318), (660, 372), (651, 424),
)  # fmt: skip
_HAIRLINE = (
    (645, 414), (638, 374), (630, 336), (620, 298), (598, 270), (560, 256), (522, 250), (484, 249), (446, 253),
    (408, 266), (382, 296), (371, 336), (363, 374), (355, 414),
)  # fmt: skip
_RINGS = 5200
_SEED = 41


def _cap() -> Curve:
    return np.vstack([spline(_OUTER), spline(_HAIRLINE)])


def _inside(points: NDArray[np.float64], outline: Curve) -> NDArray[np.bool_]:
    contour = outline.astype(np.float32)
    return np.array([cv2.pointPolygonTest(contour, (float(x), float(y)), False) >= 0 for x, y in points])


def paint_curls(layer: Layer, palette: Palette) -> None:
    """The cap of hair: ground, rings from the back to the front, and single ones across its edges."""
    random = np.random.default_rng(_SEED)
    outline = _cap()
    layer.paint(ramp(palette.hair, 0.16), layer.fill(outline, blur=2.2))
    _fade(layer, palette)
    roots = random.uniform((330, 136), (670, 430), (_RINGS * 4, 2))
    roots = roots[_inside(roots, outline)][:_RINGS]
    sheet = np.zeros((*layer.shape, 4), np.uint8)
    for x, y in roots[np.argsort(roots[:, 1] + random.normal(0, 40, len(roots)))]:
        _ring(sheet, layer, palette, random, x, y)
    rings = sheet.astype(np.float32) / (1, 1, 1, 255)
    layer.pixels *= 1 - rings[..., 3:]
    layer.pixels += rings.astype(np.float32)
    layer.screen(0xE8DCCB, layer.glow(428, 206, 46, 34, -38) * layer.fill(outline, blur=6), 0.10)


def _fade(layer: Layer, palette: Palette) -> None:
    """Hair gets shorter towards the temples: skin shines through it there."""
    gx, gy = layer.grid()
    for side in (-1, 1):
        whisker = layer.stroke(
            [(500 + side * 146, 380), (500 + side * 147, 428), (500 + side * 144, 462)], 13.0, blur=5
        )
        layer.paint(ramp(palette.hair, 0.14), whisker * (1 - smoothstep(410, 474, gy + 0 * gx)), 0.85)
    edge = layer.stroke(_HAIRLINE, 12.0, blur=5)
    layer.paint(ramp(palette.hair, 0.14), edge, 0.62)


def _ring(
    sheet: NDArray[np.uint8], layer: Layer, palette: Palette, random: np.random.Generator, x: float, y: float
) -> None:
    """Three quarters of a small ellipse, lit on its upper left."""
    # The skull as a ball: how much the place is turned to the light.
    u, v = (x - 500) / 165, (y - 300) / 165
    towards = -0.55 * u - 0.62 * v
    size = random.uniform(3.2, 6.4) * (1 - 0.45 * max(0.0, (y - 300) / 130))
    start, sweep = random.uniform(0, 2 * np.pi), random.uniform(3.0, 5.4)
    angle = start + np.linspace(0, sweep, 12)
    squash, tilt = random.uniform(0.55, 1.0), random.uniform(0, np.pi)
    ring = np.stack([np.cos(angle) * size, np.sin(angle) * size * squash], 1)
    c, s = np.cos(tilt), np.sin(tilt)
    points = layer.fixed(ring @ np.array([[c, s], [-s, c]]) + (x, y))
    base = 0.22 + 0.24 * towards + random.normal(0, 0.07)
    lit = 0.5 - 0.5 * np.sin(angle + tilt + 0.7)
    values = np.clip(base + 0.30 * lit * (0.5 + max(0.0, towards)), 0.02, 0.95)
    colours = ramp(palette.hair, values)
    for k in range(len(points) - 1):
        cv2.line(sheet, points[k], points[k + 1], (*colours[k].tolist(), 255.0), 2, cv2.LINE_AA, 4)


def curls_shadow(layer: Layer) -> Mask:
    """What the cap shades on the forehead."""
    return layer.fill(_cap())
