"""The sentences that the network is trained and judged on: our own, in ``sentences.txt``.

Lines of ``language<TAB>sentence``. Every tenth sentence of a language is held out: never spoken in training.
"""

import random
from pathlib import Path

_FILE = Path(__file__).with_name("sentences.txt")
_EVERY = 10


def read_sentences() -> dict[str, list[str]]:
    """All sentences, by espeak-ng's name of the language."""
    sentences: dict[str, list[str]] = {}
    for line in _FILE.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            language, sentence = line.split("\t")
            sentences.setdefault(language, []).append(sentence)
    return sentences


def training(sentences: list[str]) -> list[str]:
    """Those to learn from."""
    return [sentence for number, sentence in enumerate(sentences) if number % _EVERY != _EVERY // 2]


def held_out(sentences: list[str]) -> list[str]:
    """Those to be judged by."""
    return [sentence for number, sentence in enumerate(sentences) if number % _EVERY == _EVERY // 2]


def shuffled(sentences: list[str], dice: random.Random) -> str:
    """A new "sentence" of known words in an order never heard: three hundred texts alone are learnt by heart."""
    words = [word for sentence in dice.sample(sentences, min(6, len(sentences))) for word in sentence.split()]
    return " ".join(dice.sample(words, min(dice.randint(6, 14), len(words))))
