"""How long after it was spoken a sound, and the lips for it, reach a viewer: found in what the viewer received. Pure.

Nothing that the server says about its timing is used. Where the sentence stands in the sound is found by correlation,
second by second, since a jitter buffer may shorten and lengthen it; the lips by how their opening follows that of a
reference.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from bench.decoding import Heard
from bench.lip_curves import Lips

WINDOW: Final = AUDIO_HZ
"""Units: samples. What is looked for at once in the sound."""
LIKENESS: Final = 0.3
"""A second of the sentence counts as found where at least this part of its energy is."""
LAGS_S: Final = np.arange(-0.2, 1.2, 0.005)


def sound_delays(heard: Heard, sentence: NDArray[np.float32], spoken_s: Callable[[int], float]) -> list[float]:
    """For each packet with a part of the sentence, how long after the speaking of its first sample it came.

    ``spoken_s`` says when a sample of the sentence was spoken. Shapes: sentence (n,), 48 kHz.
    """
    delays = []
    for start in range(0, len(sentence) - WINDOW, WINDOW):
        place = find(heard.samples, sentence[start : start + WINDOW])
        if place is None:
            continue
        for packet in range(-(-place // OPUS_SAMPLES), (place + WINDOW) // OPUS_SAMPLES):
            sample = start + packet * OPUS_SAMPLES - place
            if packet < len(heard.arrivals):
                delays.append(heard.arrivals[packet] - spoken_s(sample))
    return [delay for delay in delays if not np.isnan(delay)]


def find(samples: NDArray[np.float32], wanted: NDArray[np.float32]) -> int | None:
    """Where ``wanted`` begins in ``samples``; None where it is not there."""
    size = 1 << (len(samples) + len(wanted)).bit_length()
    products = np.fft.irfft(np.fft.rfft(samples, size) * np.conj(np.fft.rfft(wanted, size)), size)[: len(samples)]
    place = int(np.argmax(products))
    energy = float(np.square(wanted).sum())
    return place if energy > 1 and products[place] > LIKENESS * energy else None


def lag(lips: Lips, since_s: float, reference: Lips, reference_since_s: float) -> float:
    """By how much more the lips come after ``since_s`` than the reference's after ``reference_since_s``. Units: s."""
    inside = (lips.at_s > since_s) & (lips.at_s < since_s + reference.at_s[-1] - reference_since_s)
    times, seen = lips.at_s[inside] - since_s, lips.opening[inside]
    known = reference.at_s - reference_since_s
    likeness = [np.corrcoef(seen, np.interp(times - each, known, reference.opening))[0, 1] for each in LAGS_S]
    return float(LAGS_S[int(np.nanargmax(likeness))])
