"""An airbrush: soft masks from smooth curves, laid over each other on a layer of premultiplied colour.

Offline only. Curves are in design units (the portrait's 1000-unit space); a ``Layer`` is a window of that space at a
fixed number of samples a unit, large enough that every picture is a reduction of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.palette import rgb

Curve = NDArray[np.float64]
"""Shapes: (N, 2), x and y in design units."""
Mask = NDArray[np.float32]
"""Shapes: (H, W) of a layer, 0..1."""
Values = NDArray[np.float32] | NDArray[np.float64]
Points = Sequence[tuple[float, float]]

_SUBPIXEL = 4  # cv2 takes fixed-point vertices with this many fractional bits


def spline(points: Points | Curve, closed: bool = False, steps: int = 14) -> Curve:
    """A smooth curve through ``points`` (centripetal enough for drawing: uniform Catmull-Rom)."""
    p = np.asarray(points, np.float64)
    ends = (p[-1], p[0], p[1]) if closed else (2 * p[0] - p[1], 2 * p[-1] - p[-2], None)
    q = np.vstack([ends[0], p, ends[1]] + ([ends[2]] if closed else []))
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    a, b, c, d = (q[i : len(q) - 3 + i, None, :] for i in range(4))
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    flat: Curve = curve.reshape(-1, 2)
    return flat if closed else np.vstack([flat, p[-1]])


def moved(curve: Curve, right: float, down: float) -> Curve:
    """The curve shifted."""
    return np.asarray(curve + np.array([right, down]), np.float64)


def ribbon(curve: Curve, widths: NDArray[np.float64] | float) -> Curve:
    """The outline of a brush stroke along ``curve``, ``widths`` wide at its points."""
    direction = np.gradient(curve, axis=0)
    direction /= np.maximum(np.linalg.norm(direction, axis=1, keepdims=True), 1e-9)
    normal = np.stack([-direction[:, 1], direction[:, 0]], 1) * (np.broadcast_to(widths, len(curve)) / 2)[:, None]
    outline: Curve = np.vstack([curve + normal, (curve - normal)[::-1]])
    return outline


@dataclass(slots=True)
class Layer:
    """A window of the design space, painted in premultiplied colour."""

    x: float
    y: float
    width: float
    height: float
    scale: float = 2.0
    """Samples a design unit."""
    pixels: NDArray[np.float32] = field(init=False)
    """Shapes: (H, W, 4), red, green, blue 0..255 times alpha, alpha 0..1."""

    def __post_init__(self) -> None:
        self.pixels = np.zeros((round(self.height * self.scale), round(self.width * self.scale), 4), np.float32)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.pixels.shape[0], self.pixels.shape[1]

    def grid(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Design coordinates of the samples, x (1, W) and y (H, 1)."""
        rows, columns = self.shape
        x = self.x + (np.arange(columns, dtype=np.float32) + 0.5) / self.scale
        y = self.y + (np.arange(rows, dtype=np.float32) + 0.5) / self.scale
        return x[None, :], y[:, None]

    def fixed(self, curve: Curve) -> NDArray[np.int32]:
        """The curve in cv2's fixed-point pixels."""
        pixels = (curve - (self.x, self.y)) * self.scale - 0.5
        return np.asarray(np.rint(pixels * (1 << _SUBPIXEL)), np.int32)

    def blur(self, mask: Mask, sigma: float) -> Mask:
        """``mask`` out of focus by ``sigma`` design units."""
        if sigma <= 0:
            return mask
        return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma * self.scale), np.float32)

    def fill(self, *outlines: Curve, blur: float = 0.0) -> Mask:
        """Inside of the closed curves."""
        mask = np.zeros(self.shape, np.uint8)
        for outline in outlines:
            cv2.fillPoly(mask, [self.fixed(outline)], 255, cv2.LINE_AA, _SUBPIXEL)
        return self.blur(np.asarray(mask / 255, np.float32), blur)

    def stroke(self, points: Points | Curve, width: NDArray[np.float64] | float, blur: float = 0.0) -> Mask:
        """A brush stroke along the smooth curve through ``points``; array widths are spread over its length."""
        curve = spline(points)
        if isinstance(width, np.ndarray):
            width = np.interp(np.linspace(0, 1, len(curve)), np.linspace(0, 1, len(width)), width)
        return self.fill(ribbon(curve, width), blur=blur)

    def glow(self, x: float, y: float, rx: float, ry: float, degrees: float = 0.0) -> Mask:
        """A soft spot: Gaussian with standard deviations ``rx``, ``ry`` along its own axes."""
        gx, gy = self.grid()
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        u, v = (gx - x) * c + (gy - y) * s, (gy - y) * c - (gx - x) * s
        return np.asarray(np.exp(-0.5 * ((u / rx) ** 2 + (v / ry) ** 2)), np.float32)

    def paint(self, colour: int | NDArray[np.float32], mask: Mask, opacity: float = 1.0) -> None:
        """Lay ``colour`` (one, or one for each sample) over the layer where ``mask`` says."""
        cover = (mask * opacity)[..., None]
        self.pixels[..., :3] *= 1 - cover
        self.pixels[..., :3] += _as_array(colour) * cover
        self.pixels[..., 3:] += (1 - self.pixels[..., 3:]) * cover

    def tint(self, colour: int | NDArray[np.float32], mask: Mask, opacity: float = 1.0) -> None:
        """Like ``paint``, only on what is there already."""
        cover = (mask * opacity)[..., None]
        self.pixels[..., :3] += (_as_array(colour) * self.pixels[..., 3:] - self.pixels[..., :3]) * cover

    def multiply(self, colour: int, mask: Mask, opacity: float = 1.0) -> None:
        """Shade like a glaze: multiply what is there by ``colour``/255."""
        cover = (mask * opacity)[..., None]
        self.pixels[..., :3] *= 1 - cover * (1 - _as_array(colour) / 255)

    def screen(self, colour: int, mask: Mask, opacity: float = 1.0) -> None:
        """Light up like a lamp: the inverse of ``multiply``."""
        cover = (mask * opacity)[..., None] * _as_array(colour) / 255
        self.pixels[..., :3] += (255 * self.pixels[..., 3:] - self.pixels[..., :3]) * cover

    def cut(self, mask: Mask) -> None:
        """Keep what ``mask`` keeps."""
        self.pixels *= mask[..., None]

    def over(self, other: "Layer") -> None:
        """Lay a layer of the same window over this one."""
        self.pixels *= 1 - other.pixels[..., 3:]
        self.pixels += other.pixels


def _as_array(colour: int | NDArray[np.float32]) -> NDArray[np.float32]:
    return np.array(rgb(colour), np.float32) if isinstance(colour, int) else colour


def ramp(colours: Sequence[int], value: Values | float) -> NDArray[np.float32]:
    """``colours`` evenly spaced over 0..1, looked up at ``value``. Shapes: (...) -> (..., 3)."""
    stops = np.linspace(0, 1, len(colours))
    table = np.array([rgb(colour) for colour in colours])
    channels = [np.interp(value, stops, table[:, i]) for i in range(3)]
    return np.stack(channels, -1).astype(np.float32)


def smoothstep(low: float, high: float, value: Values) -> NDArray[np.float32]:
    """0 below ``low``, 1 above ``high``, smooth between."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
