"""Speech samples to log-mel frames, whole or as they come, with the same result.

Frame j is centred on sample 160 j and looks 200 samples to either side; before the first sample there is silence. No
running normalisation: a frame depends on its own samples alone, so any cutting into chunks gives the same frames.
"""

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
    return _frames(np.pad(samples, WINDOW // 2))


def _frames(padded: NDArray[np.float32]) -> NDArray[np.float32]:
    """All frames whose window fits. Shapes: (S,) -> ((S - 400) // 160 + 1, 80)."""
    if len(padded) < WINDOW:
        return np.zeros((0, MELS), np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * _HANN  # (n, 400)
    spectrum = np.fft.rfft(windows, _FFT)
    power = spectrum.real**2 + spectrum.imag**2  # (n, 257)
    return np.asarray(np.log(power @ _BANK + FLOOR), np.float32)


def finite(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The samples within [-1, 1], NaN and infinities made 0: a bad upload must not poison a stream's state."""
    clean = np.asarray(samples, np.float32).reshape(-1)
    if not np.isfinite(clean).all():
        clean = np.where(np.isfinite(clean), clean, np.float32(0))
    return np.asarray(np.clip(clean, -1, 1), np.float32)


class LogMelStream:
    """The frames of samples that come in pieces of any length."""

    def __init__(self) -> None:
        self._kept = np.zeros(WINDOW // 2, np.float32)

    def push(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The frames that these samples complete. Shapes: (S,) -> (n, 80), n may be 0."""
        self._kept = np.concatenate([self._kept, samples])
        frames = _frames(self._kept)
        self._kept = self._kept[len(frames) * HOP :]
        return frames
