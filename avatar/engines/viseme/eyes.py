"""Eyes and brows, painted for each picture: gaze turns the iris, the lids follow it and close over it.

All shapes are functions of the lids' opening, so that a blink moves the upper lid down over the ball (and the lower one
up a little) along a curve that stays a lid's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, Mask, moved, ramp, ribbon, smoothstep, spline
from avatar.engines.viseme.palette import Palette

EYE_X, EYE_Y = 66.0, 414.0
_HALF = 37.0  # half the distance between the corners


@dataclass(frozen=True, slots=True)
class Look:
    """State of both eyes in one picture."""

    open: float = 1.0
    """1 awake, 0 shut."""
    gaze: tuple[float, float] = (0.0, 0.0)
    """Units: design units the iris is off centre, right and down."""
    brow: float = 0.0
    """Units: design units the brows are raised."""


@dataclass(frozen=True, slots=True)
class _Lids:
    """The aperture of one eye: curves from the inner to the outer corner."""

    upper: Curve
    lower: Curve
    crease: Curve


def _lids(side: int, look: Look) -> _Lids:
    """``side`` is -1 for the eye on the left of the picture."""
    x = 500 + side * EYE_X
    follow = 0.9 * look.gaze[1]
    top = 16.2 * look.open - 7.5 * (1 - look.open) - follow * look.open
    low = 11.7 - 2.0 * (1 - look.open) + 0.3 * follow
    along = np.array([-1.0, -0.78, -0.42, 0.0, 0.40, 0.76, 1.0])
    arch = np.array([0.0, 0.56, 0.93, 1.04, 0.93, 0.55, 0.0])
    sag = np.array([0.0, 0.36, 0.72, 0.94, 0.98, 0.68, 0.0])
    corner = np.array([5.0, 3.6, 1.6, 0.4, -1.0, -2.6, -3.6])

    def curve(dy: NDArray[np.float64]) -> Curve:
        return spline(np.stack([x + side * _HALF * along, EYE_Y + corner + dy], 1))

    rise = 13.0 + 7.0 * look.open
    crease = curve(-np.maximum(rise * (0.30 + 0.74 * arch) + 1.0, 0.0))
    return _Lids(curve(-top * arch), curve(low * sag), crease)


def _ball(layer: Layer, palette: Palette, side: int, look: Look, aperture: Mask) -> None:
    x, y = 500 + side * EYE_X, EYE_Y
    gx, gy = layer.grid()
    shade = 0.62 + 0.38 * np.exp(-0.5 * (((gx - x) / 27) ** 2 + ((gy - y - 4) / 17) ** 2))
    white = np.array([241, 233, 228], np.float32) * shade[..., None] + np.array([6, 0, -2], np.float32)
    layer.paint(white.astype(np.float32), aperture)
    layer.multiply(0xE8B4A6, layer.glow(x - side * 31, y + 4, 5, 5) * aperture, 0.8)
    layer.multiply(0xE8C2B6, layer.glow(x + side * 31, y, 5, 6) * aperture, 0.5)
    _iris(layer, palette, (x + look.gaze[0], y - 0.9 + look.gaze[1]), aperture)
    lids = _lids(side, look)
    shadow = layer.fill(ribbon(moved(lids.upper, 0, 2.0), 11.0), blur=3.0)
    layer.multiply(0x4A342E, shadow * aperture, 0.70)
    _catchlights(layer, (x + look.gaze[0], y - 0.9 + look.gaze[1]), aperture)
    duct = layer.glow(x - side * 30, y + 4.2, 3.0, 2.6)
    layer.tint(0xD9897A, duct * aperture, 0.75)
    wet = layer.fill(ribbon(moved(lids.lower, 0, -0.6), 1.7), blur=0.5)
    layer.tint(0xF2D3C6, wet * aperture, 0.60)


def _iris(layer: Layer, palette: Palette, centre: tuple[float, float], aperture: Mask) -> None:
    gx, gy = layer.grid()
    cx, cy = centre
    distance = np.sqrt((gx - cx) ** 2 + (gy - cy) ** 2) / 16.0
    angle = np.arctan2(gy - cy, gx - cx)
    fibres = 0.06 * np.sin(angle * 23 + 1.3) + 0.05 * np.sin(angle * 41 + 2.1) + 0.04 * np.sin(angle * 67)
    ring = 1 - smoothstep(0.72, 1.0, distance)
    glow = 0.55 * np.clip((gy - cy) / 16.0 + 0.25, 0, 1) + 0.22
    value = np.clip(
        (glow + fibres * smoothstep(0.35, 0.6, distance)) * ring
        + 0.30 * np.exp(-(((distance - 0.52) / 0.12) ** 2)) * ring,
        0,
        1,
    )
    disc = (1 - smoothstep(0.94, 1.04, distance)) * aperture
    layer.tint(ramp(palette.iris, value.astype(np.float32)), disc)
    layer.tint(0x0B0706, (1 - smoothstep(0.40, 0.47, distance)) * aperture)


def _catchlights(layer: Layer, centre: tuple[float, float], aperture: Mask) -> None:
    cx, cy = centre
    layer.screen(0xFFFFFF, layer.fill(_disc(cx - 5.0, cy - 5.4, 3.3), blur=0.5) * aperture, 0.95)
    layer.screen(0xE8F0FF, layer.glow(cx + 5.0, cy + 5.6, 2.2, 1.8) * aperture, 0.40)
    layer.screen(0xDDE8F4, layer.glow(cx - 1, cy - 8.5, 6.5, 2.4) * aperture, 0.22)


def _disc(x: float, y: float, radius: float) -> Curve:
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], 1)


def _lid_skin(layer: Layer, palette: Palette, lids: _Lids, look: Look) -> None:
    """The upper lid between its crease and the lashes, a soft ball under skin."""
    outline = np.vstack([lids.crease, lids.upper[::-1]])
    skin = layer.fill(outline, blur=0.9)
    shut = 1 - look.open
    layer.paint(ramp(palette.skin, 0.56 + 0.05 * shut), skin, 0.55 + 0.45 * min(1.0, 3 * shut))
    middle = (lids.crease + lids.upper) / 2
    layer.screen(palette.skin[6], layer.fill(ribbon(middle[14:60], 4.0), blur=3.0) * skin, 0.10 + 0.14 * shut)
    layer.multiply(0x9C6450, layer.fill(ribbon(lids.upper, 7.0), blur=2.4) * skin, 0.55)
    count = len(lids.crease)
    width = np.interp(np.linspace(0, 1, count), [0, 0.25, 0.7, 1], [0.6, 2.4, 2.6, 0.8])
    layer.multiply(0x8A4E3C, layer.fill(ribbon(lids.crease, width), blur=1.0), 0.62 - 0.30 * shut)


def _lashes(layer: Layer, palette: Palette, side: int, lids: _Lids, look: Look) -> None:
    count = len(lids.upper)
    u = np.linspace(0, 1, count)
    width = np.interp(u, [0, 0.15, 0.55, 0.9, 1], [0.8, 2.2, 3.6, 4.2, 2.0])
    wing = lids.upper[-1] + np.array([[side * 2.5, -1.6], [side * 5.0, -3.8]]) * (0.4 + 0.6 * look.open)
    line = np.vstack([lids.upper, wing])
    layer.paint(palette.lash, layer.fill(ribbon(line, np.append(width, [1.3, 0.4])), blur=0.35), 0.94)
    pouch = moved(lids.lower[10:-8], 0, 8.5)
    layer.multiply(0xB06A55, layer.fill(ribbon(pouch, 3.0), blur=2.6), 0.20)
    low = np.interp(u, [0, 0.3, 0.8, 1], [0.3, 0.8, 1.8, 1.6])
    layer.multiply(0x5A3028, layer.fill(ribbon(moved(lids.lower, 0, 0.7), low), blur=0.7), 0.60)
    hairs = []
    lift = 2 * look.open - 1
    for index, t in enumerate(np.linspace(0.22, 0.99, 25)):
        root = lids.upper[int(t * (count - 1))]
        reach = (2.2 + 6.0 * t**1.3) * (0.75 + 0.5 * ((index * 7) % 5) / 5)
        lean = side * (-0.35 + 1.25 * t)
        tip = root + np.array([lean * reach, -reach * (0.78 * lift - 0.12)])
        knee = root + np.array([lean * reach * 0.32, -reach * (0.46 * lift - 0.2)])
        hairs.append(ribbon(spline([tuple(root), tuple(knee), tuple(tip)]), np.linspace(1.15, 0.12, 29)))
    layer.paint(palette.lash, np.max([layer.fill(hair, blur=0.25) for hair in hairs], axis=0), 0.72)


def _brow(layer: Layer, palette: Palette, side: int, look: Look) -> None:
    """Hairs along the brow's arch: upright at the nose, lying down towards the temple."""
    y = 369 - look.brow
    spine = spline([(500 + side * dx, y + dy) for dx, dy in ((28, 0), (46, -4.5), (66, -8.5), (87, -8.5), (110, 2))])
    full = np.interp(np.linspace(0, 1, len(spine)), [0, 0.2, 0.55, 1], [6.0, 9.0, 7.5, 0.8])
    body = layer.fill(ribbon(spine, full), blur=1.6)
    fade = smoothstep(24, 52, np.abs(layer.grid()[0] - 500))
    layer.multiply(0x5E4034, body * (0.30 + 0.70 * fade), 0.82)
    random = np.random.default_rng(11 if side < 0 else 12)
    direction = np.gradient(spine, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    hairs = []
    for t in np.linspace(0.0, 0.97, 90):
        index = int(t * (len(spine) - 1))
        off = random.uniform(-0.42, 0.42) * full[index]
        root = spine[index] + (0, off)
        turn = np.radians(side * -(62 * (1 - t) ** 1.6 + 10 + 22 * off / 5 * (1 if off < 0 else 0.2)))
        c, s = np.cos(turn), np.sin(turn)
        way = direction[index] @ np.array([[c, s], [-s, c]])
        reach = random.uniform(6, 9.5) * (1 - 0.45 * t)
        hairs.append(
            ribbon(
                spline(
                    [tuple(root), tuple(root + way * reach * 0.55 + (0, 0.3)), tuple(root + way * reach + (0, 1.0))]
                ),
                np.linspace(0.95, 0.15, 29),
            )
        )
    layer.tint(palette.brow, layer.fill(*hairs, blur=0.3) * (0.35 + 0.65 * fade), 0.42)


def paint_eyes(layer: Layer, palette: Palette, look: Look) -> None:
    """Both eyes and brows over the bare face."""
    for side in (-1, 1):
        lids = _lids(side, look)
        aperture = layer.fill(np.vstack([lids.upper, lids.lower[::-1]]), blur=0.3)
        if look.open > 0.04:
            _ball(layer, palette, side, look, aperture)
        _lid_skin(layer, palette, lids, look)
        _lashes(layer, palette, side, lids, look)
        _brow(layer, palette, side, look)
