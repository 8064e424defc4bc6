"""Real sentences in noise, and noise alone: what is taken for a voice, how soon, and what is not."""

import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ
from avatar.voice_activity import END_FRAMES, FRAME, VoiceActivity

Sound = NDArray[np.float64]
SENTENCES = sorted((Path(__file__).parents[1] / "data").glob("sentence-*.wav"))
DICE = np.random.default_rng(5)


def sentence(path: Path) -> Sound:
    """Three seconds, from the first sound on. Shapes: (n,) at 48 kHz, of full scale 1."""
    with wave.open(str(path)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32_768
    begins = int(np.argmax(np.abs(sound) > 0.02))
    return np.repeat(sound[begins : begins + 48_000], 3)


def white(seconds: float) -> Sound:
    return DICE.normal(size=round(seconds * AUDIO_HZ))


def coloured(seconds: float, slope: float) -> Sound:
    """Noise whose strength falls with the frequency: 0.5 is pink, 1 rumbles."""
    spectrum = np.fft.rfft(white(seconds))
    return np.fft.irfft(spectrum / (np.arange(len(spectrum)) + 20) ** slope)


def hum(seconds: float) -> Sound:
    times_s = np.arange(round(seconds * AUDIO_HZ)) / AUDIO_HZ
    return np.asarray(sum(np.sin(2 * np.pi * 50 * n * times_s + n) / n for n in (1, 2, 3, 5)))


def clicks(seconds: float) -> Sound:
    """Keys and switches: 5 ms of noise, seven times a second."""
    sound = np.zeros(round(seconds * AUDIO_HZ))
    for at in range(2000, len(sound) - 300, 6900):
        sound[at : at + 300] = DICE.normal(size=300) * np.exp(-np.arange(300) / 60)
    return sound


def thumps(seconds: float) -> Sound:
    """A desk that is knocked on: 90 Hz that dies away within 40 ms, five times a second."""
    sound = np.zeros(round(seconds * AUDIO_HZ))
    for at in range(2000, len(sound) - 4000, 9600):
        places = np.arange(4000)
        sound[at : at + 4000] = np.exp(-places / 600) * np.sin(2 * np.pi * 90 * places / AUDIO_HZ)
    return sound


NOISES = {
    "white": white,
    "pink": lambda seconds: coloured(seconds, 0.5),
    "rumble": lambda seconds: coloured(seconds, 1.0),
    "hum": hum,
    "clicks": clicks,
    "thumps": thumps,
    "silence": lambda seconds: 0 * white(seconds),
}


def scaled(noise: Sound, level_db: float) -> Sound:
    strength = float(np.sqrt(2 * np.mean(noise**2)))
    return noise * (10 ** (level_db / 20) / strength if strength else 0.0)


def begins_s(sound: Sound, piece: int = FRAME) -> list[float]:
    """When a voice is said to begin. Units: seconds."""
    activity, samples = VoiceActivity(), np.clip(np.rint(sound * 32_768), -32_768, 32_767).astype(np.int16)
    return [(at + piece) / AUDIO_HZ for at in range(0, len(samples), piece) if activity.hear(samples[at : at + piece])]


@pytest.mark.parametrize("level_db", [-60, -40, -25, -10])
@pytest.mark.parametrize("kind", NOISES)
def test_noise_is_no_voice(kind: str, level_db: float):
    assert begins_s(scaled(NOISES[kind](8), level_db)) == []


@pytest.mark.parametrize("level_db", [-45, -25, -10])
@pytest.mark.parametrize("kind", [kind for kind in NOISES if kind != "hum"])
def test_noise_that_starts_is_no_voice(kind: str, level_db: float):
    quiet = scaled(white(2), -75)
    assert begins_s(np.concatenate([quiet, scaled(NOISES[kind](4), level_db)])) == []


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
@pytest.mark.parametrize(("kind", "level_db"), [("silence", 0), ("white", -45), ("pink", -40), ("hum", -30)])
def test_a_voice_is_heard_within_a_word(path: Path, kind: str, level_db: float):
    spoken = sentence(path)
    sound = scaled(NOISES[kind](2 + len(spoken) / AUDIO_HZ), level_db)
    sound[2 * AUDIO_HZ : 2 * AUDIO_HZ + len(spoken)] += spoken
    first, *more = begins_s(sound)
    assert 2.08 <= first <= 2.4
    assert not more, "one sentence"


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
def test_a_voice_from_the_very_first_sample_on_is_heard(path: Path):
    assert begins_s(sentence(path))[0] <= 0.4
    assert begins_s(sentence(path) / 10)[0] <= 0.5, "a quiet one as well"


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
def test_a_voice_in_loud_noise_is_heard_in_the_end(path: Path):
    """The noise is 10 dB below the sentence's strength."""
    spoken = np.tile(sentence(path), 4)
    assert begins_s(spoken + scaled(white(len(spoken) / AUDIO_HZ), -27))


def test_a_second_voice_begins_after_a_pause_alone():
    spoken, pause = sentence(SENTENCES[0])[:AUDIO_HZ], np.zeros(END_FRAMES * FRAME + 2 * FRAME)
    assert len(begins_s(np.concatenate([spoken, pause, spoken, pause[: len(pause) // 4], spoken]))) == 2


def test_it_says_whether_somebody_speaks():
    activity = VoiceActivity()
    spoken = (sentence(SENTENCES[0]) * 32_768).astype(np.int16)
    assert not activity.speaking
    assert activity.hear(spoken) and activity.speaking
    assert not activity.hear(np.zeros((END_FRAMES + 2) * FRAME, np.int16))
    assert not activity.speaking


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=60))
def test_the_pieces_it_comes_in_make_no_difference(lengths: list[int]):
    samples = (sentence(SENTENCES[1]) * 32_768).astype(np.int16)[: sum(lengths)]
    activity, whole = VoiceActivity(), VoiceActivity()
    begun = [activity.hear(piece) for piece in np.split(samples, np.cumsum(lengths)) if len(piece)]
    assert any(begun) == whole.hear(samples)
    assert activity.speaking == whole.speaking


@given(st.binary(max_size=20_000))
def test_any_samples_do(data: bytes):
    VoiceActivity().hear(np.frombuffer(data[: len(data) // 2 * 2], np.int16))
