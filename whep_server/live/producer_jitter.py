"""How late the samples of a stream's producers come, and what must be in hand before their speech begins. Pure.

A producer owes its samples in real time, from its first ones on. By how much they were later than that, at worst, is
what the next utterance begins with, so that it need not pause. What was later than any start buffer may be was no
jitter but a pause: from there on the producer owes them anew.
"""

from typing import Final

MARGIN_S: Final = 0.08
"""What is in hand beyond the worst: two frames at 25 a second, for the second may be due as soon as the first is."""
MOST_S: Final = 0.5
"""Above that, waiting for the first word is worse than a pause in the middle."""
DECAY: Final = 0.7
"""From one utterance to the next: half of it is forgotten after two."""


class ProducerJitter:
    """Of the producers of one stream, one after another."""

    def __init__(self) -> None:
        self._worst_s = 0.0
        self._due_s: float | None = None  # when the samples that come next are due

    def began(self) -> None:
        """Another utterance."""
        self._worst_s *= DECAY
        self._due_s = None

    def came(self, now_s: float, seconds: float) -> None:
        """So much of it has come now."""
        if self._due_s is None or now_s - self._due_s > MOST_S:
            self._due_s = now_s
        self._worst_s = max(self._worst_s, now_s - self._due_s)
        self._due_s += seconds

    def start_ms(self, configured_ms: int) -> int:
        """What the next utterance begins with."""
        return max(configured_ms, round(1000 * min(MOST_S, self._worst_s + MARGIN_S)))
