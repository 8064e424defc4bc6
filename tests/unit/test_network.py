"""The network: streaming equals offline, padding is harmless, weights survive the disk."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.engines.viseme.features import MELS, SILENCE, log_mel
from avatar.engines.viseme.network import (
    FRAMES_A_STEP,
    NetworkConfig,
    State,
    VisemeNetwork,
    hear,
    load_network,
    rest_state,
    rested,
    save_network,
    sharpened,
)
from avatar.engines.viseme.parameters import BITE, NEUTRAL, PARAMETERS, PRESS, gap
from avatar.engines.viseme.phonemes import VISEMES

WEIGHTS = Path(__file__).parents[2] / "assets" / "viseme" / "weights.pt"
TINY = NetworkConfig(channels=8, hidden=6, dilations=(1, 2))


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.inference_mode():
        yield


def tiny() -> VisemeNetwork:
    torch.manual_seed(0)
    return VisemeNetwork(TINY).eval()


def speechlike(streams: int, frames: int) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(streams, frames, MELS) * 2 - 8


def heard_in_chunks(network: VisemeNetwork, mel: torch.Tensor, steps: list[int]) -> tuple[torch.Tensor, State]:
    state = network.blank_state(len(mel))
    mouths, start = [], 0
    for count in steps:
        mouth, _, state = network(mel[:, start : start + FRAMES_A_STEP * count], state)
        mouths.append(mouth)
        start += FRAMES_A_STEP * count
    return torch.cat(mouths, 1), state


@pytest.mark.parametrize("steps", [[1] * 40, [40], [2] * 20, [7, 1, 13, 2, 17], [39, 1]])
def test_any_chunking_says_what_the_whole_says(steps: list[int]) -> None:
    network, mel = load_network(WEIGHTS), speechlike(2, 80)
    whole, _, after = network(mel, network.blank_state(2))
    mouth, state = heard_in_chunks(network, mel, steps)
    torch.testing.assert_close(mouth, whole, atol=1e-5, rtol=0)
    for one, other in zip(state, after, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=0)


def test_what_was_heard_minutes_ago_does_not_change_what_is_said() -> None:
    network = load_network(WEIGHTS)
    syllable = torch.cat([speechlike(1, 16), torch.full((1, 44, MELS), SILENCE)], 1)
    said, state = [], rest_state(network)
    for _ in range(10):
        mouth, _, state = network(syllable.repeat(1, 100, 1), state)  # a minute
        said.append(mouth[0, -len(syllable[0]) // FRAMES_A_STEP :])
    steps = [float((one - other).abs().max()) for one, other in pairwise(said)]
    assert float(said[0].max() - said[0].min()) > 0.1, "it moves"
    assert max(steps) < 1e-3


def test_the_network_is_causal() -> None:
    network, mel = tiny(), speechlike(1, 40)
    changed = mel.clone()
    changed[:, 20:] += 3
    before, _, _ = network(mel, network.blank_state(1))
    after, _, _ = network(changed, network.blank_state(1))
    torch.testing.assert_close(before[:, :10], after[:, :10])
    assert (before[:, 10:] - after[:, 10:]).abs().max() > 1e-4


def test_streams_of_unlike_lengths_share_a_call() -> None:
    network, mel = tiny(), speechlike(3, 20)
    steps = torch.tensor([10, 3, 1])
    mouth, _, state = network(mel, network.blank_state(3), steps)
    for row, count in enumerate(steps.tolist()):
        alone, _, alone_state = network(mel[row : row + 1, : FRAMES_A_STEP * count], network.blank_state(1))
        torch.testing.assert_close(mouth[row : row + 1, :count], alone, atol=1e-5, rtol=0)
        for together, apart in zip(state, alone_state, strict=True):
            torch.testing.assert_close(together[row : row + 1], apart, atol=1e-5, rtol=0)


def test_the_first_dimension_of_every_state_is_the_stream() -> None:
    assert {len(part) for part in tiny().blank_state(5)} == {5}


def test_look_ahead_is_what_the_config_says() -> None:
    config = NetworkConfig()
    assert config.lookahead_samples == 1320
    assert config.first_step == 3
    # Step first_step + n has heard frames up to 2 (first_step + n) + 1, which is ``look`` beyond frame 2 n.
    assert FRAMES_A_STEP * config.first_step + 1 == config.look


def test_weights_survive_the_disk(tmp_path: Path) -> None:
    network = tiny()
    save_network(network, tmp_path / "weights.pt")
    loaded = load_network(tmp_path / "weights.pt")
    assert loaded.config == TINY
    mel = speechlike(1, 20)
    one, other = network(mel, network.blank_state(1))[0], loaded(mel, loaded.blank_state(1))[0]
    torch.testing.assert_close(one, other, atol=1e-2, rtol=0)


def test_shipped_weights_are_small_and_answer_in_range() -> None:
    assert WEIGHTS.stat().st_size <= 400_000
    mouth = hear(load_network(WEIGHTS), speechlike(1, 101)[0].numpy())
    assert mouth.shape == (51, len(PARAMETERS))
    assert mouth.min() >= 0
    assert mouth.max() <= 1


def test_silence_leaves_the_mouth_at_rest() -> None:
    mouth = hear(load_network(WEIGHTS), np.full((200, MELS), SILENCE, np.float32))
    np.testing.assert_allclose(mouth, np.tile(NEUTRAL, (100, 1)), atol=0.02)


@pytest.mark.parametrize("level", [0.001, 0.01])
def test_room_noise_leaves_the_mouth_shut(level: float) -> None:
    noise = np.random.default_rng(0).standard_normal(32_000) * level
    opening = gap(hear(load_network(WEIGHTS), log_mel(noise.astype(np.float32))))
    assert opening[10:].max() < 0.1  # the sudden start of noise may pass for a burst


def test_what_is_almost_neutral_is_neutral() -> None:
    almost = NEUTRAL + np.float32(0.019)
    np.testing.assert_array_equal(rested(almost), NEUTRAL)
    np.testing.assert_allclose(rested(np.ones(len(PARAMETERS), np.float32)), 1, atol=0.01)


def test_the_rest_state_is_that_of_silence() -> None:
    network = load_network(WEIGHTS)
    silence = torch.full((1, 20, MELS), SILENCE)
    rested, _, _ = network(silence, rest_state(network))
    assert (rested - rested[:, :1]).abs().max() < 0.02


def test_a_sure_bilabial_seals_the_lips() -> None:
    mouth = np.full((2, len(PARAMETERS)), 0.3, np.float32)
    scores = np.zeros((2, len(VISEMES)), np.float32)
    scores[0, VISEMES.index("PP")] = 8
    scores[1, VISEMES.index("FF")] = 8
    sharp = sharpened(mouth, scores)
    assert (sharp[0, PRESS], sharp[1, BITE]) == (1, 1)
    assert (sharp[1, PRESS], sharp[0, BITE]) == (np.float32(0.3), np.float32(0.3))
    assert mouth.max() == np.float32(0.3)
