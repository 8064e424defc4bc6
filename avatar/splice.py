"""Sound cut, lengthened, joined and filled in so that none of it clicks. Pure.

All of it rests on one thing: speech repeats itself from one pitch period to the next, so that a join between two places
that sound alike is not heard.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

FADE: Final = 240
"""Samples of a cross-fade: 5 ms, as short as one can be without a click."""
CHANGE: Final = 960
"""Most samples by which ``shorten`` and ``lengthen`` change a sound: 20 ms. They take at least half of it."""
RUN: Final = CHANGE + FADE
"""Samples that both need."""
LONGEST_PERIOD: Final = 800
"""Of a low voice: 60 Hz."""
SHORTEST_PERIOD: Final = 120
"""Of a high one, 400 Hz; above it, several periods are one."""
FILL_FADE: Final = 2880
"""Filling in fades out within 60 ms: a lost packet is hardly heard, and no word is stretched into a buzz."""
HISTORY: Final = LONGEST_PERIOD + 2 * FADE

Sound = NDArray[np.int16]


def crossfade(before: Sound, after: Sound) -> Sound:
    """From one sound to the other. Shapes: both (n,)."""
    rise = np.arange(len(after)) / max(1, len(after))
    return _rounded(before * (1 - rise) + after * rise)


def shorten(sound: Sound) -> Sound:
    """The sound without about 20 ms near its beginning. Shapes: at least (RUN,)."""
    lag = _similar(sound[:FADE], sound[:RUN], CHANGE // 2, CHANGE)
    return np.concatenate([crossfade(sound[:FADE], sound[lag : lag + FADE]), sound[lag + FADE :]])


def lengthen(sound: Sound) -> Sound:
    """The sound with about 20 ms near its beginning twice. Shapes: at least (RUN,)."""
    lag = _similar(sound[:FADE], sound[:RUN], CHANGE // 2, CHANGE)
    return np.concatenate([sound[:lag], crossfade(sound[lag : lag + FADE], sound[:FADE]), sound[FADE:]])


def _similar(pattern: Sound, sound: Sound, least: int, most: int) -> int:
    """Where, from ``least`` to ``most``, the sound is most like the pattern; the furthest where several are."""
    template = pattern.astype(np.float64)
    windows = np.lib.stride_tricks.sliding_window_view(sound.astype(np.float64)[least:], len(pattern))[
        : most - least + 1
    ]
    energy = np.einsum("ij,ij->i", windows, windows)
    likeness = windows @ template / np.sqrt(energy * (template @ template) + 1.0)
    return least + len(likeness) - 1 - int(np.argmax(likeness[::-1]))


class Filler:
    """Makes up what is missing after what was heard: its last period again and again, fainter and fainter.

    It is told of all that is heard, or makes it: each sound is either ``heard``, ``joined``, or made by ``make``.
    """

    def __init__(self) -> None:
        self._history: Sound = np.zeros(HISTORY, np.int16)
        self._period = np.zeros(1)
        self._offset = self._peak = 0.0
        self._made = 0
        self._end = 0
        """Samples after which all is silence."""
        self.active = False
        """Whether the sound heard last was made up."""

    def heard(self, sound: Sound) -> Sound:
        """The sound, which follows on what was heard last."""
        self.active = False
        self._remember(sound)
        return sound

    def joined(self, sound: Sound) -> Sound:
        """The sound, which does not follow on what was heard last, joined to it."""
        fade = min(FADE, len(sound))
        return self.heard(np.concatenate([crossfade(self._go_on(fade), sound[:fade]), sound[fade:]]))

    def make(self, count: int, *, hush: bool = False) -> Sound:
        """What comes next. ``hush``: the speaker is known to be silent, so fall silent without a word being cut off."""
        sound = self._go_on(count, hush=hush)
        self._remember(sound)
        return sound

    def _remember(self, sound: Sound) -> None:
        self._history = np.concatenate([self._history, sound[-HISTORY:]])[-HISTORY:]

    def _go_on(self, count: int, *, hush: bool = False) -> Sound:
        if not self.active:
            self._begin()
        if hush:
            self._end = min(self._end, self._made + FADE)
        if self._made >= self._end:
            return np.zeros(count, np.int16)
        places = np.arange(self._made, self._made + count)
        sound = self._period[places % len(self._period)] + self._offset * np.maximum(0, 1 - places / FADE)
        self._made += count
        return _rounded(np.clip(sound, -self._peak, self._peak) * self._strength(places))

    def _strength(self, places: NDArray[np.int_]) -> NDArray[np.float64]:
        strength = np.maximum(0.0, 1 - places / FILL_FADE)
        if self._end < FILL_FADE:
            strength *= np.clip((self._end - places) / FADE, 0.0, 1.0)
        return strength

    def _begin(self) -> None:
        history = self._history.astype(np.float64)
        backwards = self._history[::-1]  # the lag from the end, found as one from the beginning
        lag = _similar(backwards[:FADE], backwards, SHORTEST_PERIOD, LONGEST_PERIOD)
        period = history[-lag:].copy()
        blend = min(lag // 4, FADE // 4)  # its end flows into its beginning
        rise = np.arange(1, blend + 1) / (blend + 1)
        period[-blend:] = period[-blend:] * (1 - rise) + history[-lag - blend : -lag] * rise
        self._period = period
        self._offset = history[-1] - history[-lag - 1]  # the period begins where that one left off, not where we did
        self._peak = np.abs(history).max()  # made up of what was made up, it would grow louder
        self._made, self._end, self.active = 0, FILL_FADE, True


def _rounded(sound: NDArray[np.float64]) -> Sound:
    return np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)
