"""The samples of one utterance between the thread that decodes them and the one that speaks them. Bounded both ways.

Overflow blocks the decoder: a ten minute file costs seconds of memory. An abandoned buffer lets the decoder go.
"""

import threading
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.decode import RATIO, Samples
from avatar.fifo import Fifo
from avatar.messages import AUDIO_HZ

AHEAD_S: Final = 4.0
"""Decoded ahead of speaking: far more than a busy machine's hiccup, 0.7 MB."""
ENOUGH: Final = AUDIO_HZ // 4
"""Samples decoded before speech goes on where it ran dry, lest it stutters."""


class Abandoned(Exception):
    """Nobody wants the rest of this utterance."""


class SpeechBuffer:
    """One utterance's samples. ``put`` and ``finish`` belong to the decoder, the rest to the speaker."""

    lead = 0
    patience_s = None

    def __init__(self, ahead_s: float = AHEAD_S) -> None:
        self._limit = int(ahead_s * AUDIO_HZ)
        self._play, self._analyse = Fifo(np.int16), Fifo(np.float32)
        self._changed = threading.Condition()
        self._finished = False
        self._abandoned = False
        self._error: str | None = None

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        """Append samples; waits while the buffer is full. Errors: Abandoned."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._play.count < self._limit)
            if self._abandoned:
                raise Abandoned
            self._play.append(play)
            self._analyse.append(analyse)

    def finish(self, error: str | None = None) -> None:
        """No more samples will come; ``error`` says why too few came."""
        with self._changed:
            self._finished, self._error = True, error

    @property
    def error(self) -> str | None:
        """Why the utterance ends before its file's end, or None. Settled once ``ended``."""
        return self._error

    @property
    def ended(self) -> bool:
        """Whether what is available is all there is to come."""
        return self._finished

    def available(self, held_blocks: int = 0) -> int:
        """Samples to play that can be taken now, with the samples to analyse that belong to them.

        None after it ran dry, for ``held_blocks``, until there are some more.
        """
        with self._changed:
            if self._finished:
                return self._play.count
            count = min(self._play.count, self._analyse.count * RATIO)
            return 0 if held_blocks and count < ENOUGH else count

    def take(self, count: int) -> Samples:
        """The next ``count`` samples to play (a multiple of 3 but for the last), or all there are."""
        with self._changed:
            play = self._play.take(count)
            analyse = self._analyse.take(-(-count // RATIO))
            self._changed.notify_all()
        return Samples(play.astype(np.int16, copy=False), analyse.astype(np.float32, copy=False))

    def reached(self, samples: int) -> list[tuple[str, int]]:
        """Files are not marked."""
        return []

    def abandon(self) -> None:
        """Nobody will take the rest."""
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
