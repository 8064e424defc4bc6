"""How many packets one track may be sent again. Pure.

A way that is full loses a part of all that is sent; to send all of that again keeps it full, and nothing arrives any
more. So what is sent again is a share of what is sent; the pictures that stay broken are replaced by a smaller one.
"""

from typing import Final

SHARE: Final = 0.2
"""Of the packets that are sent: more than a bad radio link loses."""
MOST: Final = 40.0
"""Packets that may be sent again at once: most of a keyframe, after a short break of the network."""
FIRST: Final = 10.0
"""As many at the start, when the first keyframe may be more than the way can take."""


class Repeats:
    """One track's."""

    def __init__(self) -> None:
        self._left = FIRST

    @property
    def allowed(self) -> bool:
        """Whether one more may be sent again now."""
        return self._left >= 1

    @property
    def plenty(self) -> bool:
        """Whether there is room for one that nobody has asked for since it was sent again."""
        return self._left >= FIRST / 2

    def sent(self, packets: int) -> None:
        """So many packets were sent for the first time."""
        self._left = min(MOST, self._left + SHARE * packets)

    def repeated(self) -> None:
        """One was sent again."""
        self._left -= 1
