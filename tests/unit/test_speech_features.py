"""What the UNet hears while speech comes, against what it would hear of the whole file, as the original encodes it."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import WhisperFeatureExtractor

from avatar.engines.musetalk.networks import SAMPLE_RATE, TINY, Networks, random_networks
from avatar.engines.musetalk.speech_features import BEFORE, LOOKAHEAD, STEPS, Hearing, Windows, first_step, moments
from avatar.engines.musetalk.whisper_mel import WhisperMel
from tests.shipped_speech import shipped_speech

FPS = 25
TOLERANCE = 0.01
"""Of the features' own size. docs/avatars.md names it."""
AFTER_STEPS = 12
"""Zeros that the original puts behind a file."""


@pytest.fixture(scope="module")
def networks() -> Networks:
    """Random, narrow, but of Whisper's own length: 30 s."""
    return random_networks(dataclasses.replace(TINY, positions=1500))


@pytest.fixture(scope="module")
def hearing(networks: Networks) -> Hearing:
    return Hearing(networks, torch.device("cpu"), torch.float32)


def whole_file(hearing: Hearing, samples: np.ndarray, fps: int) -> Tensor:
    """Features of all frames, as the original makes them. Shapes: (frames, tokens, D)."""
    mel = WhisperFeatureExtractor()(samples, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_features
    with torch.inference_mode():
        states = hearing.encode(mel)[0][: len(samples) * 50 // SAMPLE_RATE]
    before, after = (states.new_zeros(count, *states.shape[1:]) for count in (BEFORE, AFTER_STEPS))
    padded = torch.cat([before, states, after])
    firsts = [frame * 50 // fps for frame in range(len(samples) * fps // SAMPLE_RATE)]
    return torch.stack([padded[first : first + STEPS].flatten(0, 1) for first in firsts]) + hearing._places


def streamed(hearing: Hearing, networks: Networks, samples: np.ndarray, frames: list[int], fps: int) -> Tensor:
    """Features of frames, each made when no more had come than it must wait for."""
    windows = Windows(networks.positions)
    mel = WhisperMel(networks.mel_filters.numpy(), windows.kept_s)
    made = []
    for frame in frames:
        mel.push(samples[mel.pushed : frame * SAMPLE_RATE // fps + LOOKAHEAD])
        with torch.inference_mode():
            made.append(hearing.hear(moments(mel, windows, [frame], fps))[0])
    return torch.stack(made)


def deviation(made: Tensor, expected: Tensor) -> Tensor:
    """Of each frame, as a part of the features' size."""
    return (made - expected).flatten(1).norm(dim=1) / expected.flatten(1).norm(dim=1)


@pytest.mark.parametrize("fps", [10, 25])
def test_streamed_features_are_those_of_the_whole_file(hearing: Hearing, networks: Networks, fps: int):
    samples = shipped_speech("tongue-twister")
    expected = whole_file(hearing, samples, fps)
    frames = list(range(0, len(expected) - fps // 4, max(1, fps // 3)))
    apart = deviation(streamed(hearing, networks, samples, frames, fps), expected[frames])
    assert apart.max() < TOLERANCE, apart
    changes = deviation(expected[frames][1:], expected[frames][:-1])
    assert changes.min() > 3 * TOLERANCE, "a tolerance that a wrong frame would pass, too"


def test_a_frame_hears_from_80_ms_before_to_120_ms_after_itself_at_every_rate():
    for fps in (10, 15, 20, 25, 30):
        for frame in range(3 * fps):
            first = first_step(frame, fps) / 50
            assert -1e-9 <= frame / fps - BEFORE / 50 - first < 0.02
    assert first_step(0, 25) == -BEFORE


def test_windows_overlap_and_none_is_full():
    windows = Windows(1500)
    starts = [windows.start(step) for step in range(10_000)]
    for step, start in enumerate(starts):
        assert start <= step < start + windows.full
        assert step - start >= windows.full - windows.hop or start == 0, "too little before it"
    assert len(set(starts)) == 1 + -(-(10_000 - windows.full) // windows.hop)
    assert windows.positions - windows.full == 100


def test_frames_of_a_turn_share_a_window_and_are_encoded_at_once(hearing: Hearing, networks: Networks, monkeypatch):
    windows = Windows(networks.positions)
    streams = []
    for name in ("greeting", "kiosk"):
        mel = WhisperMel(networks.mel_filters.numpy(), windows.kept_s)
        mel.push(shipped_speech(name)[:32_000])
        streams.append(moments(mel, windows, [30, 31, 32, 33], FPS))
    assert all(len({id(moment.window) for moment in turn}) == 1 for turn in streams)
    batches = []
    encode = hearing.encode
    monkeypatch.setattr(hearing, "encode", lambda mel: (batches.append(len(mel)), encode(mel))[1])
    with torch.inference_mode():
        made = hearing.hear([*streams[0], *streams[1]])
    assert batches == [2]
    assert made.shape == (8, STEPS * networks.states, networks.width)
    assert deviation(made[:1], made[1:2]) > TOLERANCE


def test_later_windows_hear_what_the_first_would(networks: Networks):
    """Half a window on, a frame has other places in it and less before it, but the same sound."""
    windows = Windows(networks.positions)
    mel = WhisperMel(networks.mel_filters.numpy(), windows.kept_s)
    samples = np.tile(shipped_speech("greeting"), 6)
    frame = 40 * FPS
    mel.push(samples[: frame * 640 + LOOKAHEAD])
    (moment,) = moments(mel, windows, [frame], FPS)
    assert moment.window.start == windows.hop
    at = 2 * (moment.first - moment.window.start)
    alone = WhisperMel(networks.mel_filters.numpy(), windows.kept_s)
    alone.push(samples[windows.hop * 320 : frame * 640 + LOOKAHEAD])
    assert np.allclose(alone.window(at, 20), mel.window(2 * moment.first, 20), atol=1e-3)
