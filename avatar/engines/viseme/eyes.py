"""Eyes and brows, painted for each picture: gaze turns the iris, the lids follow it and close over it.

All shapes are functions of the lids' opening, so that a blink moves the upper lid down over the ball (and the lower one
up a little) along a curve that stays a lid's.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, Mask, moved, ramp, ribbon, smoothstep, spline
from avatar.engines.viseme.likeness import Likeness
from avatar.engines.viseme.palette import Palette

EYE_X, EYE_Y = 65.0, 417.0
_HALF = 40.0  # half the distance between the corners
_IRIS = 18.0  # radius
_CONVERGE = 0.7  # both eyes look at one viewer: each iris a little towards the nose


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


def _lids(side: int, look: Look, likeness: Likeness) -> _Lids:
    """``side`` is -1 for the eye on the left of the picture."""
    x = 500 + side * EYE_X
    follow = 0.9 * look.gaze[1]
    top = 17.3 * likeness.eye * look.open - 8.2 * (1 - look.open) - follow * look.open
    low = 12.0 - 2.0 * (1 - look.open) + 0.3 * follow
    along = np.array([-1.0, -0.78, -0.42, 0.0, 0.40, 0.76, 1.0])
    arch = np.array([0.0, 0.56, 0.93, 1.04, 0.93, 0.55, 0.0])
    sag = np.array([0.0, 0.36, 0.72, 0.94, 0.98, 0.68, 0.0])
    corner = np.array([5.0, 3.6, 1.6, 0.4, -1.0, -2.6, -3.6])

    def curve(dy: NDArray[np.float64]) -> Curve:
        return spline(np.stack([x + side * _HALF * along, EYE_Y + corner + dy], 1))

    rise = 14.0 + 7.4 * look.open
    crease = curve(-np.maximum(rise * (0.30 + 0.74 * arch) + 1.0, 0.0))
    return _Lids(curve(-top * arch), curve(low * sag), crease)


def _ball(layer: Layer, palette: Palette, side: int, look: Look, aperture: Mask, lids: _Lids) -> None:
    x, y = 500 + side * EYE_X, EYE_Y
    gx, gy = layer.grid()
    centre = (x + look.gaze[0] - side * _CONVERGE, y - 1.2 + look.gaze[1])
    shade = 0.70 + 0.30 * np.exp(-0.5 * (((gx - x + 3) / 27) ** 2 + ((gy - y - 3) / 17) ** 2))
    white = np.array([247, 240, 236], np.float32) * shade[..., None] + np.array([4, 0, -1], np.float32)
    layer.paint(white.astype(np.float32), aperture)
    layer.multiply(0xE8B4A6, layer.glow(x - side * 34, y + 4, 5.5, 5) * aperture, 0.8)
    layer.multiply(0xE8C2B6, layer.glow(x + side * 34, y, 5.5, 6) * aperture, 0.5)
    _iris(layer, palette, centre, aperture)
    shadow = layer.fill(ribbon(moved(lids.upper, 0, 2.0), 11.0), blur=3.2)
    layer.multiply(0x5A423C, shadow * aperture, 0.66)
    _catchlights(layer, centre, aperture)
    duct = layer.glow(x - side * 34.5, y + 4.4, 3.0, 2.4)
    layer.tint(0xD9897A, duct * aperture, 0.75)
    wet = layer.fill(ribbon(moved(lids.lower, 0, -0.6), 1.7), blur=0.5)
    layer.tint(0xF2D3C6, wet * aperture, 0.60)


def _iris(layer: Layer, palette: Palette, centre: tuple[float, float], aperture: Mask) -> None:
    gx, gy = layer.grid()
    cx, cy = centre
    distance = np.sqrt((gx - cx) ** 2 + (gy - cy) ** 2) / _IRIS
    angle = np.arctan2(gy - cy, gx - cx)
    fibres = 0.07 * np.sin(angle * 23 + 1.3) + 0.06 * np.sin(angle * 41 + 2.1) + 0.05 * np.sin(angle * 67)
    fibres += 0.06 * np.sin(angle * 13 + 9 * distance)
    ring = 1 - smoothstep(0.74, 0.99, distance)
    # Light falls in from the upper left and gathers on the far side of the iris.
    toward = np.clip(((gy - cy) * 0.9 + (gx - cx) * 0.35) / _IRIS + 0.25, 0, 1)
    collar = 0.26 * np.exp(-(((distance - 0.53) / 0.11) ** 2))
    value = np.clip((0.20 + 0.66 * toward + fibres * smoothstep(0.38, 0.6, distance) + collar) * ring, 0, 1)
    disc = (1 - smoothstep(0.93, 1.05, distance)) * aperture
    layer.tint(ramp(palette.iris, value.astype(np.float32)), disc)
    layer.tint(0x0B0706, (1 - smoothstep(0.37, 0.45, distance)) * aperture)


def _catchlights(layer: Layer, centre: tuple[float, float], aperture: Mask) -> None:
    cx, cy = centre
    layer.screen(0xFFFFFF, layer.fill(_disc(cx - 5.4, cy - 6.0, 4.1), blur=0.6) * aperture, 0.97)
    layer.screen(0xF4F6FF, layer.fill(_disc(cx + 5.6, cy + 5.8, 1.7), blur=0.6) * aperture, 0.60)
    layer.screen(0xE8D0A0, layer.glow(cx + 4.0, cy + 9.0, 7.0, 3.4) * aperture, 0.22)
    layer.screen(0xDDE8F4, layer.glow(cx - 1, cy - 9.0, 7.0, 2.6) * aperture, 0.20)


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


def _lashes(layer: Layer, palette: Palette, side: int, lids: _Lids, look: Look, long: float) -> None:
    count = len(lids.upper)
    u = np.linspace(0, 1, count)
    width = np.interp(u, [0, 0.15, 0.55, 0.9, 1], [0.4, 1.4, 2.9, 3.0, 1.3]) * (0.4 + 0.6 * long)
    wing = lids.upper[-1] + np.array([[side * 1.6, -0.8], [side * 3.0, -2.0]]) * (0.4 + 0.6 * look.open) * long
    line = np.vstack([lids.upper, wing])
    layer.paint(palette.lash, layer.fill(ribbon(line, np.append(width, [0.9, 0.3])), blur=0.45), 0.92)
    pouch = moved(lids.lower[10:-8], 0, 8.5)
    layer.multiply(0xB06A55, layer.fill(ribbon(pouch, 3.0), blur=2.8), 0.17)
    layer.screen(0xFFE6D2, layer.fill(ribbon(moved(lids.lower[8:-8], 0, 3.6), 2.6), blur=1.4), 0.12)
    low = np.interp(u, [0, 0.3, 0.8, 1], [0.3, 0.8, 1.8, 1.6])
    layer.multiply(0x5A3028, layer.fill(ribbon(moved(lids.lower, 0, 0.7), low), blur=0.8), 0.50)
    lift = 2 * look.open - 1
    layer.paint(palette.lash, layer.fill(*_upper_hairs(side, lids, lift, long), blur=0.30), 0.58)
    layer.multiply(0x4A2C24, layer.fill(*_lower_hairs(side, lids), blur=0.35), 0.17)


def _upper_hairs(side: int, lids: _Lids, lift: float, long: float) -> list[Curve]:
    """Fine curved lashes, in loose groups, longest before the outer corner."""
    random = np.random.default_rng(21)
    hairs = []
    for t in np.linspace(0.10, 0.985, 46):
        root = lids.upper[int(t * (len(lids.upper) - 1))]
        reach = (2.4 + 5.6 * t**1.2 * (1 - 0.45 * max(0.0, t - 0.8) / 0.2)) * random.uniform(0.7, 1.12) * long
        lean = side * (-0.40 + 1.25 * t + random.normal(0, 0.07))
        tip = root + np.array([lean * reach, -reach * (0.74 * lift - 0.12)])
        knee = root + np.array([lean * reach * 0.46, -reach * (0.30 * lift - 0.2)])
        hairs.append(ribbon(spline([tuple(root), tuple(knee), tuple(tip)]), np.linspace(0.95, 0.10, 29)))
    return hairs


def _lower_hairs(side: int, lids: _Lids) -> list[Curve]:
    random = np.random.default_rng(22)
    hairs = []
    for t in np.linspace(0.30, 0.96, 24):
        root = lids.lower[int(t * (len(lids.lower) - 1))] + (0, 0.8)
        reach = 2.2 * random.uniform(0.7, 1.2)
        tip = root + np.array([side * reach * (-0.3 + 1.1 * t), reach])
        hairs.append(ribbon(np.linspace(root, tip, 6), np.linspace(0.7, 0.1, 6)))
    return hairs


def _brow(layer: Layer, palette: Palette, side: int, look: Look, likeness: Likeness) -> None:
    """Hairs along the brow's arch, upright at the nose, lying down towards the temple, over a breath of powder."""
    y = 371 - look.brow + likeness.brow_drop
    arch = ((27, 2.5), (45, -3.2), (66, -8.4), (88, -9.0), (113, 2.5))
    spine = spline([(500 + side * dx, y + dy * likeness.brow_arch) for dx, dy in arch])
    place = np.linspace(0, 1, len(spine))
    full = np.interp(place, [0, 0.10, 0.28, 0.6, 1], [3.5, 7.0, 9.4, 7.6, 1.0]) * likeness.brow
    soft = layer.fill(ribbon(spine[4:], full[4:] * 0.92), blur=2.2)
    fade = smoothstep(22, 66, np.abs(layer.grid()[0] - 500))
    layer.multiply(palette.brow_powder, soft * (0.12 + 0.88 * fade), 0.66)
    hairs = _brow_hairs(side, spine, full)
    front, rest = hairs[0::2], hairs[1::2]
    layer.tint(palette.brow, layer.fill(*front, blur=0.42) * (0.40 + 0.60 * fade), 0.60)
    layer.tint(palette.brow_fine, layer.fill(*rest, blur=0.42) * (0.46 + 0.54 * fade), 0.58)


def _brow_hairs(side: int, spine: Curve, full: NDArray[np.float64]) -> list[Curve]:
    random = np.random.default_rng(11 if side < 0 else 12)
    direction = np.gradient(spine, axis=0)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    hairs = []
    for t in np.linspace(0.0, 0.97, 170) ** 0.92:
        index = int(t * (len(spine) - 1))
        place = random.uniform(-0.5, 0.46)
        root = spine[index] + (random.normal(0, 0.8), place * full[index])
        # Below the spine hairs rise towards it, above they lie down along it.
        turn = np.radians(side * -(58 * (1 - t) ** 2.0 + 9 + 26 * place + random.normal(0, 5)))
        c, s = np.cos(turn), np.sin(turn)
        way = direction[index] @ np.array([[c, s], [-s, c]])
        reach = random.uniform(5.5, 9.0) * (1 - 0.42 * t)
        bend = root + way * reach * 0.55 + (0, -0.2)
        tip = root + way * reach + direction[index] * 1.4 * (1 - t) + (0, 0.4)
        hairs.append(ribbon(spline([tuple(root), tuple(bend), tuple(tip)]), np.linspace(0.85, 0.12, 29)))
    return hairs


def paint_eyes(layer: Layer, palette: Palette, likeness: Likeness, look: Look) -> None:
    """Both eyes and brows over the bare face."""
    for side in (-1, 1):
        lids = _lids(side, look, likeness)
        aperture = layer.fill(np.vstack([lids.upper, lids.lower[::-1]]), blur=0.3)
        if look.open > 0.04:
            _ball(layer, palette, side, look, aperture, lids)
        _lid_skin(layer, palette, lids, look)
        _lashes(layer, palette, side, lids, look, likeness.lash)
        _brow(layer, palette, side, look, likeness)
