"""Stress: where a speaker leans on a syllable, heard in loudness and pitch, and what brows and head do with it.

Every 10 ms a level and a pitch come in. A syllable is a peak of the level; it is stressed where it stands out from
what was heard in the seconds before, in loudness or in pitch. It is known 80 ms after its peak, which is less than the
engine looks ahead: so the accent begins on the peak, whatever pieces the samples came in. No chance, no clock.
"""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.motion import STILL, Motion

LATER: Final = 8
"""Units: frames of 10 ms after a peak that it takes to know it."""
FRAME_HZ: Final = 100
_SMOOTH: Final = np.array([1, 2, 3, 4, 3, 2, 1], np.float64) / 16
_HALF: Final = len(_SMOOTH) // 2
_QUIET_DB: Final = -46.0
"""Below it nobody speaks."""
_MEMORY: Final = 1 / 120
"""Of what a level and a pitch are compared with: 1.2 s of voice."""
_MARGIN: Final = 0.62
"""What stands out by so much is stressed."""
_STEADY: Final = 3.0
"""Units: semitones. A voice's pitch moves less in 50 ms; what noise seems to have jumps about."""
_GAP: Final = 72
"""Units: frames. Nobody raises his brows more often."""
_KEPT: Final = 32
"""Accents that are remembered: more than fit into what can be made again."""

_UP_S, _DOWN_S = 0.16, 0.34
_BROW: Final = 3.6
_DIP: Final = 3.0
"""Units: design units at full strength."""


@dataclass(frozen=True, slots=True)
class Accent:
    """A stressed syllable's peak."""

    frame: int
    strength: float
    """0..1."""


@dataclass(slots=True)
class StressEar:
    """One stretch of speech. Frames count from its beginning."""

    accents: list[Accent] = field(default_factory=list)
    _levels: NDArray[np.float64] = field(default_factory=lambda: np.full(2 * _HALF, -140.0))
    """Those that later ones are smoothed with, and the last ``LATER`` of which it is not known what follows."""
    _pitches: NDArray[np.float64] = field(default_factory=lambda: np.full(2 * _HALF, np.nan))
    _heard: int = 0
    """Frames that came in."""
    _usual_db: float = -30.0
    _spread_db: float = 5.0
    _usual_pitch: float = math.nan

    def hear(self, levels: NDArray[np.float64], pitches: NDArray[np.float64]) -> None:
        """Further frames. Shapes: (n,) twice, dB of full scale and semitones, NaN where there is no pitch."""
        self._levels = np.concatenate([self._levels, levels])
        self._pitches = np.concatenate([self._pitches, pitches])
        self._heard += len(levels)
        first = self._heard - len(self._levels)  # of the frame that is first in memory
        last = len(self._levels) - LATER
        if last <= 2 * _HALF:
            return
        smooth: list[float] = np.convolve(self._levels, _SMOOTH, "same").tolist()
        sung: list[float] = self._pitches.tolist()
        for at in range(2 * _HALF, last):
            near = smooth[at - _HALF : at + LATER - _HALF + 1]
            if near[_HALF] > _QUIET_DB:
                self._judge(first + at, near[_HALF], max(near), sung[at - 2 : at + 3])
        self._levels, self._pitches = self._levels[last - 2 * _HALF :], self._pitches[last - 2 * _HALF :]

    def _judge(self, frame: int, level: float, most: float, pitches: list[float]) -> None:
        """Whether a frame is the peak of a stressed syllable; ``most``: the highest level about it."""
        voiced = sorted(pitch for pitch in pitches if not math.isnan(pitch))
        steady = len(voiced) > 2 and voiced[-1] - voiced[0] < _STEADY
        pitch = voiced[len(voiced) // 2] if steady else math.nan
        usual_pitch = pitch if math.isnan(self._usual_pitch) else self._usual_pitch
        if level >= most and not math.isnan(pitch):
            loud = (level - self._usual_db) / max(self._spread_db, 3.0)
            high = min(max((pitch - usual_pitch) / 3.0, -1.0), 2.0)
            excess = 0.6 * loud + 0.5 * high - _MARGIN
            if excess > 0 and not (self.accents and frame - self.accents[-1].frame < _GAP):
                self.accents = [*self.accents[-_KEPT:], Accent(frame, min(1.0, 0.55 + 0.6 * excess))]
        self._usual_db += _MEMORY * (level - self._usual_db)
        self._spread_db += _MEMORY * (abs(level - self._usual_db) * 1.25 - self._spread_db)
        if not math.isnan(pitch):
            self._usual_pitch = usual_pitch + 2 * _MEMORY * (pitch - usual_pitch)

    def forget(self, frame: int) -> "StressEar":
        """What is left when all from ``frame`` on was never heard: accents before it, a fresh ear after it."""
        return StressEar([accent for accent in self.accents if accent.frame < frame], _heard=frame)

    def motion(self, time_s: float) -> Motion:
        """What head and brows do at a time of the stretch."""
        for accent in reversed(self.accents):
            since_s = time_s - accent.frame / FRAME_HZ
            if since_s >= _UP_S + _DOWN_S:
                break
            if since_s > 0:
                up, down = min(since_s / _UP_S, 1.0), max(0.0, (since_s - _UP_S) / _DOWN_S)
                share = accent.strength * _smooth(up) * (1 - _smooth(down))
                return Motion(brow=_BROW * share, dip=_DIP * share)
        return STILL


def _smooth(t: float) -> float:
    return t * t * (3 - 2 * t)
