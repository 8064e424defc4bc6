"""How well the network does on what it has never heard: what ``whep-avatar bench lips`` shows.

Judged at 50 Hz against the trajectories of the true phonemes. A closure (p b m) counts where the least gap within the
segment and 20 ms around it is under ``CLOSED``; a closure is false where that holds in the middle of an open vowel. The
rival takes loudness for the gap, and gets the threshold that serves it best with at most 1 % false closures (or as many
as the network has).
"""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.features import HOP, SAMPLE_RATE, WINDOW, log_mel
from avatar.engines.viseme.network import STEP_RATE, VisemeNetwork, hear
from avatar.engines.viseme.parameters import JAW, ROUND, WIDE, gap
from avatar.engines.viseme.phonemes import Segment, trajectory
from avatar.engines.viseme.training import corpus, flite, sentences
from avatar.engines.viseme.training.augment import Utterance, clean, roughened
from avatar.engines.viseme.training.espeak import Manner

CLOSED: Final = 0.1
MARGIN_S: Final = 0.02
FEW_FALSE: Final = 0.01
"""So many false closures the rival may always make."""
KNOWN: Final = "known voices, new sentences"
NEW_VOICES: Final = "new voices"
NEW_LANGUAGES: Final = f"new languages ({', '.join(corpus.HELD_OUT_LANGUAGES)}), new voices"
HUMAN: Final = f"new human-derived voice ({corpus.HELD_OUT_RECORDED[0]})"
ROUGH: Final = ", noise, room, telephone"
COUNTS: Final = {KNOWN: 50, NEW_VOICES: 60, NEW_LANGUAGES: 40}
"""Utterances by espeak-ng; of the human-derived voice there is one for each held-out sentence."""
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


@dataclass(frozen=True, slots=True)
class Verdict:
    """How well the network did on some utterances, and how well loudness would have done."""

    r_gap: float
    """Correlation with the truth; of the gap between the lips, and of three parameters."""
    r_jaw: float
    r_wide: float
    r_round: float
    closures: int
    """How many p b m there are."""
    closed: float
    """The part of them in which the lips meet."""
    vowels: int
    """How many open vowels."""
    false: float
    """The part of them in which the lips meet."""
    lag_ms: int
    loudness_r: float
    loudness_closed: float
    loudness_false: float


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


def verdict(cases: Sequence[Case]) -> Verdict:
    """Judge some utterances, one at least."""
    said, truth = np.concatenate([c.said for c in cases]), np.concatenate([c.truth for c in cases])
    loudness = np.concatenate([c.loudness for c in cases])
    lips, vowels = _gather(cases, lambda case: gap(case.said))
    false = share_under(vowels, CLOSED)
    loud_lips, loud_vowels = _gather(cases, lambda case: case.loudness)
    thresholds = [t for t in np.linspace(0, 1, 101) if share_under(loud_vowels, t) <= max(false, FEW_FALSE)]
    best = max(thresholds, key=lambda t: share_under(loud_lips, t))
    return Verdict(
        r_gap=correlation(gap(said), gap(truth)),
        r_jaw=correlation(said[:, JAW], truth[:, JAW]),
        r_wide=correlation(said[:, WIDE], truth[:, WIDE]),
        r_round=correlation(said[:, ROUND], truth[:, ROUND]),
        closures=len(lips),
        closed=share_under(lips, CLOSED),
        vowels=len(vowels),
        false=false,
        lag_ms=lag_ms(gap(said), gap(truth)),
        loudness_r=correlation(loudness, gap(truth)),
        loudness_closed=share_under(loud_lips, best),
        loudness_false=share_under(loud_vowels, best),
    )


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


def held_out_sets(most: int) -> Iterator[tuple[str, list[Utterance]]]:
    """What to judge by, set by set: its name and at most so many utterances.

    The sets of the human-derived voice are there where flite has it. Errors: those of the synthesisers.
    """
    languages = [language for language in sentences.read_sentences() if language not in corpus.HELD_OUT_LANGUAGES]
    spoken = languages + ["en-us"] * len(languages)  # every other one is English
    yield KNOWN, list(espeak_set(spoken, corpus.VARIANTS[1:], min(most, COUNTS[KNOWN])))
    strange = list(espeak_set(spoken, corpus.HELD_OUT_VARIANTS, min(most, COUNTS[NEW_VOICES])))
    yield NEW_VOICES, strange
    yield NEW_VOICES + ROUGH, noisy(strange)
    foreign = espeak_set(corpus.HELD_OUT_LANGUAGES, corpus.HELD_OUT_VARIANTS, min(most, COUNTS[NEW_LANGUAGES]))
    yield NEW_LANGUAGES, list(foreign)
    if corpus.HELD_OUT_RECORDED[0].split()[1] in flite.voices():
        human = list(itertools.islice(recorded_set(corpus.HELD_OUT_RECORDED[0]), most))
        yield HUMAN, human
        yield HUMAN + ROUGH, noisy(human)
