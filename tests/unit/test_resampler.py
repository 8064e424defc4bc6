import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ
from avatar.resampler import RATES, Resampler
from tests.audio_files import tone

rates = st.sampled_from([8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000, 96_000]) | st.integers(8000, 96_000)


def converted(samples: NDArray[np.int16], rate: int, channels: int, cuts: list[int]) -> NDArray[np.int16]:
    resampler = Resampler(rate, channels)
    pieces = np.split(samples, [channels * cut for cut in sorted(cuts)])
    return np.concatenate([*(resampler.convert(piece) for piece in pieces), resampler.flush()])


def noise(frames: int, channels: int = 1) -> NDArray[np.int16]:
    return np.random.default_rng(frames).integers(-32_768, 32_768, frames * channels).astype(np.int16)


@settings(max_examples=60, deadline=None)
@given(rates, st.sampled_from([1, 2]), st.integers(0, 6000), st.lists(st.integers(0, 6000), max_size=12))
def test_pieces_cut_anywhere_come_out_as_one_and_no_sample_is_lost(
    rate: int, channels: int, frames: int, cuts: list[int]
):
    samples = noise(frames, channels)
    whole = converted(samples, rate, channels, [])
    assert np.array_equal(whole, converted(samples, rate, channels, cuts))
    assert len(whole) == -(-frames * AUDIO_HZ // rate)


@pytest.mark.parametrize("rate", [8000, 22_050, 47_999])
def test_ten_minutes_are_ten_minutes(rate: int):
    resampler, second = Resampler(rate, 1), np.zeros(rate, np.int16)
    made = sum(len(resampler.convert(second)) for _ in range(600)) + len(resampler.flush())
    assert made == 600 * AUDIO_HZ


def test_what_has_the_rate_already_is_left_as_it_is():
    samples = noise(5000)
    assert np.array_equal(converted(samples, AUDIO_HZ, 1, [1, 7, 960]), samples)


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tone_stays_the_tone_it_was(rate: int, channels: int):
    spoken = np.repeat((tone(0.5, 700, rate, 0.5) * 32_767).astype(np.int16), channels)
    heard = converted(spoken, rate, channels, [100, 333, 1234]) / 32_767
    wanted = tone(0.5, 700, level=0.5)
    error = (heard - wanted)[480:-480]
    assert np.sqrt(np.mean(error**2)) < 0.001 * np.sqrt(np.mean(wanted**2)) + 1e-4, "neither shifted nor bent"


def test_two_channels_are_mixed():
    left, right = (tone(0.2, 400) * 32_767).astype(np.int16), (tone(0.2, 900) * 32_767).astype(np.int16)
    both = converted(np.stack([left, right], axis=1).reshape(-1), AUDIO_HZ, 2, [50])
    assert np.abs(both - (left.astype(int) + right) / 2).max() <= 1


@pytest.mark.parametrize(
    ("rate", "channels"), [(RATES[0] - 1, 1), (RATES[-1] + 1, 1), (0, 1), (-8000, 1), (48_000, 0), (48_000, 3)]
)
def test_what_cannot_be_played_is_refused(rate: int, channels: int):
    with pytest.raises(ValueError, match="cannot be played"):
        Resampler(rate, channels)
