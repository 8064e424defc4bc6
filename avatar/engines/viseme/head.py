"""Face and neck: a height field lit from the upper left, coloured through the skin's ramp, then glazed by hand.

Lips and eyes are not here: the mouth is drawn live over bare skin (``mouth``), the eyes for each picture (``eyes``).
"""

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, Mask, ramp, smoothstep, spline
from avatar.engines.viseme.likeness import Likeness
from avatar.engines.viseme.palette import Palette

_LIGHT = np.array([-0.42, -0.52, 0.74])


def face_outline(likeness: Likeness) -> Curve:
    """The contour of the face, hairline to chin."""
    right = list(likeness.half_outline)
    left = [(1000 - x, y) for x, y in right[1:-1]][::-1]
    return spline([*right, *left], closed=True)


def _bump(gx: NDArray[np.float32], gy: NDArray[np.float32], x: float, y: float, sx: float, sy: float) -> Mask:
    return np.asarray(np.exp(-0.5 * (((gx - x) / sx) ** 2 + ((gy - y) / sy) ** 2)), np.float32)


def _pair(gx: NDArray[np.float32], gy: NDArray[np.float32], x: float, y: float, sx: float, sy: float) -> Mask:
    """The same bump on both sides of the face."""
    return _bump(gx, gy, 500 - x, y, sx, sy) + _bump(gx, gy, 500 + x, y, sx, sy)


def face_height(gx: NDArray[np.float32], gy: NDArray[np.float32], likeness: Likeness) -> NDArray[np.float32]:
    """Relief of the face, in design units towards the viewer."""
    dx, dy = np.abs(gx - 500), gy - 430
    half = np.interp(gy, [200, 300, 430, 520, 600, 680], [138, 158, 160, 154, 132, 104]).astype(np.float32)
    round_ = np.clip(1 - (dx / half) ** 2.5 - (np.abs(dy) / 285) ** 3, 0.012, 1)
    z = 112 * np.sqrt(round_)
    z += 4.0 * _pair(gx, gy, 60, 380, 36, 12) - 7.0 * _pair(gx, gy, 67, 416, 36, 19)
    z -= 4.5 * _pair(gx, gy, 29, 412, 13, 19)
    z += (
        8 * likeness.cheeks * _pair(gx, gy, 82, 480, 34, 28)
        - 5 * _pair(gx, gy, 128, 360, 18, 40)
        + 3 * _pair(gx, gy, 42, 306, 44, 34)
    )
    z += 7 * _bump(gx, gy, 500, 570, 46, 30) - 1.4 * _bump(gx, gy, 500, 543, 5, 11)
    z += -3.5 * _bump(gx, gy, 500, 604, 27, 9) + 7.5 * _bump(gx, gy, 500, 629, 27, 16)
    z += -1.0 * _pair(gx, gy, 62, 570, 10, 14)
    return np.asarray(z + _nose(gx, gy, likeness.nose), np.float32)


def _nose(gx: NDArray[np.float32], gy: NDArray[np.float32], wide: float) -> NDArray[np.float32]:
    """Bridge, a round tip and wings, each a soft swelling: nothing ends in an edge."""
    across = (gx - 500.0).astype(np.float32)
    width = np.interp(gy, [372, 420, 470, 500], [17, 17, 19, 21]).astype(np.float32)
    length = smoothstep(366, 486, gy) * (1 - smoothstep(486, 520, gy))
    ridge = (3.5 + 7.5 * smoothstep(400, 490, gy)) * length * np.exp(-0.5 * (across / width) ** 2)
    tip = 9.5 * _bump(gx, gy, 500, 494, 16.0 * wide, 13.5) + 2.5 * _bump(gx, gy, 500, 508, 7, 7)
    wings = 5.6 * _pair(gx, gy, 20.0 * wide, 503, 8.6 * wide, 8.8)
    flank = 4.5 * np.exp(-0.5 * (across / 30) ** 2) * smoothstep(420, 490, gy) * (1 - smoothstep(494, 526, gy))
    return np.asarray(ridge + tip + wings + flank, np.float32)


def lit(height: NDArray[np.float32], scale: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Diffuse (with soft terminator) and glossy light on a relief. Each 0..1."""
    down, right = np.gradient(height * scale)
    normal = np.stack([-right, -down, np.ones_like(height)], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    light = _LIGHT / np.linalg.norm(_LIGHT)
    lambert = normal @ light.astype(np.float32)
    diffuse = np.clip((lambert + 0.42) / 1.42, 0, 1)
    half = light + np.array([0, 0, 1])
    gloss = np.clip(normal @ (half / np.linalg.norm(half)).astype(np.float32), 0, 1) ** 26
    return np.asarray(diffuse, np.float32), np.asarray(gloss, np.float32)


def paint_face(layer: Layer, palette: Palette, likeness: Likeness) -> None:
    """The bare face on an empty layer: no eyes, brows, lips or hair."""
    gx, gy = layer.grid()
    outline = layer.fill(face_outline(likeness), blur=0.7)
    height = layer.blur(face_height(gx, gy, likeness), 2.2)
    diffuse, gloss = lit(height, layer.scale)
    fill = 0.10 * smoothstep(500, 640, gx) + 0 * gy
    value = 0.12 + 0.74 * diffuse**1.15 + fill * 0.5 + 0.10 * gloss
    layer.paint(ramp(palette.skin, value.astype(np.float32)), outline)
    _glaze(layer, palette, likeness)
    _stubble(layer, likeness.stubble)
    _pores(layer)
    _nostrils(layer, palette, likeness.nose)
    _highlights(layer, palette)
    layer.cut(outline)


def _glaze(layer: Layer, palette: Palette, likeness: Likeness) -> None:
    """Blood under the skin, and shadow where light does not reach."""
    for side in (-1, 1):
        layer.multiply(palette.blush, layer.glow(500 + side * 86, 488, 36, 25, side * -22), 0.17)
        layer.multiply(palette.blush, layer.glow(500 + side * 82, 484, 19, 14, side * -22), 0.11)
        layer.multiply(0xB97A63, layer.glow(500 + side * 64, 403, 36, 13, side * 6), 0.22)
        layer.multiply(0xA8644F, layer.glow(500 + side * 31, 408, 10, 14, side * 20), 0.12)
        layer.multiply(0xC99078, layer.glow(500 + side * 62, 441, 26, 6, side * 4), 0.20)
        layer.multiply(0xC48A6E, layer.glow(500 + side * 122, 356, 18, 40, side * -8), 0.26)
        fold = [(500 + side * 33, 512), (500 + side * 46, 528), (500 + side * 58, 550)]
        layer.multiply(0xC58468, layer.stroke(fold, 6.0, blur=6), 0.17)
    layer.multiply(palette.blush, layer.glow(500, 497, 16, 12), 0.15)
    layer.multiply(palette.blush, layer.glow(500, 631, 22, 14), 0.10)
    layer.multiply(0xC98A70, layer.glow(500, 572, 66, 30), 0.12)
    layer.multiply(0xB87A60, layer.glow(500, 230, 110, 18), 0.40)
    layer.multiply(0xA76850, layer.glow(643, 470, 22, 130), 0.38)
    layer.multiply(0xB87A60, layer.glow(357, 470, 14, 120), 0.30)
    layer.multiply(0xA05F4A, layer.glow(512, 664, 92, 11), 0.42)
    jaw = face_outline(likeness)[58:104] * (0.985, 0.985) + (500 * 0.015, 6.0)
    layer.screen(0xF0C4A4, layer.stroke(jaw[::6], 3.2, blur=2.2), 0.16)


def _stubble(layer: Layer, strength: float) -> None:
    """A beard shaved in the morning: a cool shade over jaw and upper lip, of fine dots. None about the lips."""
    if not strength:
        return
    _, gy = layer.grid()
    jaw = layer.stroke(
        [(352, 470), (370, 556), (418, 620), (500, 640), (582, 620), (630, 556), (648, 470)], 44.0, blur=13
    )
    lip = layer.stroke([(452, 552), (476, 540), (524, 540), (548, 552)], 7.0, blur=5)
    mask = np.maximum(jaw * smoothstep(440, 540, gy), 0.8 * lip)
    dots = layer.blur(np.random.default_rng(8).random(layer.shape).astype(np.float32), 0.5)
    layer.multiply(0x4A4648, np.asarray(mask * (0.45 + 1.1 * dots), np.float32), 0.34 * strength)


def _pores(layer: Layer) -> None:
    """Skin is never one tone: fine grain and faint blotches."""
    noise = np.random.default_rng(6).normal(0, 1, (2, *layer.shape)).astype(np.float32)
    grain = 2.8 * layer.blur(noise[0], 0.55) + 18 * layer.blur(noise[1], 5)
    layer.pixels[..., :3] += grain[..., None] * np.array([0.7, 1.0, 1.0], np.float32) * layer.pixels[..., 3:]


def _nostrils(layer: Layer, palette: Palette, wide: float) -> None:
    """The underside of the nose: soft shade, two small openings seen a little from below, the wings' creases."""
    layer.multiply(0xB4745C, layer.glow(501, 514.5, 17, 4.6), 0.36)
    layer.multiply(0xB4745C, layer.glow(504, 525, 15, 8), 0.22)
    dark = palette.skin[0]
    for side in (-1, 1):
        hole = [
            (500 + side * wide * 7.0, 512.6),
            (500 + side * wide * 11, 509.8),
            (500 + side * wide * 15.2, 510.0),
            (500 + side * wide * 17.6, 512.6),
        ]
        layer.multiply(0x9A5A48, layer.stroke(hole, np.array([3.0, 6.5, 6.0, 3.0]), blur=2.4), 0.42)
        layer.tint(dark, layer.stroke(hole, np.array([0.8, 3.2, 3.4, 0.8]), blur=1.0), 0.78)
        rim = ((24, 494), (28.6, 501), (27.2, 509.5), (21, 513.5))
        wing = [(500 + side * wide * x, y) for x, y in rim]
        layer.multiply(0xA3604B, layer.stroke(wing, np.array([0.4, 3.4, 4.2, 0.8]), blur=2.3), 0.36)
        layer.screen(palette.skin[5], layer.glow(500 + side * wide * 21 - 1.5, 500.5, 3.4, 3.2), 0.14)
    layer.multiply(0xB87860, layer.stroke([(494, 518), (500, 520), (506, 518)], 2.4, blur=2.0), 0.22)
    for side in (-1, 1):  # the philtrum's ridges
        layer.screen(palette.skin[6], layer.stroke([(500 + side * 6, 526), (500 + side * 8, 546)], 2.2, blur=1.8), 0.08)


def _highlights(layer: Layer, palette: Palette) -> None:
    light = palette.skin[6]
    layer.screen(light, layer.glow(497, 440, 4.6, 30), 0.13)
    layer.screen(light, layer.glow(496, 490, 6.6, 6.0), 0.20)
    layer.screen(light, layer.glow(495, 488.5, 2.8, 2.6), 0.26)
    layer.screen(light, layer.glow(413, 462, 26, 11, -28), 0.16)
    layer.screen(light, layer.glow(585, 464, 22, 10, 28), 0.09)
    layer.screen(light, layer.glow(478, 312, 48, 30), 0.08)
    layer.screen(light, layer.glow(495, 628, 14, 8), 0.09)
    for side in (-1, 1):
        layer.screen(light, layer.glow(500 + side * 82, 386, 20, 6, side * 12), 0.08)


_NECK_LEFT = ((430, 560), (431, 630), (431, 680), (425, 722), (406, 753), (368, 778), (326, 802))


def neck_outline(wide: float) -> Curve:
    """Neck and the part of the chest that a collar leaves free."""
    left = [(500 + (x - 500) * (wide if y < 730 else 1 + (wide - 1) * 0.6), y) for x, y in _NECK_LEFT]
    right = [(1000 - x, y) for x, y in left][::-1]
    return np.vstack([spline(left), [(420, 1020), (580, 1020)], spline(right)])


def paint_neck(layer: Layer, palette: Palette, likeness: Likeness) -> None:
    """Neck with the head's shadow on it, collar bones and the hollow between them."""
    gx, gy = layer.grid()
    wide = likeness.neck
    mask = layer.fill(neck_outline(wide), blur=0.7)
    half = np.interp(gy, [560, 676, 738, 796, 880], [76 * wide, 76 * wide, 102 * wide, 210, 260]).astype(np.float32)
    height = 62 * np.sqrt(np.clip(1 - (np.abs(gx - 500) / half) ** 2.2, 0.02, 1))
    for side in (-1, 1):
        height += 3.2 * layer.stroke(
            [(500 + side * 64, 640), (500 + side * 42, 728), (500 + side * 16, 780)], 12.0, blur=7
        )
        height += 3.6 * layer.stroke(
            [(500 + side * 18, 784), (500 + side * 70, 779), (500 + side * 140, 766)], 9.0, blur=6
        )
    height -= 3 * layer.glow(500, 784, 12, 13)
    diffuse, gloss = lit(layer.blur(height.astype(np.float32), 3.0), layer.scale)
    value = 0.10 + 0.70 * diffuse**1.15 + 0.05 * gloss
    layer.paint(ramp(palette.skin, value.astype(np.float32)), mask)
    shadow = layer.fill(face_outline(likeness) * (0.94, 1) + (500 * 0.06 + 14, 36), blur=13)
    layer.multiply(0x93543F, shadow, 0.80)
    layer.multiply(0xA9684F, layer.glow(500 + 88 * wide, 690, 26, 90), 0.5)
    layer.multiply(0xA9684F, layer.glow(500 - 84 * wide, 700, 18, 80), 0.5)
    layer.cut(mask)
