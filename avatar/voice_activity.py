"""Whether somebody speaks: a voice that stands out of the noise around it for a tenth of a second. Pure.

A frame of 20 ms counts where it is well above the noise, which is followed down at once and up slowly, and repeats
itself from one pitch period to the next, as a voice does and as neither a click nor a fan, a breath or a keyboard does.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ

FRAME: Final = AUDIO_HZ // 50
ABOVE_DB: Final = 6.0
"""A voice stands out of the noise by so much where it begins,"""
STILL_ABOVE_DB: Final = 4.0
"""and by so much while it goes on."""
LEAST_DB: Final = -50.0
"""Below this, nothing is a voice: 0 is a sine of full scale."""
VOICED: Final = 0.55
"""Likeness of a sound to itself one pitch period earlier, from which on it is a voice."""
BEGIN_FRAMES: Final = 5
END_FRAMES: Final = 25
"""So long there has to be no voice until another one begins."""
NOISE_RISES_DB: Final = 0.1
"""In a frame: 5 dB a second. A sentence has pauses in which it is heard again."""
NOISE_FALLS: Final = 0.3

_DECIMATE: Final = 6
_LAGS: Final = range(AUDIO_HZ // _DECIMATE // 400, AUDIO_HZ // _DECIMATE // 70)
"""Pitch periods of voices, at 8 kHz."""


class VoiceActivity:
    """One microphone's."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)
        self._before = np.zeros(FRAME // _DECIMATE)
        self._last = 0.0
        self._noise_db: float | None = None
        self._evidence = 0
        self._quiet_frames = END_FRAMES

    def hear(self, sound: NDArray[np.int16]) -> bool:
        """Some more sound; whether a voice begins in it. Shapes: (n,) at 48 kHz."""
        self._rest = np.concatenate([self._rest, sound])
        begins = False
        while len(self._rest) >= FRAME:
            frame, self._rest = self._rest[:FRAME], self._rest[FRAME:]
            begins = self._frame(frame) or begins
        return begins

    @property
    def speaking(self) -> bool:
        """Whether a voice has begun and not ended."""
        return self._quiet_frames < END_FRAMES

    def _frame(self, frame: NDArray[np.int16]) -> bool:
        narrow = np.diff(frame.reshape(-1, _DECIMATE).mean(axis=1) / 32_768, prepend=self._last)
        self._last += narrow.sum()
        level_db = 10 * np.log10(2 * np.var(narrow) + 1e-10)
        above_db = level_db - self._follow_noise(level_db)
        both, self._before = np.concatenate([self._before, narrow]), narrow
        loud = level_db > LEAST_DB and above_db > (STILL_ABOVE_DB if self.speaking else ABOVE_DB)
        voiced = loud and _likeness(both) > VOICED
        if self.speaking:
            self._quiet_frames = 0 if voiced else self._quiet_frames + 1
            return False
        self._evidence = self._evidence + 1 if voiced else max(0, self._evidence - (0 if loud else 1))
        if self._evidence < BEGIN_FRAMES:
            return False
        self._evidence = self._quiet_frames = 0
        return True

    def _follow_noise(self, level_db: float) -> float:
        """The level of the noise, as it was before this frame."""
        before = level_db if self._noise_db is None else self._noise_db
        lower = level_db < before
        self._noise_db = before + (NOISE_FALLS * (level_db - before) if lower else NOISE_RISES_DB)
        return before


def _likeness(sound: NDArray[np.float64]) -> float:
    """Of two frames to themselves, at the pitch period where it is the greatest: 1 where they repeat exactly."""
    sound = sound - sound.mean()
    spectrum = np.fft.rfft(sound, 2 * len(sound))
    products = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)
    energy = np.concatenate([[0.0], np.cumsum(sound**2)])
    lags = np.arange(_LAGS.start, _LAGS.stop)
    both = energy[len(sound) - lags] * (energy[-1] - energy[lags])
    return float(np.max(products[lags] / np.sqrt(both + 1e-12)))
