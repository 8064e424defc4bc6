"""Figures and how they are shown: quantiles, slopes, ratios, Markdown tables. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """Where measured values lie."""

    median: float
    p95: float


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which ``share`` of the values lie, between the two nearest. Errors: ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    position = share * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


def spread(values: Sequence[float]) -> Spread:
    """Median and 95th percentile. Errors: ValueError for no values."""
    return Spread(quantile(values, 0.5), quantile(values, 0.95))


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """How much y grows for one more x, by least squares; None where there is no more than one x."""
    if len({x for x, _ in points}) < 2:
        return None
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    across = sum((x - middle_x) * (y - middle_y) for x, y in points)
    return across / sum((x - middle_x) ** 2 for x, _ in points)


@dataclass(frozen=True, slots=True)
class Trend:
    """A slope, and how far chance alone would move it: its standard error."""

    slope: float
    error: float

    @property
    def is_noise(self) -> bool:
        """Whether it is no further from 0 than three standard errors: chance takes one of a hundred that far."""
        return abs(self.slope) <= 3 * self.error


def trend(points: Sequence[tuple[float, float]]) -> Trend | None:
    """The slope of y over x by least squares; None for fewer than three points, or no more than one x."""
    grown = slope(points)
    if grown is None or len(points) < 3:
        return None
    middle_x = sum(x for x, _ in points) / len(points)
    middle_y = sum(y for _, y in points) / len(points)
    across = sum((x - middle_x) ** 2 for x, _ in points)
    left = sum((y - middle_y - grown * (x - middle_x)) ** 2 for x, y in points)
    return Trend(grown, math.sqrt(left / (len(points) - 2) / across))


def blocks(points: Sequence[tuple[float, float]], count: int) -> list[tuple[float, float]]:
    """Means of so many equal stretches of x: what is near in time is alike, and would make a trend look too certain."""
    if not points:
        return []
    first, last = points[0][0], points[-1][0]
    width = (last - first) / count or 1.0
    groups: dict[int, list[tuple[float, float]]] = {}
    for x, y in points:
        groups.setdefault(min(count - 1, int((x - first) / width)), []).append((x, y))
    return [
        (sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group))
        for _, group in sorted(groups.items())
    ]


def ratio(ours: float, theirs: float) -> str:
    """``theirs`` where ours is one, as in ``1 : 6.1``; a dash where ours is too small to be measured."""
    return f"1 : {theirs / ours:.1f}" if ours > 0 else "-"


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table, columns aligned: the first to the left, the others to the right."""
    widths = [max(len(line[column]) for line in (headings, *rows)) for column in range(len(headings))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
        return f"| {' | '.join(shown)} |"

    rule = ["-" * widths[0], *(f"{'-' * (width - 1)}:" for width in widths[1:])]
    return "\n".join([line(headings), line(rule), *(line(row) for row in rows)])
