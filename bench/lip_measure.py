"""How well the lips of the ``viseme`` engine fit voices and sentences that it never heard, beside loudness for a mouth.

Nothing is played: the network hears what synthesisers say, whose phonemes' times are known
(``avatar.engines.viseme.training.evaluate``).
"""

import pickle
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from avatar.engines.viseme.network import load_network
from avatar.engines.viseme.training.evaluate import Verdict, case_of, held_out_sets, verdict
from bench.machine import Machine, this_machine
from bench.processes import BenchFailed


@dataclass(frozen=True, slots=True)
class Judged:
    """One set of utterances."""

    heard: str
    utterances: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class LipFigures:
    """All that was measured. The sets of the human-derived voice are missing where there is no such voice."""

    machine: Machine
    sets: list[Judged]


def measure_lips(weights: Path, sentences: int, say: Callable[[str], None]) -> LipFigures:
    """Judge by at most so many sentences of each set. Errors: BenchFailed."""
    machine = this_machine()
    try:
        network = load_network(weights)
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, AttributeError, pickle.UnpicklingError) as error:
        reason = f"{error}".partition("\n")[0]
        raise BenchFailed(f"{weights} holds no weights of this network: {reason}") from None
    judged = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other at every step of so small a network
    try:
        for heard, utterances in held_out_sets(sentences):
            say(heard)
            judged.append(Judged(heard, len(utterances), verdict([case_of(network, each) for each in utterances])))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        raise BenchFailed(f"a synthesiser does not speak: {error}") from None
    finally:
        torch.set_num_threads(threads)
    return LipFigures(machine, judged)
