"""Log-mel frames, whole and in pieces."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.engines.viseme.features import HOP, MELS, SAMPLE_RATE, SILENCE, LogMelStream, finite, log_mel, take_frames


def noise(samples: int) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(samples) * 0.1).astype(np.float32)


def test_silence_is_the_floor() -> None:
    frames = log_mel(np.zeros(SAMPLE_RATE, np.float32))
    assert frames.shape == (101, MELS)
    np.testing.assert_allclose(frames, SILENCE, atol=1e-4)


def test_a_higher_tone_lights_a_higher_band() -> None:
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    loudest = [
        int(log_mel(np.sin(2 * np.pi * f * time_s).astype(np.float32))[50].argmax()) for f in (200, 800, 3000, 7000)
    ]
    assert loudest == sorted(set(loudest))


def test_frame_j_is_centred_on_sample_160_j() -> None:
    click = np.zeros(8000, np.float32)
    click[160 * 20] = 1
    assert log_mel(click).sum(1).argmax() == 20


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12))
def test_any_chunking_gives_the_frames_of_the_whole(lengths: list[int]) -> None:
    whole = noise(sum(lengths))
    stream = LogMelStream()
    edges = np.cumsum([0, *lengths])
    pieces: list[np.ndarray] = []
    for a, b in itertools.pairwise(edges):
        stream.push(whole[a:b])
        ready = stream.ready
        pieces += [sound.mel for sound in take_frames([stream])]
        assert len(pieces[-1]) == ready and stream.ready == 0
    frames = np.concatenate(pieces)
    np.testing.assert_allclose(frames, log_mel(whole)[: len(frames)], atol=1e-5)
    assert len(frames) == max(0, (len(whole) - 200) // HOP + 1)


def test_what_is_not_a_number_is_silence() -> None:
    samples = np.array([0.5, np.nan, np.inf, -np.inf, 3.0, -3.0], np.float32)
    np.testing.assert_array_equal(finite(samples), np.array([0.5, 0, 0, 0, 1, -1], np.float32))


@pytest.mark.parametrize("count", [0, 1, 199, 200, 201])
def test_no_frame_before_its_window_is_full(count: int) -> None:
    stream = LogMelStream()
    stream.push(noise(count))
    assert stream.ready == len(take_frames([stream])[0].mel) == (1 if count >= 200 else 0)


def test_streams_that_are_heard_together_do_not_mix() -> None:
    lengths = (0, 900, 5000, 100, 1601)
    streams = [LogMelStream() for _ in lengths]
    for stream, length in zip(streams, lengths, strict=True):
        stream.push(noise(length) * length)
    for sound, length in zip(take_frames(streams), lengths, strict=True):
        frames = sound.mel
        alone = log_mel(noise(length) * length)
        np.testing.assert_allclose(frames, alone[: len(frames)], atol=1e-5)
        assert len(frames) == max(0, (length - 200) // HOP + 1)
