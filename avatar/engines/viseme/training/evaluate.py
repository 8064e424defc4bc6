"""How well the network does on what it has never heard; prints the table of docs/lip-sync.md.

    python -m avatar.engines.viseme.training.evaluate assets/viseme/weights.pt

Judged at 50 Hz against the trajectories of the true phonemes. A closure (p b m) counts where the least gap within the
segment and 20 ms around it is under ``CLOSED``; a closure is false where that holds in the middle of an open vowel. The
rival takes loudness for the gap, and gets the threshold that serves it best with at most 1 % false closures (or as many
as the network has).
"""

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from avatar.engines.viseme.features import HOP, SAMPLE_RATE, WINDOW, log_mel
from avatar.engines.viseme.network import STEP_RATE, VisemeNetwork, hear, load_network
from avatar.engines.viseme.parameters import JAW, ROUND, WIDE, gap
from avatar.engines.viseme.phonemes import Segment, trajectory
from avatar.engines.viseme.training import corpus, sentences
from avatar.engines.viseme.training.augment import Utterance, clean, roughened
from avatar.engines.viseme.training.espeak import Manner

CLOSED = 0.1
MARGIN_S = 0.02
Curve = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Case:
    """An utterance with what is true of it and what was made of it, at 50 Hz."""

    segments: list[Segment]
    truth: Curve
    """Shapes: (N, 7)."""
    said: Curve
    """Shapes: (N, 7)."""
    loudness: Curve
    """Shapes: (N,); 0 to 1 over the upper 30 dB."""


def times_of(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The times of the 50 Hz grid within a recording."""
    return np.arange(len(samples) * STEP_RATE // SAMPLE_RATE) / STEP_RATE


def case_of(network: VisemeNetwork, utterance: Utterance) -> Case:
    """Let the network hear an utterance."""
    times_s = times_of(utterance.samples)
    said = hear(network, log_mel(utterance.samples))[: len(times_s)]
    truth = trajectory(utterance.segments, times_s)
    return Case(utterance.segments, truth, said, _loudness(utterance.samples)[: len(times_s)])


def _loudness(samples: NDArray[np.float32]) -> Curve:
    padded = np.pad(samples, WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    level_db = 10 * np.log10((windows**2).mean(1) + 1e-9)
    loud = np.clip((level_db - np.percentile(level_db, 95) + 30) / 30, 0, 1)
    return np.convolve(loud, np.ones(5) / 5, "same")[::2].astype(np.float32)


def closures(segments: Sequence[Segment], curve: Curve, rate: float = STEP_RATE) -> tuple[list[float], list[float]]:
    """The least gap in every p b m, and in the middle of every open vowel."""
    lips: list[float] = []
    vowels: list[float] = []
    for segment in segments:
        length_s = segment.end_s - segment.start_s
        if segment.viseme == "PP":
            lips += _least(curve, (segment.start_s - MARGIN_S) * rate, (segment.end_s + MARGIN_S) * rate)
        elif segment.viseme in ("aa", "E", "oh") and length_s > 0.05:
            middle = (segment.start_s + 0.35 * length_s, segment.start_s + 0.65 * length_s)
            vowels += _least(curve, np.floor(middle[0] * rate), middle[1] * rate)
    return lips, vowels


def _least(curve: Curve, start: float, end: float) -> list[float]:
    rows = curve[max(0, int(np.ceil(start))) : int(end) + 1]
    return [float(rows.min())] if len(rows) else []


def share_under(values: Sequence[float], threshold: float) -> float:
    """The part of ``values`` that is under ``threshold``."""
    return float(np.mean(np.array(values) < threshold)) if values else 0.0


def lag_ms(said: Curve, truth: Curve) -> int:
    """By how much ``said`` is late: where the correlation peaks."""
    shifts = range(-6, 7)
    best = max(shifts, key=lambda shift: correlation(np.roll(said, -shift)[6:-6], truth[6:-6]))
    return best * 1000 // STEP_RATE


def correlation(one: Curve, other: Curve) -> float:
    """Pearson's r."""
    return float(np.corrcoef(one, other)[0, 1])


def row(name: str, cases: Sequence[Case]) -> str:
    """A line of the table."""
    said, truth = np.concatenate([c.said for c in cases]), np.concatenate([c.truth for c in cases])
    loudness = np.concatenate([c.loudness for c in cases])
    lips, vowels = _gather(cases, lambda case: gap(case.said))
    false = share_under(vowels, CLOSED)
    loud_lips, loud_vowels = _gather(cases, lambda case: case.loudness)
    thresholds = [t for t in np.linspace(0, 1, 101) if share_under(loud_vowels, t) <= max(false, 0.01)]
    rival = max(share_under(loud_lips, t) for t in thresholds)
    numbers = [correlation(gap(said), gap(truth))]
    numbers += [correlation(said[:, p], truth[:, p]) for p in (JAW, WIDE, ROUND)]
    cells = [f"{number:.2f}" for number in numbers]
    cells += [f"{share_under(lips, CLOSED):.1%} of {len(lips)}", f"{false:.1%}", f"{lag_ms(gap(said), gap(truth))} ms"]
    cells += [f"{correlation(loudness, gap(truth)):.2f}", f"{rival:.1%}"]
    return " | ".join(["", name, *cells, ""]).strip()


def _gather(cases: Sequence[Case], curve: Callable[[Case], Curve]) -> tuple[list[float], list[float]]:
    pairs = [closures(case.segments, curve(case)) for case in cases]
    return [v for lips, _ in pairs for v in lips], [v for _, vowels in pairs for v in vowels]


def espeak_set(languages: Sequence[str], variants: Sequence[str], count: int) -> Iterator[Utterance]:
    """Held-out sentences by espeak-ng."""
    pools = sentences.read_sentences()
    for number in range(count):
        dice = random.Random(1000 + number)
        language = dice.choice(languages)
        # A language that is never trained on is held out whole.
        pool = pools[language] if language in corpus.HELD_OUT_LANGUAGES else sentences.held_out(pools[language])
        manner = Manner(dice.randint(130, 200), dice.randint(30, 70), dice.randint(30, 70))
        voice = f"{language}+{dice.choice(variants)}"
        yield clean(corpus.espeak_utterance(dice.choice(pool), voice, manner), dice)


def recorded_set(voice: str) -> Iterator[Utterance]:
    """Every held-out sentence by a voice that derives from recordings."""
    for number, text in enumerate(sentences.held_out(sentences.read_sentences()[corpus.language_of(voice)])):
        yield clean(corpus.recorded_utterance(text, voice), random.Random(2000 + number))


def noisy(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The same in rooms, on telephones, in noise."""
    return [roughened(utterance, random.Random(3000 + number)) for number, utterance in enumerate(utterances)]


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("weights", type=Path)
    options.add_argument("--voice", default=corpus.HELD_OUT_RECORDED[0], help="the recorded voice that was held out")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    network = load_network(chosen.weights)
    known = [language for language in sentences.read_sentences() if language not in corpus.HELD_OUT_LANGUAGES]
    english = ["en-us"] * len(known)
    strange = list(espeak_set(known + english, corpus.HELD_OUT_VARIANTS, 60))
    human = list(recorded_set(chosen.voice))
    sets = {
        "known voices, new sentences": list(espeak_set(known + english, corpus.VARIANTS[1:], 50)),
        "**new voices**": strange,
        "new voices, noise, room, telephone": noisy(strange),
        "new languages (nl, vi), new voices": list(espeak_set(corpus.HELD_OUT_LANGUAGES, corpus.HELD_OUT_VARIANTS, 40)),
        f"**new human-derived voice ({chosen.voice})**": human,
        f"{chosen.voice}, noise, room, telephone": noisy(human),
    }
    print("| heard | r gap | r jaw | r wide | r round | closed on p b m | false | lag | loudness: r gap | closed |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, utterances in sets.items():
        print(row(name, [case_of(network, utterance) for utterance in utterances]), flush=True)


if __name__ == "__main__":
    main()
