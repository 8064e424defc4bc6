"""A source of samples that is fed while a timeline speaks it."""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ
from avatar.pcm_source import PcmSource, reserve
from avatar.timeline import FADE_SAMPLES, Block, Finished, Held, Mark, Resumed, Started, Timeline
from tests.audio_files import tone

ENOUGH = reserve(AUDIO_HZ // 25)
MS = AUDIO_HZ // 1000
Kind = TypeVar("Kind")


def pcm(seconds: float, hz: float = 700.0, rate: int = AUDIO_HZ, level: float = 0.5) -> NDArray[np.int16]:
    return (tone(seconds, hz, rate, level) * 32_767).astype(np.int16)


def hush(seconds: float) -> NDArray[np.int16]:
    return np.random.default_rng(1).integers(-10, 11, int(seconds * AUDIO_HZ)).astype(np.int16)


@dataclass
class Speaker:
    """A source and a timeline that speaks it, block by block."""

    rate: int = AUDIO_HZ
    channels: int = 1
    max_s: float = 60.0
    patience_s: float = 30.0
    taken: list[int] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.source = PcmSource(
            self.rate, self.channels, max_s=self.max_s, patience_s=self.patience_s, taken=self.taken.append
        )
        self.source.enough = ENOUGH
        self.timeline = Timeline(10.0)
        self.timeline.begin(0)
        self.begun = False

    def put(self, samples: NDArray[np.int16]) -> None:
        self.source.put(samples.astype("<i2").tobytes())

    def begin(self) -> None:
        self.timeline.enqueue("u", self.source)
        self.begun = True

    def play(self, count: int = 1) -> None:
        self.blocks += [self.timeline.next_block() for _ in range(count)]

    def play_out(self) -> Finished:
        if not self.begun:
            self.begin()
        while not self.of(Finished):
            self.play()
        return self.of(Finished)[0]

    @property
    def marks(self) -> list[Mark]:
        return [mark for block in self.blocks for mark in block.marks]

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [mark for mark in self.marks if isinstance(mark, kind)]

    @property
    def sound(self) -> NDArray[np.int16]:
        return np.concatenate([block.play for block in self.blocks])

    def stretches(self) -> list[tuple[int, int]]:
        """From where to where it is spoken, on the timeline."""
        begins = [mark.at for mark in self.marks if isinstance(mark, Started | Resumed)]
        ends = [mark.at for mark in self.marks if isinstance(mark, Held | Finished)]
        if len(ends) > len(begins):  # it was over when it was held
            ends = ends[:-1]
        return list(zip(begins, ends, strict=True))

    def spoken(self) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """What was spoken, without the pauses; and where it is as it was put: not faded."""
        sounds, exact = [np.zeros(0, np.int16)], [np.zeros(0, np.bool_)]
        for begin, end in self.stretches():
            kept = np.ones(end - begin, np.bool_)
            kept[:FADE_SAMPLES] = kept[-FADE_SAMPLES:] = False
            sounds.append(self.sound[begin:end])
            exact.append(kept)
        return np.concatenate(sounds), np.concatenate(exact)
