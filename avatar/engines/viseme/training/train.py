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
from avatar.engines.viseme.network import FRAMES_A_STEP, NetworkConfig, VisemeNetwork, save_network
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


def train(examples: Sequence[Example], config: NetworkConfig, steps: int, size: int = 32) -> VisemeNetwork:
    """A network taught for ``steps`` batches of ``size`` cuts; the same every time."""
    torch.manual_seed(0)
    dice = np.random.default_rng(0)
    network = VisemeNetwork(config)
    heard = np.concatenate([example.mel[::7] for example in examples]).astype(np.float32)
    network.mean.copy_(torch.from_numpy(heard.mean(0)))
    network.deviation.copy_(torch.from_numpy(heard.std(0) + 0.5))
    lengths = np.array([len(example.mel) for example in examples], np.float64)
    odds = lengths / lengths.sum()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps, pct_start=0.1)
    began_s = time.monotonic()
    for step in range(steps):
        loss, mouth, named = loss_of(network, draw(examples, odds, size, dice))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own stub lacks the types
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            spent_s = time.monotonic() - began_s
            print(f"{step}/{steps} {spent_s:.0f} s: mouth {mouth.item():.4f}, viseme {named.item():.3f}", flush=True)
    return network.eval()


def main() -> None:
    """Train and write the weights."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("corpus", type=Path)
    options.add_argument("weights", type=Path)
    options.add_argument("--steps", type=int, default=4000)
    options.add_argument("--threads", type=int, default=2)
    chosen = options.parse_args()
    torch.set_num_threads(chosen.threads)
    network = train(corpus.load(chosen.corpus), NetworkConfig(), chosen.steps)
    save_network(network, chosen.weights)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    print(f"{parameters} parameters, {chosen.weights.stat().st_size} bytes, {len(PARAMETERS)} of the mouth")


if __name__ == "__main__":
    main()
