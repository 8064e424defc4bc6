"""Blouse and blazer: cloth as flat shapes with soft folds, seams and the shade of what lies over them."""

import numpy as np

from avatar.engines.viseme.canvas import Curve, Layer, Mask, Points, moved, ramp, ribbon, smoothstep, spline
from avatar.engines.viseme.palette import Palette


def _mirror(points: Points) -> list[tuple[float, float]]:
    return [(1000 - x, y) for x, y in points]


_SHOULDER = (
    (420, 754), (380, 769), (322, 786), (262, 804), (214, 826),
    (180, 862), (158, 928), (140, 1036), (128, 1166), (122, 1330),
)  # fmt: skip
_OPENING = ((420, 754), (418, 796), (430, 866), (456, 956), (488, 1056), (500, 1096))
_LAPEL = ((418, 752), (398, 772), (385, 806), (378, 836), (400, 843), (358, 856), (384, 930), (434, 1014), (494, 1098))


def _coat_outline() -> Curve:
    left, right = list(_SHOULDER), _mirror(_SHOULDER)
    opening = spline(_OPENING)
    return np.vstack([spline(left), spline(right)[::-1], (opening * (-1, 1) + (1000, 0)), opening[::-1]])


def paint_blouse(layer: Layer, palette: Palette) -> None:
    """A silk top with a soft V between the lapels."""
    neckline = spline([(396, 762), (424, 826), (462, 878), (500, 898), (538, 878), (576, 826), (604, 762)])
    mask = layer.fill(np.vstack([neckline, [(700, 1320), (300, 1320)]]), blur=0.6)
    gx, gy = layer.grid()
    value = 0.86 - 0.34 * smoothstep(500, 620, gx) - 0.18 * (1 - smoothstep(380, 480, gx)) + 0 * gy
    layer.paint(ramp(palette.blouse, value.astype(np.float32)), mask)
    for points, width, depth in (
        (((446, 876), (470, 966), (494, 1076)), 13.0, 0.40),
        (((552, 876), (534, 956), (508, 1066)), 15.0, 0.46),
        (((496, 902), (492, 976), (500, 1076)), 9.0, 0.25),
        (((470, 888), (482, 936), (484, 986)), 6.0, 0.28),
    ):
        layer.multiply(0x9AA2B8, layer.stroke(points, width, blur=7) * mask, depth)
    layer.multiply(0x8F97AE, _edge_shade(layer) * mask, 0.55)
    hem = spline([(406, 788), (426, 828), (463, 879), (500, 899), (537, 879), (574, 828), (594, 788)])
    layer.screen(0xFFFFFF, layer.stroke(moved(hem, 0, 3), 3.0, blur=1.6) * mask, 0.55)
    layer.multiply(0x9A8C92, layer.stroke(moved(hem, 0, 8), 2.0, blur=1.6) * mask, 0.35)


def _edge_shade(layer: Layer) -> Mask:
    """The lapels' shadow on the blouse."""
    left = layer.stroke([(x + 8, y) for x, y in _OPENING], 20.0, blur=9)
    right = layer.stroke([(x - 10, y) for x, y in _mirror(_OPENING)], 24.0, blur=9)
    return np.maximum(left, right)


def paint_neckline_shadow(layer: Layer) -> None:
    """What the blouse's edge shades on the chest (painted on skin, before the blouse)."""
    hem = [(410, 776), (428, 820), (464, 870), (500, 890), (536, 870), (572, 820), (590, 776)]
    layer.multiply(0xA9684F, layer.stroke(hem, 10.0, blur=5), 0.45)


def paint_necklace(layer: Layer) -> None:
    """A thin gold chain with a small drop (painted on skin, before the blouse)."""
    chain = spline([(407, 712), (440, 782), (470, 815), (500, 826), (530, 815), (560, 782), (593, 712)])
    drop = spline([(500, 826), (504.6, 833.5), (500, 838.5), (495.4, 833.5)], closed=True)
    layer.multiply(0x9A5F48, layer.fill(moved(ribbon(chain, 2.6), 1.6, 2.6), moved(drop, 2.0, 3.0), blur=1.6), 0.55)
    along = np.linspace(0, 60 * np.pi, len(chain))
    layer.tint(0xA97B3C, layer.fill(ribbon(chain, 1.4 + 0.3 * np.sin(along)), blur=0.4), 0.90)
    layer.screen(0xFFE9B8, layer.fill(moved(ribbon(chain[18:52], 0.7), -0.3, -0.3), blur=0.4), 0.60)
    layer.tint(0xB98A45, layer.fill(drop, blur=0.5), 1.0)
    layer.screen(0xFFF2CF, layer.glow(498.6, 831.5, 1.5, 1.9), 0.85)


def paint_coat(layer: Layer, palette: Palette) -> None:
    """The blazer: body, sleeves, collar and lapels."""
    outline = layer.fill(_coat_outline(), blur=0.7)
    gx, gy = layer.grid()
    across = 0.60 - 0.40 * smoothstep(480, 900, gx) - 0.16 * (1 - smoothstep(90, 260, gx))
    value = across + 0.10 * (1 - smoothstep(800, 960, gy)) - 0.10 * smoothstep(900, 1300, gy)
    layer.paint(ramp(palette.coat, value.astype(np.float32)), outline)
    _folds(layer, palette, outline)
    for mirrored in (False, True):
        _lapel(layer, palette, mirrored, outline)
    _front(layer, palette, outline)
    weave = np.random.default_rng(4).normal(0, 1, layer.shape).astype(np.float32)
    layer.pixels[..., :3] += (layer.blur(weave, 0.35) * 3.2 * outline)[..., None]


def _folds(layer: Layer, palette: Palette, outline: Mask) -> None:
    dark, light = palette.coat[0], palette.coat[3]
    for points, width, depth in (
        (((214, 856), (232, 956), (222, 1076), (206, 1266)), 12.0, 0.55),
        (((786, 856), (768, 956), (778, 1076), (794, 1266)), 14.0, 0.62),
        (((262, 896), (292, 986), (352, 1066)), 16.0, 0.22),
        (((738, 896), (708, 986), (648, 1066)), 16.0, 0.26),
        (((250, 1086), (330, 1116), (440, 1112)), 18.0, 0.24),
        (((750, 1086), (670, 1116), (560, 1112)), 18.0, 0.26),
        (((140, 1036), (170, 1066), (206, 1072)), 12.0, 0.30),
    ):
        layer.tint(dark, layer.stroke(points, width, blur=9) * outline, depth)
    for points, width, depth in (
        (((300, 808), (236, 832), (190, 870), (166, 926)), 12.0, 0.34),
        (((240, 936), (254, 1036), (244, 1176)), 14.0, 0.22),
        (((690, 802), (752, 822), (800, 854)), 8.0, 0.16),
    ):
        layer.tint(light, layer.stroke(points, width, blur=8) * outline, depth)
    for points, width, depth in (  # the cloth breaks where the arm begins and over the bust
        (((226, 900), (252, 934), (268, 980)), 7.0, 0.30),
        (((774, 900), (748, 934), (732, 980)), 7.0, 0.30),
        (((322, 960), (352, 1004), (396, 1042)), 9.0, 0.22),
        (((678, 960), (648, 1004), (604, 1042)), 9.0, 0.24),
    ):
        layer.tint(dark, layer.stroke(points, width, blur=4.5) * outline, depth)
        layer.tint(light, layer.stroke([(x - 7, y - 5) for x, y in points], width, blur=5) * outline, 0.5 * depth)
    for points in (((212, 842), (206, 906), (210, 986)), ((788, 842), (794, 906), (790, 986))):
        layer.tint(dark, layer.stroke(points, 1.8, blur=0.8) * outline, 0.65)


def _front(layer: Layer, palette: Palette, outline: Mask) -> None:
    """Where the coat laps over itself below the lapels, and its button."""
    edge = [(498, 1098), (510, 1150), (520, 1230), (526, 1320)]
    layer.tint(palette.coat[0], layer.stroke([(x + 5, y) for x, y in edge], 10.0, blur=5) * outline, 0.55)
    layer.tint(palette.coat[0], layer.stroke(edge, 1.6, blur=0.6) * outline, 0.80)
    layer.tint(palette.coat[3], layer.stroke([(x - 3, y) for x, y in edge], 2.0, blur=1.2) * outline, 0.30)
    layer.multiply(0x101620, layer.glow(491, 1129, 10, 9), 0.55)
    layer.tint(
        palette.coat[1], layer.fill(spline([(480, 1124), (489, 1115), (498, 1124), (489, 1133)], True), blur=0.7)
    )
    layer.screen(0xB8C4DA, layer.glow(486, 1120, 4, 3), 0.45)
    for x, y in ((486, 1122), (492, 1122), (486, 1127), (492, 1127)):
        layer.multiply(0x0A0E16, layer.glow(x, y, 1.0, 1.0), 0.8)


def _lapel(layer: Layer, palette: Palette, mirrored: bool, outline: Mask) -> None:
    outer = _mirror(_LAPEL) if mirrored else list(_LAPEL)
    inner = _mirror(_OPENING) if mirrored else list(_OPENING)
    notch = [spline(outer[:4]), np.array(outer[4:6]), spline(outer[5:])]
    shape = np.vstack([*notch, spline(inner)[::-1]])
    mask = layer.fill(shape, blur=0.6)
    cast = layer.fill(moved(shape, 3 if mirrored else -5, 9), blur=6) * outline
    layer.tint(palette.coat[0], cast * (1 - mask), 0.62)
    gx, gy = layer.grid()
    value = (0.70 if not mirrored else 0.42) - 0.16 * smoothstep(900, 1110, gy) + 0.0008 * (500 - gx)
    layer.tint(ramp(palette.coat, value.astype(np.float32)), mask)
    roll = layer.fill(np.vstack([moved(spline(inner), 9 if mirrored else -9, 0), spline(inner)[::-1]]), blur=3.5) * mask
    layer.tint(palette.coat[3], roll, 0.35 if not mirrored else 0.18)
    sign = -1 if mirrored else 1
    seam = [outer[4], (outer[4][0] + sign * 11, 835.0), (outer[4][0] + sign * 21, 818.0)]
    layer.tint(palette.coat[0], layer.stroke(seam, 2.0, blur=0.8) * mask, 0.70)
    layer.tint(palette.coat[3], layer.stroke([(x, y - 2.4) for x, y in seam], 1.4, blur=0.8) * mask, 0.30)
    rim = np.maximum(
        *(layer.stroke([(x + sign * 2.6, y) for x, y in part], 1.5, blur=0.8) for part in (outer[:4], outer[5:]))
    )
    layer.tint(0x6A7C9E, rim * mask, 0.34 if not mirrored else 0.24)
    stitch = layer.stroke([(x + sign * 7, y - 2) for x, y in outer[5:]], 0.9, blur=0.6)
    layer.tint(palette.coat[0], stitch * mask, 0.28)
    edge = np.maximum.reduce([layer.stroke(part, 1.6, blur=0.7) for part in (outer[:4], outer[3:6], outer[5:])])
    layer.tint(palette.coat[0], edge * outline, 0.55)
