"""Stress heard in level and pitch: where one leans on a syllable, the same whatever pieces it comes in."""

import itertools
import wave
from pathlib import Path

import numpy as np
import pytest

from avatar.engines.viseme.features import LogMelStream, take_frames
from avatar.engines.viseme.stress import LATER, StressEar
from avatar.motion import STILL

DATA = Path(__file__).parents[1] / "data"
SENTENCES = sorted(DATA.glob("sentence-*.wav"))
RATE = 16_000


def samples_of(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return (np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768).astype(np.float32)


def syllables(*, loud: int | None = None, high: int | None = None) -> np.ndarray:
    """Twelve of a buzzing voice, four a second: one of them louder, or higher, than the rest."""
    parts = []
    for number in range(12):
        pitch = 120 * (1.35 if number == high else 1)
        time = np.arange(RATE // 4) / RATE
        voice = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, 16))
        swell = np.clip(np.sin(2 * np.pi * 2 * time), 0, None)
        parts.append(0.08 * (2.6 if number == loud else 1) * swell * voice)
    return np.concatenate(parts).astype(np.float32)


def heard(samples: np.ndarray, *lengths: int) -> StressEar:
    """What an ear makes of samples, in pieces of these lengths over and over."""
    stream, ear, start, turn = LogMelStream(), StressEar(), 0, 0
    while start < len(samples):
        length = lengths[turn % len(lengths)] if lengths else len(samples)
        stream.push(samples[start : start + length])
        start, turn = start + length, turn + 1
        (sound,) = take_frames([stream])
        ear.hear(sound.levels, sound.pitches)
    return ear


@pytest.mark.parametrize("which", [{"loud": 8}, {"high": 8}], ids=str)
def test_the_syllable_that_stands_out_is_stressed(which: dict[str, int]):
    late = [accent.frame / 100 for accent in heard(syllables(**which)).accents if accent.frame > 100]
    assert late == pytest.approx([8 * 0.25 + 0.125], abs=0.04)


def test_noise_and_silence_have_no_stress():
    rng = np.random.default_rng(3)
    assert heard(np.zeros(3 * RATE, np.float32)).accents == []
    assert heard(rng.normal(0, 0.05, 3 * RATE).astype(np.float32)).accents == [], "nothing of it is voiced"


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
def test_speech_has_some_and_not_too_many(path: Path):
    samples = samples_of(path)
    accents = heard(samples).accents
    assert 0.3 < len(accents) / (len(samples) / RATE) < 1.3
    assert all(later.frame - earlier.frame >= 60 for earlier, later in itertools.pairwise(accents))


@pytest.mark.parametrize("lengths", [(160,), (1, 700, 3333), (320, 4000)])
def test_pieces_of_any_length_give_the_accents_of_the_whole(lengths: tuple[int, ...]):
    samples = samples_of(SENTENCES[0])[: 5 * RATE]
    assert heard(samples, *lengths).accents == heard(samples).accents


def test_an_accent_is_known_before_it_begins():
    samples = samples_of(SENTENCES[0])[: 4 * RATE]
    whole = heard(samples)
    for accent in whole.accents:
        heard_until = (accent.frame + LATER) * 160 + 200
        assert accent in heard(samples[:heard_until]).accents


def test_brows_rise_and_fall_back_and_never_jump():
    ear = heard(syllables(loud=8))
    (accent,) = (each for each in ear.accents if each.frame > 100)
    begins = accent.frame / 100
    assert ear.motion(begins) == STILL == ear.motion(begins + 0.5)
    motions = np.array([ear.motion(begins + k / 25) for k in range(14)])
    assert 1.5 < motions[:, -2].max() <= 3.6 and 1.2 < motions[:, -1].max() <= 3
    assert np.abs(np.diff(motions, axis=0)).max() < 2


def test_what_is_forgotten_is_heard_no_more():
    samples = syllables(loud=8)
    ear = heard(samples)
    assert heard(samples).forget(210).accents != ear.accents[:1] or len(ear.accents) == 1
    left = ear.forget(150)
    assert all(accent.frame < 150 for accent in left.accents)
    (sound,) = take_frames([_stream(samples)])
    left.hear(sound.levels, sound.pitches)
    assert left.accents[-1].frame == 150 + ear.accents[-1].frame, "what comes then is counted from there"


def _stream(samples: np.ndarray) -> LogMelStream:
    stream = LogMelStream()
    stream.push(samples)
    return stream
