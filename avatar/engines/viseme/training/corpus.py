"""The training set: sentences spoken by many synthetic voices, as log-mel frames, mouths and visemes.

    python -m avatar.engines.viseme.training.corpus /tmp/corpus.npz --espeak 1500 --recorded 150

Held out of it, for ``bench lips``: nine espeak-ng variants, two languages, one flite voice, every tenth sentence.
Voices that derive from recordings of people matter most: espeak-ng alone teaches little of natural consonants.
"""

import argparse
import multiprocessing
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

from avatar.engines.viseme.features import HOP, SAMPLE_RATE, log_mel
from avatar.engines.viseme.phonemes import trajectory, viseme_indices
from avatar.engines.viseme.training import festival, flite, sentences
from avatar.engines.viseme.training.augment import Utterance, clean, varied
from avatar.engines.viseme.training.espeak import ORDINARY, Espeak, Manner

ENGLISH = ("en-us", "en", "en-gb-x-rp", "en-gb-scotland", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029")
HELD_OUT_LANGUAGES = ("nl", "vi")
VARIANTS = (
    *("", "m1", "m2", "m3", "m4", "m6", "m7", "f1", "f2", "f3", "f5", "Andy", "Alex", "Alicia", "Andrea", "Denis"),
    *("Diogo", "Gene", "Gene2", "Henrique", "Hugo", "Jacky", "Lee", "Marco", "Mario", "Mike", "Nguyen", "RicishayMax"),
    *("adam", "anika", "announcer", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed"),
    *("edward", "grandma", "grandpa", "gustave", "iven", "iven2", "john", "kaukovalta", "klatt", "klatt4", "klatt5"),
    *("linda", "marcelo", "max", "michel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro"),
    *("steph", "steph2", "travis", "victor", "zac"),
)
HELD_OUT_VARIANTS = ("f4", "m5", "m8", "Annie", "Michael", "klatt2", "shelby", "miguel", "steph3")
RECORDED = (
    *("flite kal16", "flite awb", "flite slt", "flite rms"),
    *(f"festival {voice}" for voice in festival.VOICES),
)
"""Voices that derive from recordings: program and name."""
HELD_OUT_RECORDED = ("flite rms",)
COPIES = 2
"""How often an utterance is heard, each time with other augmentations."""
LONGEST_S = 14


@dataclass(frozen=True, slots=True)
class Job:
    """One utterance to speak; the seed decides all that is left to chance."""

    source: str
    """``espeak``, or one of ``RECORDED``."""
    seed: int


@dataclass(frozen=True, slots=True)
class Example:
    """What the network is shown of an utterance. Shapes: (T, 80), (T, 7), (T,), 100 Hz."""

    mel: NDArray[np.float16]
    mouth: NDArray[np.float16]
    viseme: NDArray[np.int8]


@cache
def _espeak() -> Espeak:
    return Espeak()


def espeak_utterance(text: str, voice: str, manner: Manner = ORDINARY) -> Utterance:
    """``text`` as espeak-ng speaks it."""
    samples, segments = _espeak().say(text, voice, manner)
    heard = soxr.resample(samples, _espeak().rate, SAMPLE_RATE).astype(np.float32)
    return Utterance(heard, segments, voice)


def recorded_utterance(text: str, source: str, stretch: float = 1.0) -> Utterance:
    """``text`` as a voice of ``RECORDED`` speaks it."""
    program, voice = source.split(" ", 1)
    if program == "flite":
        rate, samples, segments = flite.say(re.sub(r"[^A-Za-z0-9 ',.?]", " ", text), voice, stretch)
    else:
        rate, samples, segments = festival.say(text, voice, stretch)
    if rate != SAMPLE_RATE:
        samples = soxr.resample(samples, rate, SAMPLE_RATE).astype(np.float32)
    return Utterance(samples, segments, source)


def language_of(source: str) -> str:
    """Which of our sentences a voice of ``RECORDED`` reads."""
    program, voice = source.split(" ", 1)
    return festival.VOICES[voice].language if program == "festival" else "en-us"


def example(utterance: Utterance) -> Example:
    """The utterance as the network is taught it."""
    mel = log_mel(utterance.samples)
    times_s = np.arange(len(mel), dtype=np.float64) * (HOP / SAMPLE_RATE)
    mouth, viseme = trajectory(utterance.segments, times_s), viseme_indices(utterance.segments, times_s)
    return Example(mel.astype(np.float16), mouth.astype(np.float16), viseme.astype(np.int8))


def _text(pool: Sequence[str], dice: random.Random) -> str:
    known = sentences.training(list(pool))
    kind = dice.random()
    if kind < 0.4:
        return dice.choice(known)
    if kind < 0.5:
        return f"{dice.choice(known)} {dice.randint(1, 99999)}."
    if kind < 0.65:
        return " ".join(dice.sample(known, 2))
    return sentences.shuffled(known, dice)


def _speak(job: Job) -> Utterance:
    dice = random.Random(job.seed)
    pools = sentences.read_sentences()
    if job.source != "espeak":
        return recorded_utterance(_text(pools[language_of(job.source)], dice), job.source, dice.uniform(0.8, 1.25))
    languages = [language for language in pools if language not in HELD_OUT_LANGUAGES]
    language = "en-us" if dice.random() < 0.3 else dice.choice(languages)
    accent = dice.choice(ENGLISH) if language == "en-us" else language
    variant = dice.choice(VARIANTS)
    manner = Manner(dice.randint(120, 230), dice.randint(20, 85), dice.randint(20, 80))
    return espeak_utterance(_text(pools[language], dice), f"{accent}+{variant}" if variant else accent, manner)


def _examples(job: Job) -> list[Example]:
    utterance = _speak(job)
    if not utterance.segments or not 0.5 < len(utterance.samples) / SAMPLE_RATE < LONGEST_S:
        return []
    dice = random.Random(job.seed + 1)
    return [
        example(varied(utterance, dice) if copy or dice.random() < 0.8 else clean(utterance, dice))
        for copy in range(COPIES)
    ]


def jobs(espeak: int, recorded: int, without: Sequence[str]) -> list[Job]:
    """``espeak`` utterances by espeak-ng, ``recorded`` by each voice of ``RECORDED`` that is not ``without``."""
    spoken = [Job("espeak", 10 * number) for number in range(espeak)]
    for position, voice in enumerate(RECORDED, 1):
        if voice not in without:
            # English has ten times the sentences of any other language.
            count = recorded if language_of(voice) == "en-us" else recorded // 2
            spoken += [Job(voice, 10_000_000 * position + 10 * number) for number in range(count)]
    return spoken


def build(work: Sequence[Job], processes: int) -> Iterator[Example]:
    """The examples of all jobs, in order."""
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for made in pool.imap(_examples, work, chunksize=8):
            yield from made


def save(examples: Sequence[Example], path: Path) -> None:
    """All examples in one file, end to end."""
    ends = np.cumsum([len(example.mel) for example in examples])
    columns = {name: np.concatenate([getattr(example, name) for example in examples]) for name in Example.__slots__}
    np.savez(path, allow_pickle=False, ends=ends, **columns)


def load(path: Path) -> list[Example]:
    """The examples of a file that ``save`` wrote."""
    with np.load(path) as stored:
        mel, mouth, viseme, ends = (stored[name] for name in ("mel", "mouth", "viseme", "ends"))
    edges = [0, *ends.tolist()]
    return [Example(mel[a:b], mouth[a:b], viseme[a:b]) for a, b in pairwise(edges)]


def main() -> None:
    """Build the training set and write it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("path", type=Path)
    options.add_argument("--espeak", type=int, default=1500, help="utterances by espeak-ng")
    options.add_argument(
        "--recorded", type=int, default=150, help="utterances by each voice that derives from recordings"
    )
    options.add_argument("--without", nargs="*", default=HELD_OUT_RECORDED, help="which of those to leave out")
    options.add_argument("--processes", type=int, default=2)
    chosen = options.parse_args()
    examples = list(build(jobs(chosen.espeak, chosen.recorded, chosen.without), chosen.processes))
    save(examples, chosen.path)
    print(f"{len(examples)} examples, {sum(len(one.mel) for one in examples) / 6000:.1f} min")


if __name__ == "__main__":
    main()
