"""One utterance made to sound like many: other mouths, rooms, microphones and levels.

What moves time (the resampling that shifts pitch, formants and rate together, the silence around) moves the segments
too; nothing else may.
"""

import random
from dataclasses import dataclass, replace

import numpy as np
import soxr
from numpy.typing import NDArray

from avatar.engines.viseme.features import SAMPLE_RATE
from avatar.engines.viseme.phonemes import Segment

Samples = NDArray[np.float32]

_SLOWEST, _FASTEST = 0.84, 1.2
_CLEAN_LEVEL_DB = -22.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech at 16 kHz and its segments, which cover it without holes from the first on."""

    samples: Samples
    segments: list[Segment]
    voice: str


def clean(utterance: Utterance, dice: random.Random) -> Utterance:
    """With silence around it, at an ordinary level; the voice as it is."""
    placed = _in_silence(utterance, dice)
    return replace(placed, samples=_at_level(placed.samples, _CLEAN_LEVEL_DB))


def varied(utterance: Utterance, dice: random.Random) -> Utterance:
    """Another voice, room, microphone and level: each by chance."""
    voiced = _resampled(utterance, dice.uniform(_SLOWEST, _FASTEST)) if dice.random() < 0.6 else utterance
    return roughened(_in_silence(voiced, dice), dice)


def roughened(utterance: Utterance, dice: random.Random) -> Utterance:
    """The same speech through a room, a microphone and a line, in noise. Times stay."""
    samples = utterance.samples
    noise = np.random.default_rng(dice.getrandbits(32))
    if dice.random() < 0.6:
        samples = _tilted(samples, dice.uniform(-0.6, 0.75))
    if dice.random() < 0.5:
        samples = _coloured(samples, noise)
    if dice.random() < 0.4:
        samples = _in_room(samples, dice.uniform(0.08, 0.5), dice.uniform(0.05, 0.35), noise)
    if dice.random() < 0.3:
        samples = _band_limited(samples, dice.choice((0, 60, 250)), dice.choice((3400, 4000, 5500, 7000)))
    samples = _at_level(samples, dice.uniform(-38, -14))
    if dice.random() < 0.7:
        samples = _in_noise(samples, dice.uniform(5, 45), dice.uniform(0, 1), noise)
    return replace(utterance, samples=np.clip(samples, -1, 1))


def _resampled(utterance: Utterance, factor: float) -> Utterance:
    """Longer and deeper by ``factor``."""
    samples = soxr.resample(utterance.samples, SAMPLE_RATE, int(SAMPLE_RATE * factor)).astype(np.float32)
    segments = [s._replace(start_s=s.start_s * factor, end_s=s.end_s * factor) for s in utterance.segments]
    return replace(utterance, samples=samples, segments=segments)


def _in_silence(utterance: Utterance, dice: random.Random) -> Utterance:
    lead, tail = int(dice.uniform(0.1, 0.7) * SAMPLE_RATE), int(dice.uniform(0.3, 1.0) * SAMPLE_RATE)
    samples = np.pad(utterance.samples, (lead, tail))
    lead_s = lead / SAMPLE_RATE
    segments = [s._replace(start_s=s.start_s + lead_s, end_s=s.end_s + lead_s) for s in utterance.segments]
    before = Segment(0.0, segments[0].start_s, "sil", "")
    after = Segment(segments[-1].end_s, len(samples) / SAMPLE_RATE, "sil", "")
    return replace(utterance, samples=samples, segments=[before, *segments, after])


def _loudness(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2)) + 1e-6)


def _at_level(samples: Samples, level_db: float) -> Samples:
    return np.asarray(samples * (10 ** (level_db / 20) / _loudness(samples)), np.float32)


def _tilted(samples: Samples, tilt: float) -> Samples:
    return np.append(samples[:1], samples[1:] - np.float32(tilt) * samples[:-1])


def _filtered(samples: Samples, gain: NDArray[np.float64]) -> Samples:
    return np.fft.irfft(np.fft.rfft(samples) * gain, len(samples)).astype(np.float32)


def _coloured(samples: Samples, noise: np.random.Generator) -> Samples:
    """A random smooth equaliser, up to 8 dB each way."""
    frequency = np.fft.rfftfreq(len(samples))
    gain_db = np.interp(frequency, np.linspace(0, 0.5, 7), noise.uniform(-8, 8, 7))
    return _filtered(samples, 10 ** (gain_db / 20))


def _in_room(samples: Samples, decay_s: float, wetness: float, noise: np.random.Generator) -> Samples:
    """Reverberation: noise that decays by 60 dB in ``decay_s``."""
    length = int(decay_s * SAMPLE_RATE)
    echo = noise.standard_normal(length) * np.exp(-6.9 * np.arange(length) / length)
    echo *= wetness / np.sqrt(np.sum(echo**2))
    echo[0] += 1
    total = len(samples) + length
    wet = np.fft.irfft(np.fft.rfft(samples, total) * np.fft.rfft(echo, total), total)
    return wet[: len(samples)].astype(np.float32)


def _band_limited(samples: Samples, low_hz: float, high_hz: float) -> Samples:
    """What a telephone or a coarse codec leaves."""
    frequency = np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE)
    return _filtered(samples, (frequency >= low_hz) / (1 + (frequency / high_hz) ** 16))


def _in_noise(samples: Samples, ratio_db: float, slope: float, noise: np.random.Generator) -> Samples:
    """White to pink noise, ``ratio_db`` below the speech."""
    frequency = np.arange(len(samples) // 2 + 1)
    hiss = _filtered(noise.standard_normal(len(samples)).astype(np.float32), np.power(frequency + 10.0, -slope))
    return samples + hiss * np.float32(_loudness(samples) / _loudness(hiss) * 10 ** (-ratio_db / 20))
