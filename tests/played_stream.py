"""A pipeline with the server's part played around it: a clock of frames, grants, fences and what is heard in the end.

Packets hold their samples as they are: Opus would blur where an utterance ends.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.engines.engine import Work
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    Codec,
    Encoding,
    FromWorker,
    Interrupt,
    Interrupted,
    OpenStream,
    RecordSpeech,
    SpeechFinished,
    SpeechStarted,
    Unit,
    VideoFormat,
    WentIdle,
    WorkerConfig,
    start_grid,
)
from avatar.outbox import Send, Unmade
from avatar.pipeline import Pipeline
from avatar.scheduler import plan
from avatar.speech_buffer import SpeechBuffer
from avatar.timeline import Source, Stays
from tests.fake_engine import SIZE, FakeLibrary, LoudnessEngine, make_avatar
from whep_server.live.playout import Playout

FOREVER = 1 << 40
Message = TypeVar("Message")
Mark = SpeechStarted | SpeechFinished


class PlainEncoder:
    """An encoder whose packets are the samples."""

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        return samples.tobytes()


@contextmanager
def plain_packets() -> Iterator[None]:
    """Sound is not encoded, and none of it comes too late to be made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("avatar.soundtrack.OpusEncoder", PlainEncoder)
        patch.setattr("avatar.soundtrack.PATIENCE_PACKETS", FOREVER)
        yield


class NoMeter:
    """Nobody adds up."""

    def add(self, stage: str, seconds: float) -> None:
        """Nothing."""


def made_for(hear: Callable[[FromWorker], None]) -> Send:
    """Has what is sent heard, made as it comes."""

    def send(message: FromWorker | Unmade) -> None:
        made = message() if callable(message) else message
        if made is not None:
            hear(made)

    return send


def into(said: list[FromWorker]) -> Send:
    """Keeps what is sent, made as it comes."""
    return made_for(said.append)


@dataclass
class PlayedStream:
    """One stream from its first stretch on; ``start`` is on the start grid. Each utterance is one level of sound."""

    fps: int = 25
    start: int = 30
    lead: int = 4
    drawn_fps: int = 0
    said: list[FromWorker] = field(default_factory=list)
    strength: dict[int, float] = field(default_factory=dict)
    """How far the mouth is open in each frame, as it was made last."""
    levels: dict[str, int] = field(default_factory=dict)
    cuts: list[tuple[int, Interrupted]] = field(default_factory=list)
    """Interruptions: at which frame, and the answer."""
    valid: list[Mark] = field(default_factory=list)
    """What was told and holds."""

    def __post_init__(self) -> None:
        self.engine, self.playout = LoudnessEngine(), Playout()
        self._hear = made_for(self._heard)
        opened = OpenStream("a", "grey", VideoFormat(*SIZE, self.fps, 500_000), self.drawn_fps)
        self.pipeline = Pipeline(opened, make_avatar("grey"), self.engine, 10.0)
        self.pipeline.set_encodings([Encoding(Codec.H264)])
        assert self.start % start_grid(self.fps) == 0
        self.clock, self.epoch = self.start - self.lead, 0
        self.cut_at = self.start * AUDIO_HZ // self.fps
        self.frame_samples = AUDIO_HZ // self.fps
        self.go_live(self.start)

    # --- the server

    def go_live(self, frame: int) -> None:
        self.pipeline.go_live(frame)
        self.pipeline.advance(self.clock + self.lead + 1, self.clock)
        self.pipeline.sound_ahead(self._hear)

    def say(self, samples: int, name: str = "", *, chunk_frames: int = 0) -> str:
        """An utterance that is decoded whole."""
        name = name or f"u{len(self.levels)}"
        level = self.levels[name] = 2000 + 500 * len(self.levels)
        buffer = SpeechBuffer(samples / AUDIO_HZ + 1)
        buffer.put(np.full(samples, level, np.int16), np.full(-(-samples // 3), level / 32_768, np.float32))
        buffer.finish()
        if chunk_frames:
            self.pipeline.record(RecordSpeech("a", name, chunk_frames), samples)
        self.queue(name, buffer)
        return name

    def queue(self, name: str, source: Source) -> None:
        self.pipeline.enqueue(name, source)

    def tick(self, frames: int = 1, *, far: int = 0, works: bool = True) -> None:
        """Time passes; the worker is granted what is usual, or ``far`` frames ahead, and makes it or is busy."""
        for _ in range(frames):
            self.clock += 1
            if self.pipeline.live:
                self.pipeline.advance(self.clock + max(self.lead + 1, far), max(0, self.clock))
                self.pipeline.sound_ahead(self._hear)
            if works:
                self.work()

    def play_out(self) -> int:
        """Until the stretch ends; where it does."""
        for _ in range(2000):
            if not self.pipeline.live:
                return self.of(WentIdle)[-1].frame
            self.tick()
        raise AssertionError("the stretch does not end")

    def due(self, blocks: int = 2) -> int:
        """The block that is due so many blocks from now."""
        return max(0, -(-self.clock * self.frame_samples // OPUS_SAMPLES) + blocks) * OPUS_SAMPLES

    def interrupt(self, at: int, utterance: str = "", stays: Stays | None = None, *, works: bool = True) -> Interrupted:
        """Fence and order as the server does; the worker obeys."""
        self.epoch += 1
        self.cut_at = at = max(at, self.cut_at)
        frame = -(-at // self.frame_samples)
        self.playout.fence(self.epoch, frame * 90_000 // self.fps, at)
        order = Interrupt("a", self.epoch, at, utterance)
        before = len(self.said)
        stays = stays or ((lambda name: name != utterance) if utterance else (lambda _: False))
        answer = self.pipeline.interrupt(order, stays, self._hear)
        assert not any(isinstance(each, Unit) for each in self.said[before:]), "the answer comes first"
        self.valid = [mark for mark in self.valid if not _void(mark, at)]
        self._hear(answer)
        self.cuts.append((frame, answer))
        self.pipeline.catch_up(self._hear)
        if works:
            self.work()
        return answer

    # --- the worker

    def work(self) -> None:
        """Make all that is granted."""
        while self.pipeline.live and (turns := plan([self.pipeline.demand()], 8)):
            (turn,) = turns
            prepared = self.pipeline.prepare(turn, self._hear)
            for index, job in enumerate(prepared.jobs):
                if job.draw:
                    self.strength[turn.first + index] = job.strength
            (drawings,) = self.engine.step([Work(self.pipeline.slot, prepared.jobs)])
            compose = FakeLibrary(WorkerConfig("", "", "")).compose
            self.pipeline.finish(prepared, drawings, compose, self._hear, NoMeter())

    def _heard(self, message: FromWorker) -> None:
        self.said.append(message)
        if isinstance(message, Unit):
            self.playout.push(message)
        elif isinstance(message, Mark):
            self.valid.append(message)

    # --- what came of it

    def of(self, kind: type[Message]) -> list[Message]:
        return [each for each in self.said if isinstance(each, kind)]

    def heard(self) -> tuple[list[int], NDArray[np.int16]]:
        """Packets that get through the fences: their times, and their sound."""
        units = self.playout.pop_due(Codec.OPUS, FOREVER)
        sound = [np.frombuffer(unit.data, np.int16) for unit in units]
        return [unit.media_time for unit in units], np.concatenate(sound) if sound else np.zeros(0, np.int16)

    def seen(self) -> list[Unit]:
        """Pictures that get through the fences."""
        return self.playout.pop_due(Codec.H264, FOREVER)


def _void(mark: Mark, at: int) -> bool:
    return mark.media_time > at or (isinstance(mark, SpeechStarted) and mark.media_time == at)
