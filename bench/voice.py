"""Speech that ships with the server, in the blocks that a stream takes it in."""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.decode import RATIO, DecodeLimits, decode
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from bench.speech_clips import wav_file

LIMITS: Final = DecodeLimits(max_s=60, stall_s=10)
SENTENCE: Final = Path("speech") / "news.ogg"
"""Within the assets: the longest."""
BLOCKS_S: Final = AUDIO_HZ / OPUS_SAMPLES


class _Collected:
    """A sink that keeps everything."""

    def __init__(self) -> None:
        self.play: list[NDArray[np.int16]] = []
        self.analyse: list[NDArray[np.float32]] = []

    def known(self, seconds: float | None) -> None:
        """Nothing depends on it here."""

    def put(self, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> None:
        """Keep both."""
        self.play.append(play)
        self.analyse.append(analyse)


class Voice:
    """A sentence said again and again, in blocks of 20 ms."""

    def __init__(self, assets: Path) -> None:
        collected = _Collected()
        with (assets / SENTENCE).open("rb") as file:
            decode(file, LIMITS, collected)
        play, analyse = np.concatenate(collected.play), np.concatenate(collected.analyse)
        self._blocks = min(len(play) // OPUS_SAMPLES, len(analyse) * RATIO // OPUS_SAMPLES)
        self._play, self._analyse = play, analyse

    def play(self, block: int) -> NDArray[np.int16]:
        """Samples to be encoded. Shapes: (960,)."""
        first = block % self._blocks * OPUS_SAMPLES
        return self._play[first : first + OPUS_SAMPLES]

    def analyse(self, block: int) -> NDArray[np.float32]:
        """Samples to be heard by the engine. Shapes: (320,)."""
        length = OPUS_SAMPLES // RATIO
        first = block % self._blocks * length
        return self._analyse[first : first + length]


def long_file(assets: Path, seconds: float, from_s: float = 0.0) -> bytes:
    """The sentence said again and again for so long, from any place of it on: a WAV file at 16 kHz."""
    voice = Voice(assets)
    first, count = int(from_s * BLOCKS_S), int(seconds * BLOCKS_S)
    samples = np.concatenate([voice.analyse(block) for block in range(first, first + count)])
    return wav_file(samples, AUDIO_HZ // RATIO)


def seconds_of(path: Path) -> float:
    """How long a file's sound is. Errors: avatar.decode.NotSpeech."""
    collected = _Collected()
    with path.open("rb") as file:
        decode(file, LIMITS, collected)
    return sum(map(len, collected.play)) / AUDIO_HZ
