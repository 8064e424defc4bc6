"""A knitted sweater with a round ribbed collar over a shirt's edge: soft shapes, and the columns of the stitches."""

import numpy as np

from avatar.engines.viseme.canvas import Curve, Layer, Mask, Points, ramp, smoothstep, spline
from avatar.engines.viseme.palette import Palette

_SHOULDER = (
    (391, 706), (368, 720), (344, 736), (300, 758), (222, 782), (158, 812),
    (116, 860), (92, 940), (78, 1046), (70, 1172), (66, 1330),
)  # fmt: skip
_COLLAR = ((394, 702), (404, 740), (438, 776), (500, 791), (562, 776), (596, 740), (606, 702))
_RIB = 17.0


def _mirror(points: Points) -> list[tuple[float, float]]:
    return [(1000 - x, y) for x, y in points]


def _body() -> Curve:
    return np.vstack([spline(_SHOULDER), spline(_mirror(_SHOULDER))[::-1], spline(_COLLAR)[::-1]])


def paint_shirt(layer: Layer, palette: Palette) -> None:
    """The edge of a shirt that shows above the collar."""
    edge = spline([(x, y - 9) for x, y in _COLLAR])
    gx, gy = layer.grid()
    sides = smoothstep(700, 716, gy)  # it goes on behind the neck
    mask = np.asarray(layer.fill(np.vstack([edge, [(602, 900), (398, 900)]]), blur=0.6) * sides, np.float32)
    value = 0.82 - 0.40 * smoothstep(510, 600, gx) + np.zeros(layer.shape, np.float32)
    layer.paint(ramp(palette.blouse, value.astype(np.float32)), mask)
    layer.multiply(0x8F8C90, layer.stroke([(x, y - 3) for x, y in _COLLAR], 5.0, blur=3) * mask, 0.55)


def paint_sweater(layer: Layer, palette: Palette) -> None:
    """Body and sleeves, then the collar round the neck."""
    outline = layer.fill(_body(), blur=0.8)
    gx, gy = layer.grid()
    across = 0.66 - 0.42 * smoothstep(470, 900, gx) - 0.18 * (1 - smoothstep(90, 260, gx))
    value = across + 0.10 * (1 - smoothstep(790, 930, gy)) - 0.12 * smoothstep(900, 1300, gy)
    layer.paint(ramp(palette.coat, value.astype(np.float32)), outline)
    _folds(layer, palette, outline)
    _stitches(layer, outline)
    _collar(layer, palette)


def _folds(layer: Layer, palette: Palette, outline: Mask) -> None:
    dark, light = palette.coat[0], palette.coat[3]
    for points, width, depth in (
        (((186, 846), (222, 940), (222, 1080), (200, 1290)), 16.0, 0.50),
        (((814, 846), (778, 940), (778, 1080), (800, 1290)), 18.0, 0.58),
        (((250, 888), (300, 958), (372, 1010)), 18.0, 0.26),
        (((750, 888), (700, 958), (628, 1010)), 18.0, 0.32),
        (((330, 1090), (420, 1130), (520, 1128)), 22.0, 0.22),
        (((420, 822), (470, 854), (540, 854), (590, 820)), 14.0, 0.24),
    ):
        layer.tint(dark, layer.stroke(points, width, blur=11) * outline, depth)
        layer.tint(light, layer.stroke([(x - 12, y - 8) for x, y in points], width, blur=11) * outline, 0.42 * depth)
    layer.tint(light, layer.stroke([(330, 762), (244, 790), (172, 826), (130, 890)], 16.0, blur=9) * outline, 0.36)
    for points in (((200, 806), (222, 884), (220, 990)), ((800, 806), (778, 884), (780, 990))):
        layer.tint(dark, layer.stroke(points, 2.2, blur=1.0) * outline, 0.55)


def _stitches(layer: Layer, outline: Mask) -> None:
    """Columns of small Vs, that follow the shoulders' slope; soft enough not to shimmer when the picture moves."""
    gx, gy = layer.grid()
    slope = 0.16 * np.abs(gx - 500)
    along = np.sin(2 * np.pi * (gy - slope) / 9.0 + 1.6 * np.cos(2 * np.pi * gx / 11.0))
    across = np.cos(2 * np.pi * gx / 11.0)
    layer.pixels[..., :3] *= (1 + (0.045 * along + 0.030 * across) * outline)[..., None].astype(np.float32)
    fluff = layer.blur(np.random.default_rng(14).normal(0, 1, layer.shape).astype(np.float32), 0.6)
    layer.pixels[..., :3] += (fluff * 5.0 * outline)[..., None]


def _collar(layer: Layer, palette: Palette) -> None:
    centre = spline([(x, y + _RIB / 2) for x, y in _COLLAR])
    gx, gy = layer.grid()
    sides = smoothstep(702, 712, gy)
    mask = np.asarray(layer.stroke([(x, y + _RIB / 2) for x, y in _COLLAR], _RIB, blur=0.7) * sides, np.float32)
    below = layer.stroke([(x, y + _RIB + 4) for x, y in _COLLAR], 9.0, blur=5)
    layer.tint(palette.coat[0], below * (1 - mask), 0.52)
    value = 0.66 - 0.36 * smoothstep(480, 610, gx) + np.zeros(layer.shape, np.float32)
    layer.tint(ramp(palette.coat, value.astype(np.float32)), mask)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(centre, axis=0), axis=1))])
    normal = np.gradient(centre, axis=0)
    normal = np.stack([-normal[:, 1], normal[:, 0]], 1) / np.linalg.norm(normal, axis=1, keepdims=True)
    ribs = []
    for at in np.arange(3, length[-1], 6.0):
        x, y, nx, ny = (float(np.interp(at, length, values)) for values in (*centre.T, *normal.T))
        ribs.append(layer.stroke([(x - nx * 8, y - ny * 8), (x, y), (x + nx * 8, y + ny * 8)], 2.2, blur=0.9))
    layer.tint(palette.coat[0], np.maximum.reduce(ribs) * mask, 0.36)
    layer.tint(palette.coat[3], layer.stroke([(x, y + 3) for x, y in _COLLAR], 2.4, blur=1.4) * mask, 0.40)


def paint_collar_shadow(layer: Layer) -> None:
    """What the collar shades on the neck (painted on skin)."""
    layer.multiply(0x7A4A38, layer.stroke([(x, y - 14) for x, y in _COLLAR], 12.0, blur=6), 0.42)
