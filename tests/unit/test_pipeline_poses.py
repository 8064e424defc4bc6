"""A stretch in which a figure changes its pose, with an engine whose figure tells its tilt in the first rows."""

import av
import numpy as np
import pytest

from avatar.engines.engine import Work
from avatar.idle_loop import encode_phase
from avatar.messages import (
    NEUTRAL_POSE,
    Codec,
    EncodeIdle,
    Encoding,
    FromWorker,
    OpenStream,
    SetPose,
    Unit,
    VideoFormat,
    WentIdle,
)
from avatar.pipeline import Pipeline
from avatar.poses import EASE_S, pose_motion
from avatar.scheduler import Turn
from tests.fake_engine import PICTURES, SIZE, TILT, TILT_ROWS, FakeLibrary, LoudnessEngine, make_avatar
from tests.played_stream import NoMeter, into

FPS = 25
EASE = round(EASE_S * FPS)
SHAPE = VideoFormat(*SIZE, FPS, 500_000)
COMPOSE = FakeLibrary.__new__(FakeLibrary).compose


class Stage:
    """A pipeline that is given frames, and the tilt in what it encoded."""

    def __init__(self) -> None:
        self.engine = LoudnessEngine()
        self.pipeline = Pipeline(OpenStream("a", "poser", SHAPE), make_avatar("poser"), self.engine, 10.0)
        self.pipeline.set_encodings([Encoding(Codec.H264)])
        self.said: list[FromWorker] = []
        self.frame = 0

    def play(self, frames: int) -> None:
        while frames > 0 and self.pipeline.live:
            self.pipeline.advance(self.frame + 1, self.frame)
            prepared = self.pipeline.prepare(Turn("a", self.frame, 1, 0), into(self.said))
            (drawings,) = self.engine.step([Work(self.pipeline.slot, prepared.jobs)])
            self.pipeline.finish(prepared, drawings, COMPOSE, into(self.said), NoMeter())
            self.frame += len(prepared.jobs)
            frames -= 1

    @property
    def idle(self) -> list[WentIdle]:
        return [each for each in self.said if isinstance(each, WentIdle)]

    def tilts(self) -> np.ndarray:
        """Of each picture. Units: degrees."""
        units = [each.data for each in self.said if isinstance(each, Unit) and each.codec is Codec.H264]
        return tilts_in(units)


def tilts_in(units: list[bytes]) -> np.ndarray:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))] + decoder.decode(None)
    return np.array([(frame.to_ndarray()[2 : TILT_ROWS - 2].mean() - 128) / TILT for frame in frames])


def tilt(pose: str, frame: int) -> float:
    return pose_motion(pose, frame % PICTURES, PICTURES).roll


def test_a_stretch_takes_the_figure_over_and_ends_when_it_is_there():
    stage = Stage()
    stage.pipeline.set_pose(SetPose("a", "listening", rests=True))
    stage.pipeline.go_live(0)
    stage.play(100)
    (idle,) = stage.idle
    assert idle.pose == "listening" and EASE <= idle.frame <= EASE + 5
    seen = stage.tilts()
    assert abs(seen[0]) < 0.1 and seen[-1] == pytest.approx(tilt("listening", idle.frame - 1), abs=0.15)
    assert np.abs(np.diff(seen)).max() < 0.3, "degrees a picture"


def test_it_goes_on_until_there_is_an_idle_loop():
    stage = Stage()
    stage.pipeline.set_pose(SetPose("a", "listening", rests=False))
    stage.pipeline.go_live(0)
    stage.play(3 * EASE)
    assert stage.idle == []
    stage.pipeline.set_pose(SetPose("a", "listening", rests=True))
    stage.play(10)
    assert [each.pose for each in stage.idle] == ["listening"]


def test_a_stretch_begins_in_the_pose_that_idle_pictures_show():
    stage = Stage()
    stage.pipeline.go_live(0, "listening")
    stage.play(100)
    assert [each.pose for each in stage.idle] == [NEUTRAL_POSE] and EASE <= stage.idle[0].frame <= EASE + 5
    seen = stage.tilts()
    assert seen[0] == pytest.approx(tilt("listening", 0), abs=0.15) and abs(seen[-1]) < 0.1


def test_live_and_idle_pictures_of_a_pose_are_the_same():
    avatar, engine = make_avatar("poser"), LoudnessEngine()
    slot = engine.open(avatar, FPS)
    neutral = [engine.neutral(slot, picture) for picture in range(PICTURES)]
    request = EncodeIdle("poser", SHAPE, Codec.H264, pose="listening")
    loop = encode_phase(avatar, neutral, request, 0, COMPOSE, engine.mover(avatar))
    assert loop.pose == "listening"
    assert tilts_in(loop.units) == pytest.approx([tilt("listening", k) for k in range(PICTURES)], abs=0.15)


def test_a_figure_that_cannot_move_is_told_so():
    stage = Stage()
    still = Pipeline(OpenStream("b", "grey", SHAPE), make_avatar("grey"), stage.engine, 10.0)
    with pytest.raises(ValueError, match="no pose 'nodding'"):
        still.set_pose(SetPose("b", "nodding", rests=True))
    still.set_pose(SetPose("b", NEUTRAL_POSE, rests=True))
