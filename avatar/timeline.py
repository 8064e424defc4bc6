"""What one stream says, and when: utterances laid out on the stream's clock in blocks of 20 ms. No clock, no thread.

A live stretch starts at a video frame that falls on an audio packet. From there on the timeline yields block after
block: the samples to play (one Opus packet), the samples to analyse, and the marks that hold for them. Blocks are asked
for ahead of the frames they belong to, by as much as the engine looks ahead. Utterances start on a block, so the two
sample rates and the packets stay aligned.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.decode import RATIO, Samples
from avatar.engines.engine import REWIND_S
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.splice import HISTORY, Filler

GAP_BLOCKS: Final = 10
"""Silence between two utterances: 200 ms, a speaker's breath between sentences."""
FADE_SAMPLES: Final = 240
"""5 ms: as short as a fade can be without a click."""


class Source(Protocol):
    """An utterance's samples as they become available (``SpeechBuffer``, ``LiveSource``, ``PcmSource``)."""

    @property
    def ended(self) -> bool:
        """Whether what is available is all there is to come."""
        ...

    @property
    def error(self) -> str | None:
        """Why it ended too early, or None."""
        ...

    @property
    def patience_s(self) -> float | None:
        """How long it may be dry until it is given up; None: as long as a file's decoding."""
        ...

    @property
    def lead(self) -> int:
        """So much later than its block it begins, and goes on after a pause: what it needs to be ahead. Less than one.

        A multiple of 3.
        """
        ...

    def available(self, held_blocks: int = 0) -> int:
        """Samples that are to be played now; less than a block that are not its end: it pauses after them.

        ``held_blocks``: so long it has been pausing.
        """
        ...

    def reached(self, samples: int) -> list[tuple[str, int]]:
        """The marks in its first ``samples``, each told once: names, and places in samples."""
        ...

    def take(self, count: int) -> Samples:
        """The next ``count``, or all there are."""
        ...

    def abandon(self) -> None:
        """Nobody will take the rest."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """The utterance's first sample is played at ``at`` (48 kHz samples on the stream's clock)."""

    utterance: str
    at: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The utterance's last sample is played before ``at``."""

    utterance: str
    at: int
    samples: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Marked:
    """A place that who makes the utterance has marked is played at ``at``, after so many samples of it."""

    utterance: str
    name: str
    at: int
    samples: int


@dataclass(frozen=True, slots=True)
class Held:
    """The utterance pauses from ``at`` on, after so many samples of it: no more was there."""

    utterance: str
    at: int
    samples: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """The utterance goes on at ``at``, after so many samples of it."""

    utterance: str
    at: int
    samples: int


Mark = Started | Finished | Marked | Held | Resumed


Stays = Callable[[str], bool]
"""Whether an utterance goes on when there is an interruption."""


@dataclass(frozen=True, slots=True)
class Voice:
    """An utterance that is being spoken, or pauses, in a block."""

    utterance: str
    before: int
    """How many samples of it are played before the block."""
    samples: int
    """How many are in the block."""
    offset: int = 0
    """So many samples after the block's beginning."""


@dataclass(frozen=True, slots=True)
class Block:
    """20 ms of the stretch.

    Shapes: play (960,) int16, analyse (320,) float32.
    """

    at: int
    """Units: 48 kHz samples on the stream's clock."""
    play: NDArray[np.int16]
    analyse: NDArray[np.float32]
    marks: tuple[Mark, ...]
    voice: Voice | None = None


@dataclass(slots=True)
class _Spoken:
    """The utterance that is being spoken."""

    name: str
    source: Source
    samples: int = 0
    held_blocks: int = 0
    """So long it has been dry."""
    recent: NDArray[np.int16] = field(default_factory=lambda: np.zeros(0, np.int16))
    """What was played of it last."""


class Timeline:
    """The utterances of one stream, in order."""

    def __init__(self, stall_s: float) -> None:
        self._stall_blocks = int(stall_s * AUDIO_HZ / OPUS_SAMPLES)
        self._queue: deque[tuple[str, Source]] = deque()
        self._spoken: _Spoken | None = None
        self._next_start = 0
        self.at = 0
        """Where the next block stands. Units here: 48 kHz samples on the stream's clock."""
        self.voiced_until = 0
        """Where the last sample ends that was spoken so far."""
        self._silent = range(0)
        """There nobody speaks, whoever waits: an interruption."""

    def enqueue(self, utterance: str, source: Source) -> None:
        """Speak ``utterance`` after all that is queued."""
        self._queue.append((utterance, source))

    def drop(self, stays: Stays) -> list[str]:
        """Drop those that have not started and do not stay; their names."""
        dropped = [entry for entry in self._queue if not stays(entry[0])]
        for _, source in dropped:
            source.abandon()
        self._queue = deque(entry for entry in self._queue if stays(entry[0]))
        return [name for name, _ in dropped]

    def cut(self, silent: range, kept_until: int, stays: Stays) -> None:
        """Nobody speaks in ``silent``, after which the next may start; blocks are made anew from ``kept_until`` on.

        Whoever speaks in the blocks that are kept after ``silent`` goes on.
        """
        if self._spoken is not None and not stays(self._spoken.name):
            self._spoken.source.abandon()
            self._spoken = None
        if kept_until <= silent.stop:
            self._next_start = silent.stop
            self.voiced_until = min(self.voiced_until, silent.start)
        joined = silent.start in self._silent or silent.start == self._silent.stop
        self._silent = range(self._silent.start if joined else silent.start, silent.stop)
        self.at = kept_until

    def clear(self) -> list[str]:
        """Drop all utterances; their names."""
        spoken = [] if self._spoken is None else [(self._spoken.name, self._spoken.source)]
        dropped = [*spoken, *self._queue]
        for _, source in dropped:
            source.abandon()
        self._spoken = None
        self._queue.clear()
        return [name for name, _ in dropped]

    def begin(self, at: int) -> None:
        """Start a stretch at sample ``at``: the next block stands there."""
        self.at = self._next_start = self.voiced_until = at
        self._silent = range(at, at)

    def speaking(self, at: int) -> bool:
        """Whether there is something to be said at or after sample ``at``, as far as the blocks made so far tell."""
        held = self._spoken is not None and self._spoken.held_blocks > 0
        return at not in self._silent and (at < self.voiced_until or (self.busy and not held))

    @property
    def busy(self) -> bool:
        """Whether an utterance is being spoken or waits."""
        return self._spoken is not None or bool(self._queue)

    def waits(self, utterance: str) -> bool:
        """Whether others are to be spoken before it."""
        waiting = [name for name, _ in self._queue]
        return utterance in waiting and (self._spoken is not None or waiting[0] != utterance)

    @property
    def begins(self) -> int | None:
        """Where the utterance that is next may begin; None where one is being spoken, or none waits."""
        return max(self.at, self._next_start) if self._queue and self._spoken is None else None

    def next_block(self) -> Block:
        """The next 20 ms."""
        at = self.at
        self.at += OPUS_SAMPLES
        started = self._start(at)
        play, analyse = np.zeros(OPUS_SAMPLES, np.int16), np.zeros(OPUS_SAMPLES // RATIO, np.float32)
        marks: list[Mark] = [] if started is None else [started]
        spoken, voice = self._spoken, None
        if spoken is not None:
            before, offset = spoken.samples, spoken.source.lead if spoken.held_blocks or not spoken.samples else 0
            marks += self._speak(spoken, at + offset, play[offset:], analyse[offset // RATIO :])
            voice = Voice(spoken.name, before, spoken.samples - before, offset)
        return Block(at, play, analyse, tuple(marks), voice)

    def _start(self, at: int) -> Started | None:
        if self._spoken is not None or not self._queue or at < self._next_start:
            return None
        name, source = self._queue.popleft()
        self._spoken = _Spoken(name, source)
        return Started(name, at + source.lead)

    def _speak(self, spoken: _Spoken, at: int, play: NDArray[np.int16], analyse: NDArray[np.float32]) -> Iterator[Mark]:
        """Fill a block from the utterance, or from as much of it as there is; the marks that fall into it."""
        source, before = spoken.source, spoken.samples
        ended = source.ended  # read first: what is available after it is all there is
        available = source.available(spoken.held_blocks)
        count, last = min(available, len(play)), ended and available <= len(play)
        dry = count < len(play) and not last
        if dry:
            count -= count % RATIO  # what is played and what is analysed stay together
        if count and spoken.held_blocks:
            yield Resumed(spoken.name, at, before)
        if count:
            self._fill(spoken, at, play[:count], analyse, fade_out=last or (dry and count >= FADE_SAMPLES))
        if dry and count < FADE_SAMPLES and not spoken.held_blocks:
            play[count : count + FADE_SAMPLES] = _ebb(spoken.recent)
        for name, place in source.reached(spoken.samples):
            place = min(place, spoken.samples)
            yield Marked(spoken.name, name, at + max(0, place - before), place)
        if last:
            yield self._finish(at + count, spoken, source.error)
        elif dry:
            yield from self._hold(spoken, at + count, anew=count > 0 or not spoken.held_blocks)
        else:
            spoken.held_blocks = 0

    def _fill(
        self, spoken: _Spoken, at: int, play: NDArray[np.int16], analyse: NDArray[np.float32], *, fade_out: bool
    ) -> None:
        taken = spoken.source.take(len(play))
        voice = taken.play.copy()
        if spoken.samples == 0 or spoken.held_blocks:
            _fade_in(voice)
        if fade_out:
            _fade_out(voice)
        play[:] = voice
        heard = taken.analyse[: len(analyse)]
        analyse[: len(heard)] = heard
        spoken.samples += len(voice)
        spoken.recent = np.concatenate([spoken.recent, voice])[-HISTORY:]
        self.voiced_until = at + len(voice)

    def _hold(self, spoken: _Spoken, at: int, *, anew: bool) -> Iterator[Mark]:
        """The utterance pauses, or goes on pausing, at most for so long."""
        spoken.held_blocks = 1 if anew else spoken.held_blocks + 1
        if anew:
            yield Held(spoken.name, at, spoken.samples)
        own_s = spoken.source.patience_s
        if spoken.held_blocks > (self._stall_blocks if own_s is None else int(own_s * AUDIO_HZ / OPUS_SAMPLES)):
            spoken.source.abandon()
            error = "decoding the file stalled" if own_s is None else f"no samples came for {own_s:.0f} s"
            yield self._finish(at, spoken, error)

    def _finish(self, at: int, spoken: _Spoken, error: str | None) -> Finished:
        self._spoken = None
        end_block = -(-at // OPUS_SAMPLES) * OPUS_SAMPLES
        self._next_start = end_block + GAP_BLOCKS * OPUS_SAMPLES
        return Finished(spoken.name, at, spoken.samples, error)


def _ebb(recent: NDArray[np.int16]) -> NDArray[np.int16]:
    """What sounds after the last sample before a pause that was not foreseen: its echo, gone within a fade."""
    filler = Filler()
    filler.heard(recent)
    return filler.make(FADE_SAMPLES, hush=True)


def _fade_in(voice: NDArray[np.int16]) -> None:
    count = min(FADE_SAMPLES, len(voice))
    voice[:count] = voice[:count] * np.linspace(0.0, 1.0, count, endpoint=False)


def _fade_out(voice: NDArray[np.int16]) -> None:
    count = min(FADE_SAMPLES, len(voice))
    voice[len(voice) - count :] = voice[len(voice) - count :] * np.linspace(1.0, 0.0, count, endpoint=False)


class Ease:
    """How much of the heard mouth is shown, frame by frame: eased in at the start of speech, shut at its end."""

    RISE_S: Final = 0.08
    FALL_S: Final = 0.16

    def __init__(self, fps: int) -> None:
        # whole frames, so that the last of them is exactly 0 or 1
        self._rise, self._fall = max(2, round(self.RISE_S * fps)), max(2, math.ceil(self.FALL_S * fps))
        self._level = 0.0
        self._past: deque[float] = deque(maxlen=REWIND_S * fps)
        """The levels before each of the latest frames."""

    def step(self, *, speaking: bool) -> float:
        """The strength of the next frame."""
        self._past.append(self._level)
        change = 1 / self._rise if speaking else -1 / self._fall
        self._level = min(1.0, max(0.0, self._level + change))
        if self._level < 1e-9:
            self._level = 0.0
        return self._level * self._level * (3 - 2 * self._level)

    def rewind(self, frames: int) -> None:
        """Go back by so many frames, at most ``REWIND_S``."""
        for _ in range(frames):
            self._level = self._past.pop()

    @property
    def shut(self) -> bool:
        """Whether the latest frame showed the neutral mouth exactly."""
        return self._level == 0.0
