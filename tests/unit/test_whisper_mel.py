import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from avatar.engines.engine import REWIND_S
from avatar.engines.musetalk.whisper_mel import LOUD, SAMPLE_RATE, Tape, WhisperMel, scaled
from tests.shipped_speech import SHIPPED, shipped_speech

EXTRACTOR = WhisperFeatureExtractor()
FILTERS = EXTRACTOR.mel_filters.astype(np.float32)


def heard(samples: np.ndarray, piece: int = 320) -> WhisperMel:
    mel = WhisperMel(FILTERS, 30)
    for at in range(0, len(samples), piece):
        mel.push(samples[at : at + piece])
    return mel


@pytest.mark.parametrize("name", SHIPPED)
def test_a_whole_file_is_what_whisper_is_given(name: str):
    samples = shipped_speech(name)
    expected = EXTRACTOR(samples, sampling_rate=SAMPLE_RATE, return_tensors="np").input_features[0]
    assert np.abs(scaled(heard(samples).window(0, 3000), -99.0) - expected).max() < 1e-3


def test_the_shipped_sentences_are_as_loud_as_is_assumed():
    """So that the scale does not change under way."""
    for name in SHIPPED:
        window = heard(shipped_speech(name), 16_000).window(0, 3000)
        assert 0 <= window.max() - LOUD < 0.5, name


@given(pieces=st.lists(st.integers(0, 1500), max_size=12), seed=st.integers(0, 99))
def test_pieces_do_not_matter(pieces: list[int], seed: int):
    samples = np.random.default_rng(seed).standard_normal(sum(pieces)).astype(np.float32)
    apart = WhisperMel(FILTERS, 1)
    for part in np.split(samples, np.cumsum(pieces)[:-1]):
        apart.push(part)
    whole = heard(samples, max(1, len(samples)))
    assert np.array_equal(apart.window(0, 120), whole.window(0, 120)) or np.allclose(
        apart.window(0, 120), whole.window(0, 120), atol=1e-4
    )


def test_what_was_cut_off_may_be_heard_otherwise():
    samples = shipped_speech(SHIPPED[0])
    mel = heard(samples)
    mel.cut(32_000)
    assert mel.pushed == 32_000
    other = np.concatenate([samples[:32_000], samples[:16_000]])
    mel.push(other[32_000:])
    assert np.allclose(mel.window(0, 400), heard(other).window(0, 400), atol=1e-4)


def test_the_oldest_is_forgotten_and_said_to_be():
    mel = WhisperMel(FILTERS, 2)
    second = np.zeros(SAMPLE_RATE, np.float32)
    for _ in range(60):
        mel.push(second)
    mel.window(60 * 100 - 250, 200)
    mel.cut((60 - REWIND_S) * SAMPLE_RATE)
    with pytest.raises(ValueError):
        mel.window(0, 10)
    with pytest.raises(ValueError):
        mel.cut(0)


def test_a_tape_keeps_what_it_promises():
    tape = Tape(5)
    for number in range(100):
        tape.append(np.array([number], np.float32))
        assert tape.part(max(0, number - 4), number + 1)[-1] == number
    assert tape.end == 100 and list(tape.part(96, 99)) == [96, 97, 98]
