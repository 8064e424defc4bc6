"""The mouth as vectors: seven parameters to an SVG drawing of lips, teeth, tongue and the shading around them.

Drawn over bare skin, so everything but lips and opening is a translucent glaze that fades to nothing. Numpy only; the
subset of SVG is what ThorVG draws fast: paths, gradients in user space, one clip path, stroke and fill opacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.palette import NOVA, Palette, css

PAINTER_VERSION: Final = 3
"""Raise with every change to what is drawn: it is part of the digest of every prepared avatar."""

MOUTH_X, MOUTH_Y = 500.0, 569.0
"""Where closed lips meet, in design units."""
GLAZE_BOX: Final = (404.0, 524.0, 192.0, 146.0)
"""x, y, width, height, design units: all that is drawn lies inside."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The measures of a mouth in design units, about its centre (MOUTH_X, MOUTH_Y); y grows downwards."""

    open: float
    """Visible opening of the jaw, 0..1: jaw, less what pressing closes."""
    round: float
    wide: float
    press: float
    bite: float
    teeth: float
    tongue: float
    half: float
    """Half the distance between the corners."""
    corner: float
    """Height of the corners."""
    upper: float
    """Inner edge of the upper lip at the centre."""
    lower: float
    """Inner edge of the lower lip at the centre."""
    top: float
    """Outer edge of the upper lip at its peaks."""
    bottom: float
    """Outer edge of the lower lip."""

    @property
    def gap(self) -> float:
        """Height of the opening at the centre."""
        return self.lower - self.upper


def shape_of(mouth: NDArray[np.float32], fullness: float = 1.0) -> Shape:
    """Measures of the mouth that the seven parameters describe; ``fullness`` is the palette's. Shapes: (7,)."""
    jaw, wide, round_, press, bite, teeth, tongue = (float(v) for v in np.clip(mouth, 0, 1))
    opening = jaw * max(0.0, 1 - 1.15 * press)
    free = max(0.0, 1 - 1.15 * press)
    gap = max(46 * opening * (1 - 0.10 * round_) * (1 - 0.40 * bite), 7.0 * max(teeth, 0.8 * bite) * free)
    plump = fullness * (1 + 0.22 * round_ - 0.30 * press + 0.04 * opening)
    up, low = 0.20 * gap + 3.0 * bite * free, 0.80 * gap - 3.0 * bite * free
    half = (
        51 + 8 * wide * (1 - 0.3 * opening) - 17 * round_ * (1 - 0.25 * press) - 4 * opening * (1 - wide) - 1.5 * press
    )
    corner = -10.6 - 3.0 * wide * (1 - opening) + 0.27 * gap + 3.6 * round_ + 1.6 * press
    return Shape(
        opening, round_, wide, press, bite, teeth, tongue,
        half=half, corner=corner, upper=-up, lower=low,
        top=-up - 15.0 * plump * (1 - 0.10 * wide), bottom=low + 16.8 * plump * (1 - 0.28 * bite),
    )  # fmt: skip


def jaw_drop(mouth: NDArray[np.float32]) -> float:
    """How far the chin goes down, in design units."""
    shape = shape_of(mouth)
    return 25 * shape.open * (1 - 0.25 * shape.bite) + 4.0 * float(np.clip(mouth[0], 0, 1)) * shape.press


_Half = Sequence[tuple[float, float]]


def _mirrored(half: _Half) -> list[tuple[float, float]]:
    """A curve from the left corner to the centre, continued to the right; the right side a hair lower, as in life."""
    right = [(-x * 0.985, y + 0.6 * abs(x) / 50) for x, y in half[:-1]][::-1]
    return [*half, *right]


def _path(points: Sequence[tuple[float, float]], start: bool = True) -> str:
    """Cubic Béziers through the points (Catmull-Rom). Plain floats: a mouth has a dozen of these, numpy costs more."""
    (x0, y0), (x1, y1) = points[0], points[1]
    before = (2 * x0 - x1, 2 * y0 - y1)
    after = (2 * points[-1][0] - points[-2][0], 2 * points[-1][1] - points[-2][1])
    whole = [before, *points, after]
    parts = [f"{'M' if start else 'L'}{x0 + MOUTH_X:.1f} {y0 + MOUTH_Y:.1f}"]
    for (ax, ay), (bx, by), (cx, cy), (dx, dy) in zip(whole, whole[1:], whole[2:], whole[3:], strict=False):
        parts.append(
            f"C{bx + (cx - ax) / 6 + MOUTH_X:.1f} {by + (cy - ay) / 6 + MOUTH_Y:.1f} "
            f"{cx - (dx - bx) / 6 + MOUTH_X:.1f} {cy - (dy - by) / 6 + MOUTH_Y:.1f} "
            f"{cx + MOUTH_X:.1f} {cy + MOUTH_Y:.1f}"
        )
    return "".join(parts)


def _mix(a: float, b: float, t: float) -> float:
    return a + (b - a) * t


@dataclass(frozen=True, slots=True)
class _Curves:
    """Contours of the lips from the left corner to the right."""

    outer_upper: list[tuple[float, float]]
    inner_upper: list[tuple[float, float]]
    inner_lower: list[tuple[float, float]]
    outer_lower: list[tuple[float, float]]


def _curves(s: Shape) -> _Curves:
    w, c = s.half, s.corner
    parted = min(1.0, s.gap / 14)
    full = 0.10 * s.open + 0.08 * s.round
    bow = 3.2 - 1.4 * s.round - 1.0 * s.press
    tail = (-w + 2.0, c + 0.4)
    # Closed lips meet in a line that is level in the middle and turns up at the corners: a smile at rest.
    level = 0.20 * (1 - parted)
    outer_upper = [(-w, c), (-0.72 * w, _mix(c, s.top, 0.42 + full)), (-0.43 * w, _mix(c, s.top, 0.82 + 0.3 * full))]
    outer_upper += [(-0.16 * w, s.top), (0.0, s.top + bow)]
    inner_upper = [tail, (-0.64 * w, _mix(c, s.upper, 0.56 + full + level)), (-0.27 * w, s.upper - 0.9 * (1 - s.press))]
    inner_upper += [(0.0, s.upper + 1.0)]
    inner_lower = [tail, (-0.70 * w, _mix(c, s.lower, 0.56 + full)), (-0.36 * w, _mix(c, s.lower, 0.92))]
    inner_lower += [(0.0, s.lower + 0.6)]
    outer_lower = [(-w + 0.6, c + 0.8), (-0.79 * w, _mix(c, s.bottom, 0.38 + 0.11 * parted + full))]
    outer_lower += [(-0.44 * w, _mix(c, s.bottom, 0.86 + 0.03 * parted)), (0.0, s.bottom)]
    if s.gap < 3:  # closed lips meet: one line
        line_x, line_y = ([point[i] for point in inner_upper] for i in (0, 1))
        met = max(0.0, s.gap / 3)
        inner_lower = [(x, _mix(float(np.interp(x, line_x, line_y)), y, met)) for x, y in inner_lower]
    return _Curves(*(_mirrored(half) for half in (outer_upper, inner_upper, inner_lower, outer_lower)))


@lru_cache(maxsize=4096)
def _fading(colour: int, percent: int) -> str:
    """Stops of a Gaussian fall-off to nothing."""
    c = css(colour)
    fall = ((0, 1), (0.5, 0.88), (1.0, 0.60), (1.5, 0.31), (2.0, 0.11), (2.6, 0))
    return "".join(
        f'<stop offset="{r / 2.6:.2f}" stop-color="{c}" stop-opacity="{percent * v / 100:.3f}"/>' for r, v in fall
    )


class _Sheet:
    """Collects the drawing; gradients get running names."""

    def __init__(self, palette: Palette) -> None:
        self.palette = palette
        self.parts: list[str] = []
        self._names = 0

    def name(self) -> str:
        self._names += 1
        return f"g{self._names}"

    def soft(self, x: float, y: float, rx: float, ry: float, colour: int, opacity: float) -> None:
        """A soft spot with Gaussian fall-off, standard deviations rx and ry, about the mouth's centre."""
        if opacity < 0.015:
            return
        name, stops = self.name(), _fading(colour, round(opacity * 100))
        x, y, a, b = x + MOUTH_X, y + MOUTH_Y, 2.6 * rx, 2.6 * ry
        self.parts.append(
            f'<radialGradient id="{name}" gradientUnits="userSpaceOnUse" cx="0" cy="0" r="1" '
            f'gradientTransform="translate({x:.1f} {y:.1f}) scale({a:.1f} {b:.1f})">{stops}</radialGradient>'
            f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{a:.1f}" ry="{b:.1f}" fill="url(#{name})"/>'
        )

    def fill(self, path: str, y0: float, y1: float, stops: Sequence[tuple[float, int]], opacity: float = 1) -> None:
        """A path filled with a vertical gradient from y0 to y1."""
        name = self.name()
        body = "".join(f'<stop offset="{at:.2f}" stop-color="{css(colour)}"/>' for at, colour in stops)
        self.parts.append(
            f'<linearGradient id="{name}" gradientUnits="userSpaceOnUse" x1="0" y1="{y0 + MOUTH_Y:.1f}" x2="0" '
            f'y2="{y1 + MOUTH_Y:.1f}">{body}</linearGradient>'
            f'<path d="{path}" fill="url(#{name})" fill-opacity="{opacity:.2f}"/>'
        )

    def stroke(self, path: str, colour: int, width: float, opacity: float) -> None:
        if opacity >= 0.004:
            self.parts.append(
                f'<path d="{path}" fill="none" stroke="{css(colour)}" stroke-width="{width:.1f}" '
                f'stroke-opacity="{opacity:.3f}" stroke-linecap="round" stroke-linejoin="round"/>'
            )


def _around(sheet: _Sheet, s: Shape) -> None:
    """What lips and jaw do to the skin: shadow under the lip, dimples at the corners, folds of a wide or open mouth."""
    colours = sheet.palette
    shade, deep = colours.skin[1], colours.skin[0]
    sheet.soft(1, s.bottom + 7.0, 0.44 * s.half, 4.4, shade, 0.38)
    smile = (0.5 + s.wide) * (1 - s.round)
    for side in (-1, 1):
        sheet.soft(side * (s.half + 1.5), s.corner - 0.6, 3.4, 3.2, shade, 0.34 + 0.14 * s.wide)
        strength = 0.13 * s.wide * (1 - s.round) + 0.10 * s.open
        sheet.soft(side * (s.half + 13), s.corner + 1 + 4 * s.open, 5.0, 11 + 6 * s.open, shade, strength)
        sheet.soft(side * (s.half - 5), _mix(s.corner, s.bottom, 0.5) + 10, 10, 6, deep, 0.07 + 0.06 * s.open)
        sheet.soft(side * (s.half + 7), s.corner - 6, 5, 4, colours.skin[5], 0.16 * smile)
    sheet.soft(-1, s.top - 2.4, 0.42 * s.half, 1.7, colours.skin[6], 0.26)


def _cavity(sheet: _Sheet, s: Shape, inner: str) -> None:
    """Inside of the opening: darkness, lower teeth, tongue, upper teeth, all in the shade of the upper lip."""
    colours = sheet.palette
    sheet.parts.append(f'<clipPath id="m"><path d="{inner}"/></clipPath><g clip-path="url(#m)">')
    sheet.fill(inner, s.upper, s.lower, ((0, colours.cavity), (0.7, colours.cavity), (1, colours.cavity_back)))
    together = s.teeth * (1 - s.press)
    order = [_tongue, _lower_teeth, _upper_teeth]
    if s.tongue >= 0.45:
        order = [_lower_teeth, _tongue, _upper_teeth]
    if s.tongue > 0.7:  # th: the tip comes out between the teeth
        order = [_lower_teeth, _upper_teeth, _tongue]
    for draw in order:
        draw(sheet, s, together)
    for side in (-1, 1):
        sheet.soft(side * s.half * 0.90, s.corner + 0.1 * s.gap, 0.21 * s.half, 3 + 0.32 * s.gap, colours.cavity, 0.88)
    sheet.soft(0, s.upper - 1.5, 0.60 * s.half, 1.0 + 0.05 * s.gap, colours.cavity_back, 0.58)
    sheet.parts.append("</g>")


def _tongue(sheet: _Sheet, s: Shape, _together: float) -> None:
    colours = sheet.palette
    if s.gap < 5:
        return
    rise = s.tongue
    height = (0.27 + 0.06 * rise) * s.gap + 2
    y = _mix(s.lower - 0.09 * s.gap, s.upper + 0.62 * s.gap, rise)
    width = s.half * _mix(0.66, 0.46, rise)
    points = [
        (-width, y + height * 1.2),
        (-0.84 * width, y - 0.05 * height),
        (-0.42 * width, y - 0.82 * height),
        (0.0, y - 0.84 * height),
    ]
    body = _path(_mirrored(points)) + "Z"
    root = colours.tongue if rise > 0.4 else 0x7A3036
    tip = colours.tongue_light if rise > 0.4 else 0xB4545A
    sheet.fill(body, y - height, y + 0.6 * height, ((0, root), (0.55, tip), (1, colours.tongue)))
    sheet.soft(0, y - 0.1 * height, 1.8, 0.42 * height, colours.lip_line, 0.26)
    sheet.soft(-0.26 * width, y - 0.22 * height, 0.26 * width, 0.16 * height, colours.lip_light, 0.34)


def _lower_teeth(sheet: _Sheet, s: Shape, together: float) -> None:
    height = 6.5 * max(0.0, s.open - 0.45) + max(0.0, together - 0.35) * 0.66 * s.gap
    if height < 0.6:
        return
    w, y = 0.54 * s.half, s.lower - height
    edge = _path(_mirrored([(-w, s.lower + 1), (-0.88 * w, y + 2.0), (-0.45 * w, y + 0.4), (0.0, y)]))
    sheet.fill(
        f"{edge}L{MOUTH_X + w:.1f} {s.lower + MOUTH_Y + 12:.1f}H{MOUTH_X - w:.1f}Z",
        y,
        s.lower + 4,
        ((0, 0xCDC1B5), (1, 0x9C8C81)),
    )


def _upper_teeth(sheet: _Sheet, s: Shape, together: float) -> None:
    colours = sheet.palette
    show = min(0.46 * s.gap, 5.0 + 9.0 * s.open + 2.0 * s.wide) * (1 - 0.35 * s.round)
    height = max(show, together * 0.58 * s.gap, s.bite * 0.9 * s.gap)
    if height < 0.6:
        return
    w, y = 0.86 * s.half, s.upper + height
    # One arch: the edge follows the smile, so the side teeth stand higher and shorter than those in front.
    lift = min(0.55 * height, 0.30 * (s.upper - s.corner) + 0.16 * height) if s.gap > 4 else 0.12 * height
    half = [
        (-w, _mix(s.corner, s.upper, 0.45)),
        (-0.84 * w, y - 0.30 * height - 1.5 * lift),
        (-0.56 * w, y - 0.62 * lift),
        (-0.25 * w, y + 0.2),
        (0.0, y + 0.4),
    ]
    edge = _path(_mirrored(half))
    stops = ((0, 0xC9BBB0), (0.34, 0xECE5DD), (0.72, colours.tooth), (1, 0xE2D8CE))
    sheet.fill(f"{edge}L{MOUTH_X + w:.1f} {s.upper + MOUTH_Y - 14:.1f}H{MOUTH_X - w:.1f}Z", s.upper - 1, y + 0.8, stops)
    between = [MOUTH_X + at * w for at in (-0.66, -0.47, -0.24, 0.0, 0.24, 0.47, 0.66)]
    lines = "".join(f"M{x:.1f} {s.upper + MOUTH_Y:.1f}V{y + MOUTH_Y - 0.6:.1f}" for x in between)
    sheet.stroke(lines, 0x9A8878, 0.8, 0.16)


def _lips(sheet: _Sheet, s: Shape, curves: _Curves) -> None:
    colours = sheet.palette
    upper = _path(curves.outer_upper) + _path(curves.inner_upper[::-1], start=False) + "Z"
    lower = _path(curves.inner_lower) + _path(curves.outer_lower[::-1], start=False) + "Z"
    rim = _path(curves.outer_lower) + _path(curves.outer_upper)
    sheet.stroke(rim, colours.lip_rim[0], 4.4, 0.12)
    sheet.stroke(rim, colours.lip_rim[1], 2.4, 0.24)
    sheet.fill(lower, s.lower, s.bottom, list(zip((0, 0.20, 0.60, 1), colours.lip_lower, strict=True)), 0.90)
    sheet.fill(upper, s.top, s.upper + 1, list(zip((0, 0.5, 1), colours.lip_upper, strict=True)), 0.90)
    thick = s.bottom - s.lower
    sheet.stroke(_creases(s, thick), colours.lip_dark, 0.9, 0.13 - 0.08 * s.press)
    shine = 0.56 - 0.28 * s.press
    sheet.soft(-3, s.lower + 0.46 * thick, 0.27 * s.half, 0.14 * thick, colours.lip_light, shine)
    sheet.soft(-9, s.lower + 0.42 * thick, 0.10 * s.half, 0.08 * thick, colours.lip_glint, 0.50 * shine)
    sheet.soft(-0.6, s.top + 3.4, 0.26 * s.half, 1.4, colours.lip_light, 0.34)
    for side in (-1, 1):
        sheet.soft(
            side * 0.82 * s.half, s.corner + 1, 0.12 * s.half, 3.0, colours.lip_dark, 0.34 * max(0.0, 1 - s.gap / 8)
        )
    sheet.stroke(_path(curves.inner_upper), colours.lip_line, 1.6, 0.42)
    sheet.stroke(_path(curves.inner_lower), colours.lip_line, 1.3, 0.30 * min(1.0, s.gap / 5))


def _creases(s: Shape, thick: float) -> str:
    """Fine lines down the lower lip, fanning out from the middle."""
    parts = []
    for at in (-0.52, -0.37, -0.24, -0.11, 0.02, 0.14, 0.27, 0.41, 0.54):
        sag = at * at * thick
        x, y = MOUTH_X + at * s.half, MOUTH_Y + s.lower - 0.9 * sag
        parts.append(f"M{x:.1f} {y + 0.16 * thick:.1f}L{x + 2.2 * at:.1f} {y + (0.80 - 0.3 * abs(at)) * thick:.1f}")
    return "".join(parts)


def _seam(sheet: _Sheet, s: Shape, curves: _Curves) -> None:
    """The line of closed lips; it fades as they part."""
    colours = sheet.palette
    shut = max(0.0, 1 - s.gap / 3)
    line = _path(curves.inner_upper)
    sheet.stroke(line, colours.lip_line, 3.8, 0.20 * shut)
    sheet.stroke(line, colours.lip_line, 1.5, 0.66 * shut)


def mouth_svg(
    mouth: NDArray[np.float32], matrix: NDArray[np.float64], size: tuple[int, int], palette: Palette = NOVA
) -> str:
    """The mouth as an SVG document of ``size`` pixels; ``matrix`` (2, 3) takes design units to its pixels."""
    s = shape_of(mouth, palette.fullness)
    curves = _curves(s)
    sheet = _Sheet(palette)
    _around(sheet, s)
    if s.gap > 0.4:
        # Under the lips lies their own dark: where edges of lip and opening meet, no skin shines through.
        whole = _path(curves.outer_upper) + _path(curves.outer_lower[::-1], start=False) + "Z"
        sheet.fill(whole, s.top, s.bottom, ((0, palette.lip_dark), (1, palette.lip_dark)), 0.94)
        inner = _path(curves.inner_upper) + _path(curves.inner_lower[::-1], start=False) + "Z"
        _cavity(sheet, s, inner)
    _lips(sheet, s, curves)
    _seam(sheet, s, curves)
    a, c, e, b, d, f = matrix.ravel().tolist()
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<g transform="matrix({a:.6f} {b:.6f} {c:.6f} {d:.6f} {e:.4f} {f:.4f})">{"".join(sheet.parts)}</g></svg>'
    )
