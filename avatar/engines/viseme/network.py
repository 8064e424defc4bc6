"""The network that hears a mouth: log-mel frames to seven mouth parameters and fifteen viseme scores.

A strided convolution halves the rate, three dilated residual convolutions hear the neighbourhood, a GRU remembers, two
linear heads speak. Every layer is causal. What is said lags what is heard by ``look`` frames, and that is all the
look-ahead there is: with ``look`` 7, step j is the mouth at 20 (j - 3) ms and has heard 82.5 ms beyond it.

Shapes: B streams, T mel frames at 100 Hz (even), N = T / 2 steps at 50 Hz, C channels, H hidden units.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from avatar.engines.viseme.features import HOP, MELS, SAMPLE_RATE, SILENCE, WINDOW
from avatar.engines.viseme.parameters import BITE, JAW, NEUTRAL, PARAMETERS, PRESS, WIDE
from avatar.engines.viseme.phonemes import VISEMES

STEP_RATE = 50
"""Units: Hz."""
FRAMES_A_STEP = 2
FORGET = 0.002
"""Of what is remembered, with each step, so that it fades within 10 s. The lessons are sentences of a few seconds: for
minutes after them the GRU alone drifts on, and the mouth of who speaks evenly opens ever later, by 4 ms at last."""

_HOVER = np.full(len(PARAMETERS), 0.05, np.float32)
_HOVER[WIDE] = 0.02
"""How far from neutral still counts as neutral."""
_VIGOUR = np.ones(len(PARAMETERS), np.float32)
_VIGOUR[JAW], _VIGOUR[WIDE] = 1.15, 1.1
"""A regression moves less than what it was taught: over new voices the jaw by 0.83, the width by 0.9."""

State = list[Tensor]
"""What a network remembers of B streams; the first dimension of every tensor is the stream."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """The sizes of a network; stored beside its weights."""

    channels: int = 80
    hidden: int = 112
    dilations: tuple[int, ...] = (1, 2, 4)
    look: int = 7
    """Mel frames heard beyond the moment a step speaks of. Odd: steps then fall on whole multiples of 20 ms."""

    @property
    def first_step(self) -> int:
        """The step that speaks of time 0; step ``first_step + n`` speaks of n / 50 s."""
        return (self.look - 1) // 2

    @property
    def lookahead_samples(self) -> int:
        """A step that speaks of sample t has heard up to sample t + this."""
        return self.look * HOP + WINDOW // 2


class VisemeNetwork(nn.Module):
    """Log-mel (B, T, 80) to mouth parameters (B, N, 7) in [0, 1] and viseme scores (B, N, 15)."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(MELS))
        self.register_buffer("deviation", torch.ones(MELS))
        self.halve = nn.Conv1d(MELS, config.channels, 2 * FRAMES_A_STEP, stride=FRAMES_A_STEP)
        self.hear = nn.ModuleList(nn.Conv1d(config.channels, config.channels, 3, dilation=d) for d in config.dilations)
        self.remember = nn.GRU(config.channels, config.hidden, batch_first=True)
        self.mouth = nn.Linear(config.hidden, len(PARAMETERS))
        self.viseme = nn.Linear(config.hidden, len(VISEMES))

    def blank_state(self, streams: int) -> State:
        """The state before anything was heard."""
        config = self.config
        heard = [torch.zeros(streams, config.channels, 2 * d) for d in config.dilations]
        return [torch.full((streams, FRAMES_A_STEP, MELS), SILENCE), *heard, torch.zeros(streams, config.hidden)]

    def forward(self, mel: Tensor, state: State, steps: Tensor | None = None) -> tuple[Tensor, Tensor, State]:
        """Hear ``mel`` after ``state``; the answer and the state after it.

        Where streams have unlike lengths, ``steps`` (B,) says how many steps of each are real: what is behind them is
        padding, touches no state, and its answers mean nothing.
        """
        if steps is None:
            steps = torch.full((mel.shape[0],), mel.shape[1] // FRAMES_A_STEP)
        x = torch.cat([state[0], mel], 1)  # (B, 2 + T, 80)
        after = [_last(x, FRAMES_A_STEP * steps, FRAMES_A_STEP)]
        x = (x - self.mean) / self.deviation
        x = torch.relu(self.halve(x.transpose(1, 2)))  # (B, C, N)
        for layer, heard in zip(self.hear, state[1:-1], strict=True):
            both = torch.cat([heard, x], 2)  # (B, C, 2 d + N)
            after.append(_last(both.transpose(1, 2), steps, heard.shape[2]).transpose(1, 2))
            x = x + torch.relu(layer(both))
        y = self._remembered(x.transpose(1, 2), state[-1])  # (B, N, H)
        # A GRU's output is its hidden state, so the state after the last real step is that step's output.
        after.append(_last(torch.cat([state[-1][:, None], y], 1), steps, 1)[:, 0])
        return torch.sigmoid(self.mouth(y)), self.viseme(y), after

    def _remembered(self, x: Tensor, hidden: Tensor) -> Tensor:
        """What the GRU (as ``torch.nn.GRU``; Cho et al. 2014, arXiv:1406.1078) says where it forgets with each step.

        Shapes: (B, N, C), (B, H) -> (B, N, H).
        """
        of_heard, of_known, heard_bias, known_bias = self.remember.all_weights[0]
        gates = 2 * self.config.hidden
        after = []
        for step in nn.functional.linear(x, of_heard, heard_bias).unbind(1):  # (B, 3 H)
            known = nn.functional.linear(hidden, of_known, known_bias)
            reset, update = torch.sigmoid(step[:, :gates] + known[:, :gates]).chunk(2, 1)
            new = torch.tanh(step[:, gates:] + reset * known[:, gates:])
            hidden = torch.lerp(new, hidden, update) * (1 - FORGET)
            after.append(hidden)
        return torch.stack(after, 1)


def _last(sequence: Tensor, length: Tensor, count: int) -> Tensor:
    """Rows ``length`` to ``length + count`` of each stream. Shapes: (B, L, D), (B,) -> (B, count, D)."""
    rows = length[:, None] + torch.arange(count)  # (B, count)
    return sequence.gather(1, rows[:, :, None].expand(-1, -1, sequence.shape[2]))


def sharpened(mouth: NDArray[np.float32], scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """``mouth`` with lips that meet where the viseme scores say bilabial or labiodental.

    A regression hedges: it half closes the lips on a doubtful p. The classifier beside it knows better, and half a
    closure looks like none.

    Shapes: (..., 7), (..., 15) -> (..., 7).
    """
    odds = np.exp(scores - scores.max(-1, keepdims=True))
    likely = odds / odds.sum(-1, keepdims=True)
    sharp = mouth.copy()
    for parameter, viseme, doubt, span in ((PRESS, "PP", 0.25, 0.35), (BITE, "FF", 0.30, 0.40)):
        sure = np.clip((likely[..., VISEMES.index(viseme)] - doubt) / span, 0, 1)
        sharp[..., parameter] = np.maximum(sharp[..., parameter], sure)
    return sharp


def rested(mouth: NDArray[np.float32]) -> NDArray[np.float32]:
    """``mouth`` with what is almost neutral made neutral, and the rest as lively as speech.

    A sigmoid never says 0: in silence and room noise the network hovers up to 0.05 around the neutral mouth. Made
    neutral, silence shows exactly the idle picture.

    Shapes: (..., 7) -> (..., 7).
    """
    away = mouth - NEUTRAL
    moved = np.sign(away) * np.maximum(np.abs(away) - _HOVER, 0) / (1 - _HOVER)
    return np.asarray(np.clip(NEUTRAL + _VIGOUR * moved, 0, 1), np.float32)


@torch.inference_mode()
def hear(network: VisemeNetwork, mel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The sharpened mouth at every 20 ms of a whole recording, silence before and after it.

    Shapes: (T, 80) -> (T / 2 rounded up, 7); row n speaks of n / 50 s.
    """
    config = network.config
    steps = (len(mel) + 1) // FRAMES_A_STEP
    missing = FRAMES_A_STEP * (steps + config.first_step) - len(mel)
    padded = np.concatenate([mel, np.full((missing, MELS), SILENCE, np.float32)])
    mouth, scores, _ = network(torch.from_numpy(padded)[None], rest_state(network))
    return rested(sharpened(mouth[0].numpy(), scores[0].numpy()))[config.first_step :]


@torch.inference_mode()
def rest_state(network: VisemeNetwork) -> State:
    """The state of one stream after a second of silence: where every stretch of speech begins."""
    silence = torch.full((1, SAMPLE_RATE // HOP, MELS), SILENCE)
    _, _, state = network(silence, network.blank_state(1))
    return list(state)


def save_network(network: VisemeNetwork, path: Path) -> None:
    """Write sizes and weights, the weights as 16-bit floats."""
    weights = {name: tensor.detach().half() for name, tensor in network.state_dict().items()}
    torch.save({"config": asdict(network.config), "weights": weights}, path)


def load_network(path: Path) -> VisemeNetwork:
    """The network at ``path``, ready to hear.

    Errors: those of ``torch.load``; KeyError and RuntimeError where the file holds something else.
    """
    stored = torch.load(path, map_location="cpu", weights_only=True)
    config = stored["config"]
    network = VisemeNetwork(NetworkConfig(**{**config, "dilations": tuple(config["dilations"])}))
    network.load_state_dict({name: tensor.float() for name, tensor in stored["weights"].items()})
    return network.eval().requires_grad_(False)
