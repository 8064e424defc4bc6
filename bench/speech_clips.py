"""Sounds made for measuring: an open vowel from the first sample on, bursts that open the mouth, speech with a tag.

A vowel is a row of glottal pulses through three resonators (Klatt's, J. Acoust. Soc. Am. 67, 1980): the engine hears
an "ah" and opens the mouth at once, where a recorded word would begin with a breath or a closed lip. A tag is a tone
above all speech in the clip, whose frequency tells utterances apart in the smallest piece of what was received.
"""

import io
import wave
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
AH: Final = ((730.0, 90.0), (1090.0, 110.0), (2440.0, 170.0))
"""Formants of an open vowel and their widths. Units: Hz. Source: Peterson and Barney, J. Acoust. Soc. Am. 24, 1952."""
PITCH_HZ: Final = 120.0
LEVEL: Final = 0.5
FADE_S: Final = 0.02
BURST_S: Final = 0.16
GAPS_S: Final = (0.42, 0.62)
SPEECH_BELOW_HZ: Final = 7_500.0
TAGS: Final = 16
"""Tones that can be told apart with certainty within one packet."""
FIRST_TAG_HZ: Final = 8_200.0
TAG_STEP_HZ: Final = 200.0
TAG_LEVEL: Final = 0.1


def vowel(seconds: float, rate_hz: int) -> Samples:
    """An "ah" that is there with its first sample and faded out at its end. Shapes: (n,), in [-1, 1]."""
    count = int(seconds * rate_hz)
    pulses = np.zeros(count)
    pulses[:: int(rate_hz / PITCH_HZ)] = 1.0
    frequencies = np.fft.rfftfreq(2 * count, 1 / rate_hz)
    turn = np.exp(-2j * np.pi * frequencies / rate_hz)
    spectrum = np.fft.rfft(pulses, 2 * count)
    for centre_hz, width_hz in AH:
        radius = np.exp(-np.pi * width_hz / rate_hz)
        spectrum = spectrum / (1 - 2 * radius * np.cos(2 * np.pi * centre_hz / rate_hz) * turn + (radius * turn) ** 2)
    sound = np.fft.irfft(spectrum)[:count]
    fade = int(FADE_S * rate_hz)
    sound[-fade:] *= np.linspace(1, 0, fade)
    return np.asarray(sound / np.abs(sound).max() * LEVEL, np.float32)


def greeting(rate_hz: int) -> Samples:
    """Three open syllables, 1.2 s: the shortest thing to say whose beginning is beyond doubt. Shapes: (n,)."""
    pause = np.zeros(int(0.15 * rate_hz), np.float32)
    return np.concatenate([vowel(0.3, rate_hz), pause, vowel(0.3, rate_hz), pause, vowel(0.3, rate_hz)])


@dataclass(frozen=True, slots=True)
class Bursts:
    """Vowels with silence between, and when each begins. Shapes: samples (n,). Units: seconds from the first sample."""

    samples: Samples
    onsets_s: list[float]


def bursts(seconds: float, rate_hz: int, seed: int) -> Bursts:
    """Short vowels at uneven distances, so that they fall on all parts of a frame; silence first and last."""
    chance = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * rate_hz), np.float32)
    burst = vowel(BURST_S, rate_hz)
    onsets = []
    at_s = 0.5
    while at_s + 1.0 < seconds:
        first = int(at_s * rate_hz)
        samples[first : first + len(burst)] = burst
        onsets.append(first / rate_hz)
        at_s += BURST_S + float(chance.uniform(*GAPS_S))
    return Bursts(samples, onsets)


def tag_hz(number: int) -> float:
    """The tone of an utterance; every ``TAGS`` utterances it comes again."""
    return FIRST_TAG_HZ + TAG_STEP_HZ * (number % TAGS)


def tagged(speech: Samples, rate_hz: int, number: int) -> Samples:
    """Speech, without anything above ``SPEECH_BELOW_HZ``, with a tone above it. Shapes: (n,) both."""
    spectrum = np.fft.rfft(speech)
    spectrum[np.fft.rfftfreq(len(speech), 1 / rate_hz) > SPEECH_BELOW_HZ] = 0
    low = np.fft.irfft(spectrum, len(speech))
    tone = TAG_LEVEL * np.sin(2 * np.pi * tag_hz(number) * np.arange(len(speech)) / rate_hz)
    return np.asarray(np.clip(0.8 * low + tone, -1, 1), np.float32)


def tag_levels(packets: NDArray[np.float32], number: int, rate_hz: int) -> NDArray[np.float64]:
    """How loud an utterance's tone is in each packet, against how loud it is made. Shapes: (n, samples) -> (n,)."""
    count = packets.shape[1]
    window = np.hanning(count)
    probe = window * np.exp(-2j * np.pi * tag_hz(number) * np.arange(count) / rate_hz)
    return np.asarray(np.abs(packets @ probe) * 2 / window.sum() / TAG_LEVEL, np.float64)


def pcm_bytes(samples: Samples) -> bytes:
    """16 bit, little endian."""
    return np.asarray(np.round(samples * 32767), "<i2").tobytes()


def wav_file(samples: Samples, rate_hz: int) -> bytes:
    """A WAV file of one channel."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(pcm_bytes(samples))
    return file.getvalue()
