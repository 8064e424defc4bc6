"""What a viewer is given as it comes: the pictures from the latest idle keyframe on, all at once."""

from collections.abc import Sequence
from typing import Final

GREETING_TICKS: Final = 90
"""From picture to picture: 1 ms."""


def without_greeting(times: Sequence[int]) -> Sequence[int]:
    """RTP times of pictures in the order of their coming, from the first one on that was shown at its own time."""
    first = 0
    while first + 1 < len(times) and (times[first + 1] - times[first]) & 0xFFFFFFFF == GREETING_TICKS:
        first += 1
    return times[first:]
