"""What a PromQL expression names: metrics with their matchers, and labels that it groups by. No evaluation."""

import re
from dataclasses import dataclass
from typing import Final

NOT_METRICS: Final = frozenset(
    {"and", "or", "unless", "on", "ignoring", "by", "without", "sum", "min", "max"}
    | {"rate", "increase", "changes", "histogram_quantile", "scalar", "vector", "label_values", "time"}
)
WORD: Final = re.compile(r"(?<![\w$.])[a-zA-Z_:][\w:]*")
MATCHER: Final = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@dataclass(frozen=True)
class Selector:
    """One metric and which of its series."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    """Label, operator, value."""


def selectors(expression: str) -> list[Selector]:
    """All metrics that are named, in order."""
    without_groups = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", " ", expression)
    pattern = re.compile(rf"({WORD.pattern})(?:\s*\{{([^}}]*)\}})?")
    found = []
    for word, inside in pattern.findall(re.sub(r"\[[^\]]*\]", " ", without_groups)):
        if word not in NOT_METRICS:
            found.append(Selector(word, tuple(MATCHER.findall(inside))))
    return found


def grouped(expression: str) -> set[str]:
    """Labels that are grouped by or matched on."""
    groups = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    return {label.strip() for group in groups for label in group.split(",")}
