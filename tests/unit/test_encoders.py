"""A stream's encoders: which there are, where each begins, and what they show."""

from collections import defaultdict

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.encoders import RECORDED, Encoders
from avatar.messages import Codec, Encoding, VideoFormat, ladder
from tests.unit.test_encode import decode_all
from tests.unit.test_scale import photograph, planes, scaled

SHAPE = VideoFormat(640, 360, 25, 3_000_000)
FULL, MIDDLE, SMALL = (Encoding(Codec.H264, rung) for rung in range(3))
SMALL_VP8 = Encoding(Codec.VP8, 2)


class Times:
    """How often each stage was timed."""

    def __init__(self) -> None:
        self.stages: defaultdict[str, int] = defaultdict(int)

    def add(self, stage: str, seconds: float) -> None:
        assert seconds >= 0
        self.stages[stage] += 1


class Line:
    """Encoders, and what came out of them."""

    def __init__(self, *wanted: Encoding) -> None:
        self.encoders = Encoders(SHAPE)
        self.encoders.want(wanted)
        self.times = Times()
        self.frame = 0
        self.keyframes: defaultdict[Encoding, list[int]] = defaultdict(list)
        self.units: defaultdict[Encoding, list[bytes]] = defaultdict(list)
        self.unwanted: set[Encoding] = set()
        self.picture: NDArray[np.uint8] = photograph(SHAPE.width, SHAPE.height)

    def run(self, frames: int, *, recorded_keyframe: bool = False) -> None:
        for _ in range(frames):
            for made in self.encoders.encode(self.picture, self.frame, self.times, recorded_keyframe=recorded_keyframe):
                self.units[made.encoding].append(made.picture.data)
                if made.picture.keyframe:
                    self.keyframes[made.encoding].append(self.frame)
                if not made.wanted:
                    self.unwanted.add(made.encoding)
            self.frame += 1


def test_a_rendition_that_is_added_starts_at_a_keyframe_and_the_others_go_on():
    line = Line(FULL)
    line.run(3)
    line.encoders.want([FULL, SMALL, SMALL_VP8])
    line.run(3)
    line.encoders.want([SMALL])
    line.run(2)
    assert line.keyframes == {FULL: [0], SMALL: [3], SMALL_VP8: [3]}
    assert {encoding: len(units) for encoding, units in line.units.items()} == {FULL: 6, SMALL: 5, SMALL_VP8: 3}
    line.encoders.want([FULL, SMALL])
    line.run(2)
    assert line.keyframes[FULL] == [0, 8]


def test_a_keyframe_is_of_the_rendition_that_it_was_asked_for():
    line = Line(FULL, MIDDLE, SMALL)
    line.run(2)
    line.encoders.force_keyframe(MIDDLE)
    line.run(2)
    line.encoders.begin()
    line.run(1)
    assert line.keyframes == {FULL: [0, 4], MIDDLE: [0, 2, 4], SMALL: [0, 4]}


@pytest.mark.parametrize("encoding", [FULL, MIDDLE, SMALL, SMALL_VP8])
def test_each_rendition_shows_the_whole_picture_in_its_size(encoding: Encoding):
    line = Line(encoding)
    line.run(8)
    rung = ladder(SHAPE)[encoding.rendition]
    frames = decode_all(encoding.codec, line.units[encoding])
    assert len(frames) == 8
    assert {(frame.width, frame.height) for frame in frames} == {(rung.width, rung.height)}
    for got, expected in zip(
        planes(frames[-1].to_ndarray()), planes(scaled(line.picture, rung.width, rung.height)), strict=True
    ):
        assert abs(float(got.mean()) - float(expected.mean())) < 1
        assert np.sqrt(np.mean((got.astype(float) - expected) ** 2)) < 6


def test_a_size_is_scaled_once_for_both_codecs():
    line = Line(FULL, SMALL, SMALL_VP8)
    line.run(5)
    assert line.times.stages == {"encode": 15, "scale": 5}


def test_what_the_ladder_does_not_have_is_not_made():
    low = Encoders(VideoFormat(320, 180, 25, 400_000))
    low.want([FULL, MIDDLE, SMALL])
    picture = photograph(320, 180)
    assert [made.encoding for made in low.encode(picture, 0, Times(), recorded_keyframe=False)] == [FULL]
    low.want([SMALL])
    assert not low


@pytest.mark.parametrize("turn", [0, 30, 50 + 12])
def test_haste_begins_at_a_keyframe_within_two_seconds_and_ends_at_one_that_is_made_anyway(turn: int):
    line = Line(FULL)
    line.encoders = Encoders(SHAPE, turn)
    line.encoders.want([FULL, SMALL])
    line.run(3)
    line.encoders.quick = True
    line.run(60)
    line.encoders.quick = False
    line.run(60)
    hurried = 3 + turn % 50
    assert line.keyframes == {FULL: [0, hurried], SMALL: [0, hurried]}
    line.encoders.force_keyframe(FULL)
    line.run(2)
    assert {encoding: encoder.quick for encoding, encoder in line.encoders._encoders.items()} == {
        FULL: False,
        SMALL: True,
    }
    assert line.keyframes[FULL] == [0, hurried, 123]
    for units in (line.units[FULL], line.units[SMALL]):
        assert len(decode_all(Codec.H264, units)) == 125


def test_haste_that_ends_sooner_than_a_stream_has_its_turn_costs_it_no_keyframe():
    line = Line()
    line.encoders = Encoders(SHAPE, 40)
    line.encoders.want([FULL])
    for quick in (True, False, True, False):
        line.encoders.quick = quick
        line.run(30)
    assert line.keyframes == {FULL: [0]}


def test_a_recording_is_of_the_full_picture_whoever_watches():
    line = Line(SMALL)
    line.run(1)
    line.encoders.record(True)
    line.run(2)
    line.run(1, recorded_keyframe=True)
    line.encoders.want([FULL])
    line.run(1)
    line.encoders.record(False)
    line.run(1)
    assert line.unwanted == {RECORDED} == {FULL}
    assert line.keyframes == {SMALL: [0], FULL: [1, 3, 4]}
    assert len(line.units[FULL]) == 5
