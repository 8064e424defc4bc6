"""Hair as strands: each follows its lock from the parting to the tip, catches the light where the head turns to it.

A panel of hair is spanned by a few guide curves. Strands lie between them, gather into locks towards the tips, and are
painted opaque in colours that vary by place (root shadow, sheen band, tip) and by chance; thousands of them are hair.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, ramp, ribbon, spline
from avatar.engines.viseme.palette import Palette

_STEPS = 84  # vertices of a strand


@dataclass(frozen=True, slots=True)
class Panel:
    """One sweep of hair: guide curves from the face outwards, each from root to tip."""

    guides: tuple[tuple[tuple[float, float], ...], ...]
    strands: int
    locks: int
    shine: float
    """Brightness of the sheen band, which lies where the skull turns to the light."""
    band: float
    """Where along the strand the sheen lies, 0 root .. 1 tip."""
    wave: float = 8.0
    """Units: design units, how far locks swing near the tips."""
    base: float = 0.30
    """Mean brightness."""
    seed: int = 1
    under: float = 0.97
    """How far down the strands lie on a closed ground of hair; below it they hang free."""


_LEFT = Panel(
    guides=(
        (
            (460, 253), (433, 266), (402, 301), (379, 350), (365, 404), (355, 470),
            (348, 540), (352, 610), (352, 680), (356, 736), (376, 786),
        ),
        (
            (459, 212), (414, 229), (368, 278), (342, 346), (333, 424), (324, 506),
            (316, 590), (318, 660), (322, 722), (334, 770), (356, 806),
        ),
        (
            (456, 182), (398, 195), (340, 249), (315, 330), (306, 416), (294, 504),
            (282, 590), (280, 662), (288, 726), (304, 778), (332, 816),
        ),
        (
            (455, 144), (409, 145), (350, 183), (309, 256), (291, 346), (279, 440),
            (262, 540), (252, 630), (256, 706), (276, 770), (312, 818),
        ),
    ),
    strands=4600, locks=30, shine=0.45, band=0.27, seed=3,
)  # fmt: skip
_RIGHT = Panel(
    guides=(
        (
            (466, 253), (505, 263), (556, 286), (602, 325), (628, 372), (638, 424),
            (646, 490), (650, 556), (646, 622), (644, 686), (640, 740), (620, 788),
        ),
        (
            (462, 213), (523, 217), (588, 248), (640, 306), (664, 374), (672, 446),
            (680, 520), (686, 594), (682, 662), (676, 722), (664, 772), (640, 808),
        ),
        (
            (459, 184), (530, 178), (612, 208), (670, 282), (692, 364), (702, 448),
            (714, 530), (722, 606), (720, 676), (710, 734), (694, 784), (666, 818),
        ),
        (
            (456, 144), (540, 132), (632, 162), (690, 236), (711, 330), (722, 436),
            (740, 536), (750, 630), (746, 708), (730, 768), (706, 806), (684, 824),
        ),
    ),
    strands=5800, locks=36, shine=0.39, band=0.29, base=0.28, seed=5,
)  # fmt: skip
_BACK = Panel(
    guides=(
        (
            (380, 300), (330, 420), (318, 560),
            (324, 680), (336, 750), (350, 800),
        ),
        (
            (450, 300), (430, 420), (420, 560),
            (420, 680), (424, 750), (430, 800),
        ),
        (
            (550, 300), (570, 420), (580, 560),
            (580, 680), (576, 750), (570, 800),
        ),
        (
            (620, 300), (668, 420), (682, 560),
            (676, 680), (664, 750), (650, 800),
        ),
    ),
    strands=1800, locks=14, shine=0.05, band=0.6, base=0.10, seed=9, under=1.0,
)  # fmt: skip


def _guide_curves(panel: Panel) -> NDArray[np.float64]:
    """Shapes: (guides, steps, 2), evenly spaced along each guide."""
    curves = []
    for points in panel.guides:
        curve = spline(points)
        length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(curve, axis=0), axis=1))])
        even = np.linspace(0, length[-1], _STEPS)
        curves.append(np.stack([np.interp(even, length, curve[:, i]) for i in (0, 1)], -1))
    return np.array(curves)


def _strand_curves(panel: Panel, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Strands of a panel and the lock each belongs to. Shapes: (S, steps, 2), (S,)."""
    guides = _guide_curves(panel)
    across = random.uniform(0, 1, panel.strands)
    across += np.where(across < 0.05, -0.006 * random.exponential(1, panel.strands), 0)  # the inner edge is thin
    borders = np.sort(np.concatenate([[0, 1], random.uniform(0.03, 0.97, panel.locks - 1)]))
    lock = np.clip(np.searchsorted(borders, across) - 1, 0, panel.locks - 1)
    centre = ((borders[:-1] + borders[1:]) / 2)[lock]
    u = np.linspace(0, 1, _STEPS)[None, :]
    gather = 0.10 + 0.28 * u**3 + 0.14 * u**14
    place = across[:, None] + (centre - across)[:, None] * gather
    at = place * (len(guides) - 1)
    low = np.clip(at.astype(int), 0, len(guides) - 2)
    blend = (at - low)[..., None]
    step = np.arange(_STEPS)[None, :]
    curves = guides[low, step] * (1 - blend) + guides[low + 1, step] * blend
    phase = random.uniform(0, 2 * np.pi, panel.locks)[lock][:, None] * 0.35 + across[:, None] * 2
    swing = panel.wave * u**1.6 * np.sin(phase + 7.5 * u) + random.normal(0, 1, panel.strands)[:, None] * 1.6 * u
    curves[..., 0] += swing
    # A lock ends in a point: its outer strands are shorter.
    width = (borders[1:] - borders[:-1])[lock]
    off_centre = np.abs(across - centre) / width
    rise = random.normal(0, 7, panel.locks)[lock] + random.normal(0, 3, panel.strands) - 22 * off_centre**1.5
    curves[..., 1] += rise[:, None] * u**4
    return curves, lock.astype(np.float64)


def _brightness(
    panel: Panel, across: NDArray[np.float64], lock: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Value in the hair ramp. Shapes: (S, steps)."""
    u = np.linspace(0, 1, _STEPS)[None, :]
    tone = random.normal(0, 0.055, panel.locks)[lock.astype(int)][:, None]
    own = random.normal(0, 0.05, len(lock))[:, None]
    offset = (
        random.normal(0, 0.025, panel.locks)[lock.astype(int)][:, None] + random.normal(0, 0.02, len(lock))[:, None]
    )
    sheen = panel.shine * np.exp(-0.5 * ((u - panel.band - offset) / 0.085) ** 2)
    second = 0.45 * panel.shine * np.exp(-0.5 * ((u - panel.band - 0.40 - 2 * offset) / 0.10) ** 2)
    root = -0.09 * np.exp(-u / 0.05)
    inner = -0.13 * np.exp(-across[:, None] / 0.10) - 0.10 * np.exp(-(1 - across[:, None]) / 0.06)
    value: NDArray[np.float64] = panel.base + tone + own + sheen + second + root + inner + 0.07 * u
    return value


def _draw_strands(layer: Layer, panel: Panel, palette: Palette) -> None:
    random = np.random.default_rng(panel.seed)
    curves, lock = _strand_curves(panel, random)
    guides = _guide_curves(panel)
    span = guides[-1, _STEPS // 3] - guides[0, _STEPS // 3]
    across = np.clip(((curves[:, _STEPS // 3] - guides[0, _STEPS // 3]) @ span) / (span @ span), 0, 1)
    colours = ramp(palette.hair, np.clip(_brightness(panel, across, lock, random), 0, 1).astype(np.float32))
    sheet = np.zeros((*layer.shape, 4), np.uint8)
    cv2.fillPoly(
        sheet,
        [layer.fixed(_silhouette(guides, panel.under))],
        (*ramp(palette.hair, 0.10).tolist(), 255),
        cv2.LINE_AA,
        4,
    )
    lengths = _STEPS - np.abs(random.normal(0, 3.6, len(curves))).astype(int)
    for index in random.permutation(len(curves)):
        end = lengths[index]
        width = 1 if random.random() < 0.6 else 2
        _draw_strand(sheet, layer.fixed(curves[index, :end]), colours[index, :end], width)
    strands = sheet.astype(np.float32) / (1, 1, 1, 255)
    layer.pixels *= 1 - strands[..., 3:]
    layer.pixels += strands.astype(np.float32)


def _draw_strand(sheet: NDArray[np.uint8], points: NDArray[np.int32], colours: NDArray[np.float32], width: int) -> None:
    for start in range(len(points) - 1):
        colour = (*colours[start].tolist(), 255.0)
        cv2.line(
            sheet, points[start], points[start + 1], colour, width if start < len(points) - 12 else 1, cv2.LINE_AA, 4
        )


def _silhouette(guides: NDArray[np.float64], share: float) -> Curve:
    count = round(_STEPS * share)
    # Strands swing about their guides: near the tips the ground draws in, or its straight edge would show.
    inset = (0.14 * np.linspace(0, 1, count) ** 6)[:, None]
    inner, outer = guides[0, :count], guides[-1, :count]
    return np.vstack([inner + (outer - inner) * inset, (outer + (inner - outer) * inset)[::-1]])


@dataclass(frozen=True, slots=True)
class _Loose:
    """Single hairs that leave a panel's edge and come back to it or end in the air."""

    guide: int
    """The panel's guide that they leave: 0 the inner edge, -1 the outer one."""
    count: int
    start: tuple[float, float]
    """Shares of the guide's length between which they leave it."""
    length: tuple[float, float]
    reach: float
    """Units: design units off the guide, at most."""
    value: float
    opacity: float
    seed: int


def _draw_loose(layer: Layer, panel: Panel, palette: Palette, loose: _Loose) -> None:
    random = np.random.default_rng(loose.seed)
    guides = _guide_curves(panel)
    guide, inward = guides[loose.guide], guides[1 if loose.guide == 0 else -2]
    away = guide - inward
    away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-9)
    mask = np.zeros(layer.shape, np.uint8)
    steps = np.arange(_STEPS)
    for _ in range(loose.count):
        first = random.uniform(*loose.start) * (_STEPS - 1)
        last = min(first + random.uniform(*loose.length) * (_STEPS - 1), _STEPS - 1.0)
        at = np.linspace(first, last, 24)
        u = np.linspace(0, 1, 24)
        base, side = (np.stack([np.interp(at, steps, c[:, k]) for k in (0, 1)], 1) for c in (guide, away))
        ends = random.uniform(0.45, 0.95)  # how far the tip stays off the edge
        lift = loose.reach * random.uniform(0.05, 1) ** 1.2 * (np.sin(np.pi * u * (1 - 0.5 * ends)) ** 1.2)
        points = base + side * (lift - 0.8)[:, None]
        shade = random.uniform(0.35, 1)
        for k in range(23):
            fade = shade * min(1.0, 5 * u[k] + 0.3) * min(1.0, 3 * (1 - u[k]))
            segment = layer.fixed(points[k : k + 2])
            cv2.line(mask, segment[0], segment[1], round(255 * fade), 1, cv2.LINE_AA, 4)
    layer.paint(ramp(palette.hair, loose.value), np.asarray(mask / 255, np.float32), loose.opacity)


_LOOSE = (
    (_LEFT, _Loose(0, 190, (0.0, 0.20), (0.05, 0.14), 9.0, 0.16, 0.55, 31)),
    (_RIGHT, _Loose(0, 210, (0.0, 0.24), (0.05, 0.14), 9.0, 0.15, 0.55, 32)),
    (_LEFT, _Loose(0, 46, (0.12, 0.50), (0.20, 0.42), 11.0, 0.30, 0.55, 33)),
    (_RIGHT, _Loose(0, 60, (0.12, 0.48), (0.22, 0.46), 13.0, 0.28, 0.55, 34)),
    (_LEFT, _Loose(-1, 30, (0.05, 0.85), (0.05, 0.13), 5.0, 0.34, 0.26, 35)),
    (_RIGHT, _Loose(-1, 34, (0.05, 0.85), (0.05, 0.13), 5.0, 0.32, 0.26, 36)),
)


_PARTING = ((455, 147), (457.4, 178), (460, 204), (462.4, 228), (463, 256))


def _paint_scalp(layer: Layer) -> None:
    """The skin of the parting, before hair lies beside it."""
    layer.paint(0x805040, layer.stroke(_PARTING, np.array([7.0, 9.0, 9.0, 9.0]), blur=0.4))


def _paint_parting(layer: Layer, palette: Palette) -> None:
    """A narrow, slightly winding line of scalp, in shade, crossed by roots."""
    layer.multiply(palette.hair[0], layer.stroke(_PARTING, np.array([8.0, 5.0, 6.0, 3.0]), blur=2.5), 0.45)
    layer.tint(0x9A6B54, layer.stroke(_PARTING, np.array([0.1, 0.8, 1.3, 2.0]), blur=0.9), 0.50)
    random = np.random.default_rng(37)
    curve = spline(_PARTING)
    roots = []
    for _ in range(90):
        x, y = curve[random.integers(4, len(curve) - 1)]
        side, reach = random.choice((-1, 1)), random.uniform(5, 11)
        tip = (x + side * reach, y - 1.0 + 0.28 * reach * random.uniform(0, 1))
        roots.append(
            ribbon(spline([(x - side * 1.2, y + 0.6), (x + side * 2, y - 0.9), tip]), np.linspace(0.9, 0.2, 29))
        )
    layer.tint(ramp(palette.hair, 0.20), layer.fill(*roots, blur=0.3), 0.60)


def paint_hair_front(layer: Layer, palette: Palette) -> None:
    """Both sweeps from the side parting, and the loose hairs at their edges."""
    _paint_scalp(layer)
    for panel in (_LEFT, _RIGHT):
        _draw_strands(layer, panel, palette)
    _paint_parting(layer, palette)
    for panel, loose in _LOOSE:
        _draw_loose(layer, panel, palette, loose)
    layer.screen(0xFFE2C4, layer.glow(404, 232, 34, 30, -40), 0.06)
    layer.screen(0xFFE2C4, layer.glow(590, 214, 62, 20, 30), 0.08)


def paint_hair_back(layer: Layer, palette: Palette) -> None:
    """What hangs behind the neck, in shade."""
    _draw_strands(layer, _BACK, palette)


def hair_shadow_outline() -> Curve:
    """The inner edges of both sweeps: what they shade on the face."""
    left, right = _guide_curves(_LEFT), _guide_curves(_RIGHT)
    return np.vstack([left[0], left[-1][::-1], right[-1], right[0][::-1]])
