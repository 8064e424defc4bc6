"""How many streams have a picture in a round where there is too much to do. Pure.

A picture that is made in time is shown; where each takes long, the last of a round would be too late for anybody, and
made for nothing. So a round gets narrower while pictures are late, and as broad as before when they are in time: what
can be made is made for a few streams at a time, for all of them in turn.
"""

from typing import Final

NARROWER: Final = 0.5
BROADER: Final = 0.1
"""Streams, for each picture that is late, and that is in time: one of six may be late."""


class Breadth:
    """That of one engine's rounds."""

    def __init__(self, most: int) -> None:
        self._most, self._streams = most, float(most)

    @property
    def streams(self) -> int:
        """At least one."""
        return int(self._streams)

    def made(self, slack_s: float) -> None:
        """A picture was there so long before it was due; below 0: too late. Any thread."""
        change = BROADER if slack_s >= 0 else -NARROWER
        self._streams = min(float(self._most), max(1.0, self._streams + change))
