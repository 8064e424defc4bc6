"""Teach the network: log-mel frames in, mouths and visemes out.

    python -m avatar.engines.viseme.training.train /tmp/corpus.npz assets/viseme/weights.pt --steps 4000

Loss: squared error of the mouth (the rare parameters weigh more where they act), squared error of its velocity, and
cross-entropy of the viseme. Step j of the network speaks of frame 2 j + 1 - look.
"""

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from avatar.engines.viseme.features import MELS
from avatar.engines.viseme.network import FRAMES_A_STEP, NetworkConfig, VisemeNetwork, load_network, save_network
from avatar.engines.viseme.parameters import BITE, PARAMETERS, PRESS, ROUND
from avatar.engines.viseme.phonemes import VISEMES
from avatar.engines.viseme.training import corpus
from avatar.engines.viseme.training.corpus import Example

CUT = 320
"""Frames of a training cut: 3.2 s."""
WARM_UP = 5
"""Steps of a cut that are not judged: the network has not heard enough yet."""
WEIGHTS = torch.tensor([2.0, 1.0, 1.5, 3.0, 1.5, 1.0, 0.7])
"""How much an error of each mouth parameter matters."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Shapes: (B, CUT, 80), (B, CUT, 7), (B, CUT)."""

    mel: Tensor
    mouth: Tensor
    viseme: Tensor


def draw(examples: Sequence[Example], odds: NDArray[np.float64], size: int, dice: np.random.Generator) -> Batch:
    """Random cuts, their spectra varied once more."""
    mels, mouths, visemes = [], [], []
    for index in dice.choice(len(examples), size, p=odds):
        chosen = examples[index]
        start = dice.integers(0, max(1, len(chosen.mel) - CUT))
        rows = np.minimum(np.arange(start, start + CUT), len(chosen.mel) - 1)  # a short example ends in its silence
        mels.append(_recoloured(chosen.mel[rows].astype(np.float32), dice))
        mouths.append(chosen.mouth[rows].astype(np.float32))
        visemes.append(chosen.viseme[rows].astype(np.int64))
    return Batch(*(torch.from_numpy(np.stack(rows)) for rows in (mels, mouths, visemes)))


def _recoloured(mel: NDArray[np.float32], dice: np.random.Generator) -> NDArray[np.float32]:
    """Another level, equaliser and length of the vocal tract; sometimes a band or a moment masked."""
    knots = dice.uniform(-0.8, 0.8, 6)
    colour = dice.uniform(-1.5, 1.5) + np.interp(np.arange(MELS), np.linspace(0, MELS - 1, 6), knots)
    mel = np.asarray(mel + colour, np.float32)
    if dice.random() < 0.7:
        warp = np.arange(MELS) * dice.uniform(0.93, 1.07) + dice.uniform(-1.5, 1.5)
        low = np.clip(warp.astype(int), 0, MELS - 2)
        part = np.clip(warp - low, 0, 1)
        mel = np.asarray(mel[:, low] * (1 - part) + mel[:, low + 1] * part, np.float32)
    if dice.random() < 0.4:
        band = dice.integers(0, MELS - 8)
        mel[:, band : band + dice.integers(1, 9)] = mel.min()
    return mel


def loss_of(network: VisemeNetwork, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """What to lower, and of it the mouth's error and the viseme's."""
    said, scores, _ = network(batch.mel, network.blank_state(len(batch.mel)))
    first = network.config.first_step + WARM_UP
    about = torch.arange(first, said.shape[1]) * FRAMES_A_STEP + 1 - network.config.look  # frame of each step
    said, scores = said[:, first:], scores[:, first:]
    truth, viseme = batch.mouth[:, about], batch.viseme[:, about]
    act = torch.ones_like(truth)
    for parameter, weight in ((ROUND, 1.5), (PRESS, 4.0), (BITE, 3.0)):
        act[..., parameter] += weight * truth[..., parameter]
    mouth = ((said - truth) ** 2 * act * WEIGHTS).mean()
    velocity = ((said.diff(dim=1) - truth.diff(dim=1)) ** 2 * WEIGHTS).mean()
    rare = torch.ones(len(VISEMES))
    rare[[VISEMES.index("PP"), VISEMES.index("FF")]] = 2.0
    named = functional.cross_entropy(scores.flatten(0, 1), viseme.flatten(), weight=rare, label_smoothing=0.05)
    return 10 * mouth + 5 * velocity + 0.3 * named, mouth, named


@dataclass(frozen=True, slots=True)
class Course:
    """How long and how fast to learn."""

    steps: int
    minutes: float = 60.0
    """The pace slackens towards the end of the steps or of the minutes, whichever is nearer."""
    rate: float = 4e-3
    size: int = 32
    """Cuts in a batch."""

    def pace(self, step: int, spent_s: float) -> float:
        """What part of ``rate`` to learn at: up within the first tenth, then down along a cosine; 0 at the end."""
        part = max(step / self.steps, spent_s / (60 * self.minutes))
        if part >= 1:
            return 0.0
        return part / 0.1 + 0.01 if part < 0.09 else 0.5 + 0.5 * float(np.cos(np.pi * (part - 0.09) / 0.91))


def fresh(examples: Sequence[Example], config: NetworkConfig) -> VisemeNetwork:
    """A network that has learnt nothing but how loud speech is in each band."""
    torch.manual_seed(0)
    network = VisemeNetwork(config)
    heard = np.concatenate([example.mel[::7] for example in examples]).astype(np.float32)
    network.mean.copy_(torch.from_numpy(heard.mean(0)))
    network.deviation.copy_(torch.from_numpy(heard.std(0) + 0.5))
    return network


def train(network: VisemeNetwork, examples: Sequence[Example], course: Course) -> None:
    """Teach the network; the same every time where the minutes suffice for the steps."""
    dice = np.random.default_rng(0)
    network.train().requires_grad_(True)
    lengths = np.array([len(example.mel) for example in examples], np.float64)
    odds = lengths / lengths.sum()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    began_s = time.monotonic()
    step = 0
    while pace := course.pace(step, time.monotonic() - began_s):
        for group in optimizer.param_groups:
            group["lr"] = course.rate * pace
        loss, mouth, named = loss_of(network, draw(examples, odds, course.size, dice))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks the types
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            spent_s = time.monotonic() - began_s
            print(f"{step} {spent_s:.0f} s: mouth {mouth.item():.4f}, viseme {named.item():.3f}", flush=True)
        step += 1
    network.eval()


def main() -> None:
    """Train and write the weights."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", type=Path)
    options.add_argument("weights", type=Path)
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--minutes", type=float, default=60.0, help="the most it may take")
    options.add_argument("--rate", type=float, default=4e-3, help="learning rate at its height")
    options.add_argument("--start", type=Path, help="weights to go on from")
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    examples = corpus.load(chosen.corpus)
    network = load_network(chosen.start) if chosen.start else fresh(examples, NetworkConfig())
    train(network, examples, Course(chosen.steps, chosen.minutes, chosen.rate))
    save_network(network, chosen.weights)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{parameters} parameters, {chosen.weights.stat().st_size} bytes, {len(PARAMETERS)} of the mouth")


if __name__ == "__main__":
    main()
