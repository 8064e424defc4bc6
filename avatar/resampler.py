"""Samples of any rate, in one or two channels, to those that are played: 48 kHz, mono. Nothing is added or lost.

However the samples are cut into pieces, the same come out (FFmpeg's filter is handed on from piece to piece): n samples
at a rate become exactly ceil(n * 48000 / rate), of which the filter keeps the last 2 ms or less until it is flushed.
"""

from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ

RATES: Final = range(8_000, 96_001)
"""Units: Hz."""
HALF_FILTER: Final = 16
"""FFmpeg's default, half of it: samples of the lower of the two rates."""
LAYOUTS: Final = {1: "mono", 2: "stereo"}


class Resampler:
    """One utterance's samples."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        """Errors: ValueError for a rate or a number of channels that cannot be played."""
        if sample_rate not in RATES or channels not in LAYOUTS:
            raise ValueError(f"{sample_rate} Hz in {channels} channels cannot be played")
        self._rate, self._channels, self._layout = sample_rate, channels, LAYOUTS[channels]
        self._filter: av.AudioResampler | None = None
        if (sample_rate, channels) != (AUDIO_HZ, 1):
            self._filter = av.AudioResampler(format="s16", layout="mono", rate=AUDIO_HZ)
        self._heard = self._made = 0  # frames in, samples out
        self.delay = 0 if sample_rate == AUDIO_HZ else -(-HALF_FILTER * AUDIO_HZ // min(sample_rate, AUDIO_HZ))
        """So many samples, and at most two, what came out is behind what went in."""

    def convert(self, samples: NDArray[np.int16]) -> NDArray[np.int16]:
        """What can be played with these samples. Shapes: samples (n * channels,), interleaved."""
        if self._filter is None or not len(samples):
            return samples
        self._heard += len(samples) // self._channels
        frame = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout=self._layout)
        frame.sample_rate = self._rate
        made = _joined(self._filter.resample(frame))
        self._made += len(made)
        return made

    def flush(self) -> NDArray[np.int16]:
        """The rest: no more samples come."""
        if self._filter is None or not self._heard:
            return np.zeros(0, np.int16)
        rest = np.zeros(-(-self._heard * AUDIO_HZ // self._rate) - self._made, np.int16)
        made = _joined(self._filter.resample(None))[: len(rest)]  # FFmpeg may round up once more
        rest[: len(made)] = made  # and makes nothing of what is shorter than its filter
        return rest


def _joined(frames: list[av.AudioFrame]) -> NDArray[np.int16]:
    parts = [frame.to_ndarray()[0].astype(np.int16, copy=False) for frame in frames]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)
