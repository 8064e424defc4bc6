"""When an utterance that is still being made is accepted, refused or forgotten; and that one in a real pipeline."""

from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from avatar.messages import (
    AUDIO_HZ,
    ClosePcm,
    FromWorker,
    OpenPcm,
    OpenStream,
    PcmChunk,
    PcmMark,
    PcmTaken,
    SpeechAccepted,
    SpeechRefusal,
    SpeechRefused,
    VideoFormat,
    WorkerConfig,
)
from avatar.pcm_intake import PcmIntake
from avatar.pcm_source import reserve
from avatar.pipeline import Pipeline
from avatar.timeline import Block, Finished, Started
from tests.fake_engine import SIZE, LoudnessEngine, make_avatar

Message = TypeVar("Message")
MS = 16 * 2
"""Bytes of a millisecond at 16 kHz, mono."""
HEAD_START_MS, RESERVE_MS = 80, 80
"""Of the engine that draws loudness, and at 25 frames a second."""


@dataclass
class Desk:
    """An intake, one stream, and what was said."""

    said: list[FromWorker] = field(default_factory=list)
    config: WorkerConfig = field(default_factory=lambda: WorkerConfig("", "", ""))

    def __post_init__(self) -> None:
        opened = OpenStream("a", "grey", VideoFormat(*SIZE, 25, 500_000))
        self.stream: Pipeline | None = Pipeline(opened, make_avatar("grey"), LoudnessEngine(), 10.0)
        self.intake = PcmIntake(self.config, self.said.append)

    def tell(self, message: OpenPcm | PcmChunk | PcmMark | ClosePcm, *, opening: bool = False) -> None:
        self.intake.take(message, self.stream, opening=opening)

    def open(self, name: str = "u", *, start_ms: int = 120, epoch: int = 0, rate: int = 16_000) -> None:
        self.tell(OpenPcm("a", name, epoch, rate, 1, start_ms))

    def put(self, ms: int, name: str = "u") -> None:
        self.tell(PcmChunk("a", name, bytes(ms * MS)))

    def close(self, name: str = "u") -> None:
        self.tell(ClosePcm("a", name))

    def of(self, kind: type[Message]) -> list[Message]:
        return [each for each in self.said if isinstance(each, kind)]

    def accepted(self) -> list[str]:
        return [each.utterance for each in self.of(SpeechAccepted)]

    def refused(self) -> list[tuple[str, SpeechRefusal]]:
        return [(each.utterance, each.reason) for each in self.of(SpeechRefused)]

    def play(self, ms: int) -> list[Block]:
        assert self.stream is not None
        return [self.stream.timeline.next_block() for _ in range(ms // 20)]


def test_what_is_needed_to_begin_is_what_the_engine_takes_at_once_and_the_reserve():
    desk = Desk()
    assert desk.stream is not None
    assert (desk.stream.head_start, reserve(AUDIO_HZ // 25)) == (HEAD_START_MS * 48, RESERVE_MS * 48)


@pytest.mark.parametrize(("start_ms", "enough_ms"), [(0, 160), (120, 160), (121, 161), (400, 440)])
def test_it_is_accepted_when_enough_is_there_to_begin_with(start_ms: int, enough_ms: int):
    desk = Desk()
    desk.open(start_ms=start_ms)
    desk.put(enough_ms - 1)
    assert not desk.said
    desk.put(1)
    assert desk.said == [SpeechAccepted("a", "u", None)]
    desk.put(500)
    assert desk.accepted() == ["u"]


@pytest.mark.parametrize(("start_ms", "enough_ms"), [(120, 80), (400, 360)])
def test_a_stretch_that_is_on_takes_nothing_at_once(start_ms: int, enough_ms: int):
    desk = Desk()
    assert desk.stream is not None
    desk.stream.go_live(0)
    desk.open(start_ms=start_ms)
    desk.put(enough_ms - 1)
    assert not desk.said
    desk.put(1)
    assert desk.accepted() == ["u"]


def test_less_is_enough_where_it_is_all():
    desk = Desk()
    desk.open(start_ms=2000)
    desk.put(50)
    desk.close()
    assert desk.said == [SpeechAccepted("a", "u", 0.05)]
    desk.play(100)
    assert desk.of(PcmTaken)[-1] == PcmTaken("a", "u", 50 * MS)


def test_one_without_a_sample_is_refused():
    desk = Desk()
    desk.open()
    desk.tell(PcmMark("a", "u", "here"))
    desk.close()
    desk.put(500)
    assert desk.refused() == [("u", SpeechRefusal.EMPTY)] and len(desk.said) == 1


def test_one_for_nobody_is_refused_and_forgotten():
    desk = Desk()
    stream, desk.stream = desk.stream, None
    desk.open()
    desk.put(500)
    desk.stream = stream
    desk.put(500)
    desk.close()
    assert desk.refused() == [("u", SpeechRefusal.UNKNOWN_STREAM)] and len(desk.said) == 1


@pytest.mark.parametrize("rate", [0, -1, 7999, 96_001])
def test_rates_that_cannot_be_played_are_refused(rate: int):
    desk = Desk()
    desk.open(rate=rate)
    desk.put(500)
    assert desk.refused() == [("u", SpeechRefusal.NOT_AUDIO)] and len(desk.said) == 1


def test_what_nobody_opened_is_ignored():
    desk = Desk()
    desk.put(500, "stranger")
    desk.tell(PcmMark("a", "stranger", "here"))
    desk.close("stranger")
    assert not desk.said


def test_what_comes_while_its_stream_is_being_opened_is_kept():
    desk = Desk()
    stream, desk.stream = desk.stream, None
    assert stream is not None
    desk.tell(OpenPcm("a", "u", 0, 16_000, 1, 120), opening=True)
    desk.tell(OpenPcm("a", "empty", 0, 16_000, 1, 120), opening=True)
    for name in ("u", "empty"):
        desk.tell(PcmChunk("a", name, bytes(500 * MS if name == "u" else 0)), opening=True)
        desk.tell(ClosePcm("a", name), opening=True)
    assert not desk.said
    desk.intake.opened(stream)
    assert desk.accepted() == ["u"] and desk.refused() == [("empty", SpeechRefusal.EMPTY)]
    desk.intake.opened(stream)
    assert len(desk.said) == 2


def test_those_that_arrive_can_be_dropped_by_name_and_by_age():
    desk = Desk()
    for name, epoch in (("old", 1), ("older", 0), ("named", 2), ("new", 2)):
        desk.open(name, epoch=epoch)
        desk.put(100, name)
    assert desk.intake.drop("a", "named") == ["named"]
    assert desk.intake.drop_older("b", 9) == []
    assert desk.intake.drop_older("a", 2) == ["old", "older"]
    assert desk.intake.drop_older("a", 2) == []
    for name in ("old", "older", "named", "new"):
        desk.put(400, name)
        desk.close(name)
    assert desk.accepted() == ["new"] and not desk.refused()
    desk.open("old", epoch=2)
    desk.put(500, "old")
    assert desk.accepted() == ["new", "old"], "the name is free again"


def test_what_was_accepted_is_the_timelines_to_drop():
    desk = Desk()
    assert desk.stream is not None
    desk.open()
    desk.put(500)
    assert desk.intake.drop("a") == [] and desk.intake.drop_older("a", 9) == []
    desk.put(500)
    desk.stream.abandon("u")
    desk.put(500)
    desk.close()
    assert desk.play(100) and not desk.of(PcmTaken)
    desk.open()
    desk.put(500)
    assert desk.accepted() == ["u", "u"], "the name is free again"


def test_one_that_is_opened_twice_is_one():
    desk = Desk()
    desk.open()
    desk.put(100)
    desk.open()
    desk.put(60)
    assert desk.accepted() == ["u"]


def test_utterances_are_spoken_in_the_order_in_which_they_could_begin():
    desk = Desk()
    for name in ("slow", "fast"):
        desk.open(name)
    desk.put(200, "fast")
    desk.put(200, "slow")
    for name in ("slow", "fast"):
        desk.close(name)
    marks = [mark for block in desk.play(1000) for mark in block.marks]
    assert [(type(mark), mark.utterance) for mark in marks] == [
        (kind, name) for name in ("fast", "slow") for kind in (Started, Finished)
    ]


def test_limits_are_the_workers():
    desk = Desk(config=WorkerConfig("", "", "", max_speech_s=1.0, pcm_gap_s=2.0))
    for name in ("long", "late"):
        desk.open(name)
    desk.put(1100, "long")
    desk.put(200, "late")
    ends = [mark for block in desk.play(5000) for mark in block.marks if isinstance(mark, Finished)]
    assert [(mark.utterance, mark.error) for mark in ends] == [
        ("long", "the speech is longer than 1 s"),
        ("late", "no samples came for 2 s"),
    ]
    assert ends[0].samples == AUDIO_HZ
