"""Hair as strands: each follows its lock from the parting to the tip, catches the light where the head turns to it.

A panel of hair is spanned by a few guide curves. Strands lie between them, gather into locks towards the tips, and are
painted opaque in colours that vary by place (root shadow, sheen band, tip) and by chance; thousands of them are hair.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.canvas import Curve, Layer, ramp, spline
from avatar.engines.viseme.palette import Palette

_STEPS = 56  # vertices of a strand


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
    under: float = 0.975
    """How far down the strands lie on a closed ground of hair; below it they hang free."""


_LEFT = Panel(
    guides=(
        (
            (459, 240), (430, 262), (397, 299), (373, 348), (360, 404), (352, 470),
            (348, 540), (352, 610), (352, 680), (356, 736), (376, 786),
        ),
        (
            (457, 204), (412, 224), (366, 276), (342, 346), (333, 424), (324, 506),
            (316, 590), (318, 660), (322, 722), (334, 770), (356, 806),
        ),
        (
            (457, 178), (398, 192), (340, 248), (315, 330), (306, 416), (294, 504),
            (282, 590), (280, 662), (288, 726), (304, 778), (332, 816),
        ),
        (
            (460, 146), (412, 150), (352, 188), (312, 256), (293, 346), (279, 440),
            (262, 540), (252, 630), (256, 706), (276, 770), (312, 818),
        ),
    ),
    strands=3800, locks=21, shine=0.40, band=0.27, seed=3,
)  # fmt: skip
_RIGHT = Panel(
    guides=(
        (
            (461, 241), (501, 258), (554, 283), (602, 322), (629, 370), (640, 424),
            (646, 490), (650, 556), (646, 622), (644, 686), (640, 740), (620, 788),
        ),
        (
            (461, 206), (522, 212), (588, 246), (640, 306), (664, 374), (672, 446),
            (680, 520), (686, 594), (682, 662), (676, 722), (664, 772), (640, 808),
        ),
        (
            (461, 180), (530, 176), (612, 208), (670, 282), (692, 364), (702, 448),
            (714, 530), (722, 606), (720, 676), (710, 734), (694, 784), (666, 818),
        ),
        (
            (460, 146), (540, 134), (630, 164), (686, 236), (708, 330), (722, 436),
            (740, 536), (750, 630), (746, 708), (730, 768), (706, 806), (684, 824),
        ),
    ),
    strands=4800, locks=26, shine=0.34, band=0.29, base=0.28, seed=5,
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
    across = random.uniform(-0.012, 1.008, panel.strands)
    borders = np.sort(np.concatenate([[0, 1], random.uniform(0.03, 0.97, panel.locks - 1)]))
    lock = np.clip(np.searchsorted(borders, across) - 1, 0, panel.locks - 1)
    centre = ((borders[:-1] + borders[1:]) / 2)[lock]
    u = np.linspace(0, 1, _STEPS)[None, :]
    gather = 0.10 + 0.28 * u**3
    place = across[:, None] + (centre - across)[:, None] * gather
    at = place * (len(guides) - 1)
    low = np.clip(at.astype(int), 0, len(guides) - 2)
    blend = (at - low)[..., None]
    step = np.arange(_STEPS)[None, :]
    curves = guides[low, step] * (1 - blend) + guides[low + 1, step] * blend
    phase = random.uniform(0, 2 * np.pi, panel.locks)[lock][:, None] * 0.35 + across[:, None] * 2
    swing = panel.wave * u**1.6 * np.sin(phase + 7.5 * u) + random.normal(0, 1, panel.strands)[:, None] * 1.6 * u
    curves[..., 0] += swing
    curves[..., 1] += (random.normal(0, 7, panel.locks)[lock] + random.normal(0, 3, panel.strands))[:, None] * u**4
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
    root = -0.10 * np.exp(-u / 0.03)
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
    lengths = _STEPS - np.abs(random.normal(0, 2.6, len(curves))).astype(int)
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
            sheet, points[start], points[start + 1], colour, width if start < len(points) - 8 else 1, cv2.LINE_AA, 4
        )


def _silhouette(guides: NDArray[np.float64], share: float) -> Curve:
    count = round(_STEPS * share)
    # Strands swing about their guides: near the tips the ground draws in, or its straight edge would show.
    inset = (0.14 * np.linspace(0, 1, count) ** 6)[:, None]
    inner, outer = guides[0, :count], guides[-1, :count]
    return np.vstack([inner + (outer - inner) * inset, (outer + (inner - outer) * inset)[::-1]])


def paint_hair_front(layer: Layer, palette: Palette) -> None:
    """Both sweeps from the side parting, with the scalp's shadow in the parting."""
    for panel in (_LEFT, _RIGHT):
        _draw_strands(layer, panel, palette)
    parting = layer.stroke([(460, 150), (458, 190), (460, 241)], np.array([0.2, 1.2, 2.4]), blur=0.8)
    layer.tint(palette.hair[0], layer.blur(parting, 3), 0.8)
    layer.paint(0xB98A6E, parting, 0.6)
    layer.screen(0xFFE2C4, layer.glow(404, 232, 34, 30, -40), 0.06)
    layer.screen(0xFFE2C4, layer.glow(590, 214, 62, 20, 30), 0.08)


def paint_hair_back(layer: Layer, palette: Palette) -> None:
    """What hangs behind the neck, in shade."""
    _draw_strands(layer, _BACK, palette)


def hair_shadow_outline() -> Curve:
    """The inner edges of both sweeps: what they shade on the face."""
    left, right = _guide_curves(_LEFT), _guide_curves(_RIGHT)
    return np.vstack([left[0], left[-1][::-1], right[-1], right[0][::-1]])
