"""Speech samples to log-mel frames, whole or as they come, with the same result.

Frame j is centred on sample 160 j and looks 200 samples to either side; before the first sample there is silence. No
running normalisation: a frame depends on its own samples alone, so any cutting into chunks gives the same frames.
"""

from collections.abc import Sequence

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
    spectrum = np.fft.rfft(windows * _HANN, _FFT)
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


def take_frames(streams: Sequence[LogMelStream]) -> list[NDArray[np.float32]]:
    """The frames that are ready, of all streams in one go: for a few at a time, calls cost more than sums.

    Shapes: (ready, 80) each.
    """
    windows = [stream.take_windows() for stream in streams]
    edges = np.cumsum([len(each) for each in windows])
    return np.split(_frames(np.concatenate(windows)), edges[:-1])
