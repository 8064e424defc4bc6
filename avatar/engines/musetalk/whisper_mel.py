"""Whisper's log-mel of one stretch of speech, frame by frame as the samples come; it can go back. Numpy only.

Frame m is centred on sample 160 m and takes 200 samples on either side; before the first sample the sound is mirrored.
Values here are log10 of the power, before Whisper's own scaling, which depends on all it hears at once (``scaled``).
Source: the feature extractor of transformers, with which a test compares it.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.engine import REWIND_S

HOP: Final = 160
FFT: Final = 400
SAMPLE_RATE: Final = 16_000
FRAMES_A_SECOND: Final = SAMPLE_RATE // HOP
SILENCE: Final = -10.0
"""The smallest value."""
LOUD: Final = 1.6
"""What the loudest moment of speech reaches, as a rule (the shipped sentences: 1.64 to 1.91). Whisper scales by the
loudest moment of the 30 s it is given; in a stream that may be yet to come, and is therefore assumed."""
RANGE: Final = 8.0
"""Values so far below the loudest one count as silence."""
_PIECE: Final = SAMPLE_RATE


class Tape:
    """The latest rows of something that grows at its end. At least the last ``kept`` are there."""

    def __init__(self, kept: int, shape: tuple[int, ...] = ()) -> None:
        self._rows = np.zeros((2 * kept, *shape), np.float32)
        self._kept = kept
        self._count = 0
        self.first = 0
        """Which one the oldest row that is there is."""

    @property
    def end(self) -> int:
        """How many have come."""
        return self.first + self._count

    def append(self, rows: NDArray[np.float32]) -> None:
        """At most ``kept`` at once."""
        if self._count + len(rows) > len(self._rows):
            gone = self._count - self._kept + len(rows)
            self._rows[: self._count - gone] = self._rows[gone : self._count].copy()
            self.first, self._count = self.first + gone, self._count - gone
        self._rows[self._count : self._count + len(rows)] = rows
        self._count += len(rows)

    def cut(self, end: int) -> None:
        """Forget all from ``end`` on. Errors: ValueError where that is not remembered."""
        if not self.first <= end <= self.end:
            raise ValueError(f"row {end} of {self.first} to {self.end}")
        self._count = end - self.first

    def part(self, start: int, end: int) -> NDArray[np.float32]:
        """Rows ``start`` to ``end``; a view. Errors: ValueError where they are not all there."""
        if not self.first <= start <= end <= self.end:
            raise ValueError(f"rows {start} to {end} of {self.first} to {self.end}")
        return self._rows[start - self.first : end - self.first]


class WhisperMel:
    """Log-mel of a stretch, as far as it was heard."""

    def __init__(self, filters: NDArray[np.float32], kept_s: float) -> None:
        """``filters``: (201, 80). Frames of the last ``kept_s`` are remembered, wherever it goes back to."""
        self._filters = filters
        self._hann = np.hanning(FFT + 1)[:-1].astype(np.float32)
        self._samples = Tape((REWIND_S + 2) * SAMPLE_RATE)
        self._frames = Tape(int((kept_s + REWIND_S + 1) * FRAMES_A_SECOND), (filters.shape[1],))

    @property
    def pushed(self) -> int:
        """Samples."""
        return self._samples.end

    def push(self, samples: NDArray[np.float32]) -> None:
        """Hear more."""
        for at in range(0, len(samples), _PIECE):
            self._samples.append(samples[at : at + _PIECE])
            self._take_in()

    def _take_in(self) -> None:
        first, end = self._frames.end, _complete(self.pushed)
        if end <= first:
            return
        start = first * HOP - FFT // 2
        heard = self._samples.part(max(0, start), (end - 1) * HOP + FFT // 2)
        if start < 0:
            heard = np.concatenate([self._samples.part(1, 1 - start)[::-1], heard])
        cut = np.lib.stride_tricks.sliding_window_view(heard, FFT)[::HOP] * self._hann  # (n, 400)
        power = np.abs(np.fft.rfft(cut, axis=1)).astype(np.float32) ** 2  # (n, 201)
        self._frames.append(np.log10(np.maximum(power @ self._filters, 1e-10)).astype(np.float32))

    def cut(self, heard: int) -> None:
        """Forget all but the first ``heard`` samples. Errors: ValueError where that is too far back, or ahead."""
        self._samples.cut(heard)
        self._frames.cut(min(self._frames.end, _complete(heard)))

    def window(self, first: int, count: int) -> NDArray[np.float32]:
        """``count`` frames from ``first`` on, silence where nothing is heard yet. Shapes: (80, count)."""
        heard = self._frames.part(first, max(first, min(first + count, self._frames.end)))
        window = np.full((heard.shape[1], count), SILENCE, np.float32)
        window[:, : len(heard)] = heard.T
        return window


def _complete(samples: int) -> int:
    """Frames that so many samples suffice for."""
    return max(0, (samples - FFT // 2 - 1) // HOP + 1)


def scaled(window: NDArray[np.float32], loud: float = LOUD) -> NDArray[np.float32]:
    """As Whisper is given it: the range below the loudest value, which counts as ``loud`` at least."""
    loudest = max(loud, float(window.max()))
    return np.asarray((np.maximum(window, loudest - RANGE) + 4) / 4, np.float32)
