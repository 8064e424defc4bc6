"""Face and neck: a height field lit from the upper left, coloured through the skin's ramp, then glazed by hand.

Lips and eyes are not here: the mouth is drawn live over bare skin (``mouth``), the eyes for each picture (``eyes``).
"""

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, Mask, ramp, smoothstep, spline
from avatar.engines.viseme.palette import Palette

_RIGHT_HALF = (
    (500, 214), (560, 222), (606, 256), (634, 312), (642, 372), (640, 430), (633, 486), (624, 530), (608, 570),
    (583, 608), (552, 636), (525, 650),
)  # fmt: skip
_LIGHT = np.array([-0.42, -0.52, 0.74])


def face_outline() -> Curve:
    """The contour of the face, hairline to chin."""
    right = [*_RIGHT_HALF, (500.0, 654.0)]
    left = [(1000 - x, y) for x, y in right[1:-1]][::-1]
    return spline([*right, *left], closed=True)


def _bump(gx: NDArray[np.float32], gy: NDArray[np.float32], x: float, y: float, sx: float, sy: float) -> Mask:
    return np.asarray(np.exp(-0.5 * (((gx - x) / sx) ** 2 + ((gy - y) / sy) ** 2)), np.float32)


def _pair(gx: NDArray[np.float32], gy: NDArray[np.float32], x: float, y: float, sx: float, sy: float) -> Mask:
    """The same bump on both sides of the face."""
    return _bump(gx, gy, 500 - x, y, sx, sy) + _bump(gx, gy, 500 + x, y, sx, sy)


def face_height(gx: NDArray[np.float32], gy: NDArray[np.float32]) -> NDArray[np.float32]:
    """Relief of the face, in design units towards the viewer."""
    dx, dy = np.abs(gx - 500), gy - 430
    half = np.interp(gy, [200, 300, 430, 520, 600, 680], [138, 158, 160, 154, 132, 104]).astype(np.float32)
    round_ = np.clip(1 - (dx / half) ** 2.5 - (np.abs(dy) / 285) ** 3, 0.012, 1)
    z = 112 * np.sqrt(round_)
    z += (
        4.5 * _pair(gx, gy, 58, 376, 34, 11) - 8 * _pair(gx, gy, 66, 410, 33, 18) - 6.5 * _pair(gx, gy, 29, 408, 12, 18)
    )
    z += 7 * _pair(gx, gy, 84, 478, 32, 26) - 5 * _pair(gx, gy, 128, 360, 18, 40) + 3 * _pair(gx, gy, 42, 300, 44, 34)
    z += 8 * _bump(gx, gy, 500, 572, 44, 30) - 1.6 * _bump(gx, gy, 500, 545, 5, 11)
    z += -3.5 * _bump(gx, gy, 500, 606, 26, 8) + 8 * _bump(gx, gy, 500, 632, 27, 16)
    z += -1.2 * _pair(gx, gy, 62, 572, 10, 14)
    return np.asarray(z + _nose(gx, gy), np.float32)


def _nose(gx: NDArray[np.float32], gy: NDArray[np.float32]) -> NDArray[np.float32]:
    length = smoothstep(376, 492, gy)
    end = 1 - smoothstep(494, 522, gy)
    width = np.interp(gy, [376, 436, 474, 498], [11, 11.5, 14, 17]).astype(np.float32)
    ridge = (5 + 14 * length**1.2) * np.exp(-0.5 * ((gx - 500) / width) ** 2) * end * smoothstep(350, 400, gy)
    tip = 6.0 * _bump(gx, gy, 500, 497, 12, 10) + 7 * _pair(gx, gy, 20, 503, 8, 8)
    flank = 5 * np.exp(-0.5 * ((gx - 500) / 26) ** 2) * smoothstep(424, 494, gy) * end
    return np.asarray(ridge + tip + flank, np.float32)


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


def paint_face(layer: Layer, palette: Palette) -> None:
    """The bare face on an empty layer: no eyes, brows, lips or hair."""
    gx, gy = layer.grid()
    outline = layer.fill(face_outline(), blur=0.7)
    height = layer.blur(face_height(gx, gy), 2.2)
    diffuse, gloss = lit(height, layer.scale)
    fill = 0.10 * smoothstep(500, 640, gx) + 0 * gy
    value = 0.12 + 0.74 * diffuse**1.15 + fill * 0.5 + 0.10 * gloss
    layer.paint(ramp(palette.skin, value.astype(np.float32)), outline)
    _glaze(layer, palette)
    _pores(layer)
    _nostrils(layer, palette)
    _highlights(layer, palette)
    layer.cut(outline)


def _glaze(layer: Layer, palette: Palette) -> None:
    """Blood under the skin, and shadow where light does not reach."""
    for side in (-1, 1):
        layer.multiply(palette.blush, layer.glow(500 + side * 88, 494, 30, 22, side * -24), 0.20)
        layer.multiply(0xB97A63, layer.glow(500 + side * 62, 398, 34, 13, side * 6), 0.26)
        layer.multiply(0xA8644F, layer.glow(500 + side * 30, 404, 10, 15, side * 20), 0.16)
        fold = [(500 + side * 33, 513), (500 + side * 46, 529), (500 + side * 58, 552)]
        layer.multiply(0xC58468, layer.stroke(fold, 5.0, blur=5), 0.22)
    layer.multiply(palette.blush, layer.glow(500, 499, 14, 12), 0.16)
    layer.multiply(palette.blush, layer.glow(500, 634, 22, 14), 0.10)
    layer.multiply(0xC98A70, layer.glow(500, 572, 66, 30), 0.14)
    layer.multiply(0xB07058, layer.glow(500, 527, 20, 6), 0.30)
    layer.multiply(0xB87A60, layer.glow(500, 226, 110, 18), 0.45)
    layer.multiply(0xA76850, layer.glow(640, 470, 22, 130), 0.35)
    layer.multiply(0xB87A60, layer.glow(360, 470, 14, 120), 0.30)
    layer.multiply(0xA05F4A, layer.glow(512, 666, 92, 11), 0.45)


def _pores(layer: Layer) -> None:
    """Skin is never one tone: fine grain and faint blotches."""
    noise = np.random.default_rng(6).normal(0, 1, (2, *layer.shape)).astype(np.float32)
    grain = 2.4 * layer.blur(noise[0], 0.6) + 14 * layer.blur(noise[1], 5)
    layer.pixels[..., :3] += grain[..., None] * np.array([0.7, 1.0, 1.0], np.float32) * layer.pixels[..., 3:]


def _nostrils(layer: Layer, palette: Palette) -> None:
    dark = palette.skin[0]
    for side in (-1, 1):
        hole = [
            (500 + side * 6.5, 512.5),
            (500 + side * 11, 509.4),
            (500 + side * 16.5, 510.6),
            (500 + side * 18, 513.5),
        ]
        layer.tint(dark, layer.stroke(hole, np.array([1.5, 4.6, 4.4, 1.2]), blur=1.0), 0.80)
        wing = [(500 + side * 26.5, 496), (500 + side * 29.5, 504), (500 + side * 26, 512), (500 + side * 20, 513)]
        layer.tint(palette.skin[1], layer.stroke(wing, np.array([1.0, 3.2, 3.4, 1.0]), blur=1.7), 0.42)
    base = [(492, 515), (500, 518.5), (508, 515)]
    layer.tint(palette.skin[1], layer.stroke(base, np.array([1.0, 3.0, 1.0]), blur=1.6), 0.45)


def _highlights(layer: Layer, palette: Palette) -> None:
    light = palette.skin[6]
    layer.screen(light, layer.glow(496, 450, 4.2, 34), 0.16)
    layer.screen(light, layer.glow(495, 493, 6.0, 5.2), 0.30)
    layer.screen(light, layer.glow(412, 462, 24, 10, -28), 0.16)
    layer.screen(light, layer.glow(584, 464, 20, 9, 28), 0.08)
    layer.screen(light, layer.glow(480, 300, 46, 28), 0.08)
    layer.screen(light, layer.glow(494, 631, 14, 8), 0.07)


_NECK_LEFT = ((430, 560), (431, 630), (431, 680), (425, 722), (406, 753), (368, 778), (326, 802))


def neck_outline() -> Curve:
    """Neck and the part of the chest that a collar leaves free."""
    left = list(_NECK_LEFT)
    right = [(1000 - x, y) for x, y in left][::-1]
    return np.vstack([spline(left), [(420, 1020), (580, 1020)], spline(right)])


def paint_neck(layer: Layer, palette: Palette) -> None:
    """Neck with the head's shadow on it, collar bones and the hollow between them."""
    gx, gy = layer.grid()
    mask = layer.fill(neck_outline(), blur=0.7)
    half = np.interp(gy, [560, 676, 738, 796, 880], [76, 76, 102, 210, 260]).astype(np.float32)
    height = 62 * np.sqrt(np.clip(1 - (np.abs(gx - 500) / half) ** 2.2, 0.02, 1))
    for side in (-1, 1):
        height += 5 * layer.stroke(
            [(500 + side * 64, 640), (500 + side * 42, 728), (500 + side * 16, 780)], 12.0, blur=7
        )
        height += 6 * layer.stroke(
            [(500 + side * 18, 784), (500 + side * 70, 779), (500 + side * 140, 766)], 9.0, blur=6
        )
    height -= 5 * layer.glow(500, 784, 10, 12)
    diffuse, gloss = lit(layer.blur(height.astype(np.float32), 3.0), layer.scale)
    value = 0.10 + 0.70 * diffuse**1.15 + 0.05 * gloss
    layer.paint(ramp(palette.skin, value.astype(np.float32)), mask)
    shadow = layer.fill(face_outline() * (0.94, 1) + (500 * 0.06 + 14, 36), blur=13)
    layer.multiply(0x93543F, shadow, 0.80)
    layer.multiply(0xA9684F, layer.glow(588, 690, 26, 90), 0.5)
    layer.multiply(0xA9684F, layer.glow(416, 700, 18, 80), 0.5)
    layer.cut(mask)
