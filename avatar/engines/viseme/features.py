"""Speech samples to log-mel frames, whole or as they come, with the same result.

Frame j is centred on sample 160 j and looks 200 samples to either side; before the first sample there is silence. No
running normalisation: a frame depends on its own samples alone, so any cutting into chunks gives the same frames.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE = 16_000
HOP = 160
WINDOW = 400
MELS = 80
FLOOR = 1e-7
SILENCE = float(np.log(FLOOR))
"""What a band of a silent frame holds."""
_FFT = 512


def _mel(frequency_hz: float) -> float:
    return float(2595 * np.log10(1 + frequency_hz / 700))


def _mel_bank(low_hz: float = 50, high_hz: float = 7800) -> NDArray[np.float32]:
    """Triangles of unit area, evenly spaced on the mel scale. Shapes: (257, 80)."""
    mels = np.linspace(_mel(low_hz), _mel(high_hz), MELS + 2)
    corners = 700 * (10 ** (mels / 2595) - 1)
    low, centre, high = corners[:-2], corners[1:-1], corners[2:]
    frequency = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    triangles = np.maximum(0, np.minimum((frequency - low) / (centre - low), (high - frequency) / (high - centre)))
    return np.asarray(triangles / np.maximum(triangles.sum(0), 1e-6), np.float32)


_BANK = _mel_bank()
_HANN = np.hanning(WINDOW + 2)[1:-1].astype(np.float32)


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The frames of a whole recording, silence after its last sample.

    Shapes: (S,) -> (S // 160 + 1, 80).
    """
    return _frames(_windows(np.pad(samples, WINDOW // 2)))


def _windows(padded: NDArray[np.float32]) -> NDArray[np.float32]:
    """All windows that fit. Shapes: (S,) -> ((S - 400) // 160 + 1, 400)."""
    if len(padded) < WINDOW:
        return np.zeros((0, WINDOW), np.float32)
    return np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]


def _frames(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Their frames. Shapes: (n, 400) -> (n, 80)."""
    return _banded(_power(windows))


def _power(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shapes: (n, 400) -> (n, 257)."""
    spectrum = np.fft.rfft(windows * _HANN, _FFT)
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _banded(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """Shapes: (n, 257) -> (n, 80)."""
    return np.asarray(np.log(power @ _BANK + FLOOR), np.float32)


@dataclass(frozen=True, slots=True)
class Sound:
    """Frames of one stream, 10 ms each."""

    mel: NDArray[np.float32]
    """Shapes: (n, 80)."""
    levels: NDArray[np.float64]
    """Loudness of what a voice has, 150 to 4000 Hz. Units: dB of a full-scale sine. Shapes: (n,)."""
    pitches: NDArray[np.float64]
    """Units: semitones above 100 Hz; NaN where nothing is voiced. Shapes: (n,)."""


_VOICE: Final = slice(5, 129)  # bins of 150 to 4000 Hz
_SINE: Final = float((_HANN.sum() / 2) ** 2)
_LAGS: Final = range(SAMPLE_RATE // 400, SAMPLE_RATE // 75)
"""Of voices from 75 to 400 Hz. Units: samples."""
_TAPER: Final = np.fft.irfft(np.abs(np.fft.rfft(_HANN, _FFT)) ** 2)[_LAGS.start : _LAGS.stop]
_VOICED: Final = 0.5
"""Share of a frame's power that comes back after a period, at least, where there is a voice."""


def _prosody(power: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Levels and pitches: the lag at which the frame is most like itself. Shapes: (n, 257) -> (n,) twice."""
    levels = 10 * np.log10(power[:, _VOICE].sum(axis=1, dtype=np.float64) / _SINE + 1e-10)
    low = power.copy()
    low[:, _VOICE.start + 25 :] = 0  # above 900 Hz formants move, and say nothing of the voice
    like = np.fft.irfft(low)  # (n, 512)
    lags = like[:, _LAGS.start : _LAGS.stop] / np.maximum(like[:, :1], 1e-12) * (_HANN @ _HANN) / _TAPER
    best = lags.argmax(axis=1)
    voiced = (lags.max(axis=1, initial=0) > _VOICED) & (best > 0) & (best < len(_LAGS) - 1)
    pitches = 12 * np.log2(SAMPLE_RATE / (best + _LAGS.start) / 100)
    return levels, np.where(voiced, pitches, np.nan)


def finite(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples within [-1, 1], NaN and infinities made 0: a bad upload must not poison a stream's state."""
    clean = np.asarray(samples, np.float32).reshape(-1)
    if not np.isfinite(clean).all():
        clean = np.where(np.isfinite(clean), clean, np.float32(0))
    return np.asarray(np.clip(clean, -1, 1), np.float32)


class LogMelStream:
    """The frames of samples that come in pieces of any length."""

    def __init__(self) -> None:
        self._pieces = [np.zeros(WINDOW // 2, np.float32)]
        self._samples = WINDOW // 2

    def push(self, samples: NDArray[np.float32]) -> None:
        """Append samples. Shapes: (S,)."""
        self._pieces.append(samples)
        self._samples += len(samples)

    @property
    def ready(self) -> int:
        """Frames that are complete and have not been taken."""
        return max(0, (self._samples - WINDOW) // HOP + 1)

    def take_windows(self) -> NDArray[np.float32]:
        """The windows of the frames that are ready, which then are taken. Shapes: (ready, 400)."""
        samples = np.concatenate(self._pieces)
        windows = _windows(samples)
        kept = samples[len(windows) * HOP :]
        self._pieces, self._samples = [kept], len(kept)
        return windows


def take_frames(streams: Sequence[LogMelStream]) -> list[Sound]:
    """The frames that are ready, of all streams in one go: for a few at a time, calls cost more than sums."""
    windows = [stream.take_windows() for stream in streams]
    edges = np.cumsum([len(each) for each in windows])[:-1]
    power = _power(np.concatenate(windows))
    parts = (np.split(each, edges) for each in (_banded(power), *_prosody(power)))
    return [Sound(*each) for each in zip(*parts, strict=True)]
