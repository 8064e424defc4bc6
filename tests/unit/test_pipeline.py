"""One stream from granted frames to messages, with an engine that draws loudness: what is recorded, sent and drawn."""

from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import pytest

from avatar.engines.engine import Work
from avatar.messages import (
    PATIENCE_PACKETS,
    Codec,
    Encoding,
    FromWorker,
    OpenStream,
    RecordSpeech,
    SpeechChunk,
    SpeechFinished,
    SpeechStarted,
    Unit,
    VideoFormat,
    WentIdle,
    WorkerConfig,
)
from avatar.pipeline import Pipeline
from avatar.scheduler import Turn, plan
from avatar.speech_buffer import SpeechBuffer
from tests.audio_files import tone
from tests.fake_engine import SIZE, FakeLibrary, LoudnessEngine, make_avatar
from tests.movie_files import tracks
from tests.played_stream import NoMeter, into

VIDEO, AUDIO = 1, 2
Message = TypeVar("Message")


@dataclass
class Stage:
    """A pipeline, what it said, and which frames were drawn how far open."""

    fps: int = 25
    drawn_fps: int = 0
    start: int = 0
    codecs: tuple[Codec, ...] = (Codec.H264,)
    said: list[FromWorker] = field(default_factory=list)
    drawn: dict[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = LoudnessEngine()
        opened = OpenStream("a", "grey", VideoFormat(*SIZE, self.fps, 500_000), self.drawn_fps)
        self.pipeline = Pipeline(opened, make_avatar("grey"), self.engine, 10.0)
        self.pipeline.set_encodings([Encoding(codec) for codec in self.codecs])
        self.frame = self.start

    def say(self, seconds: float, name: str = "u", *, chunk_frames: int = 0, error: str | None = None) -> int:
        """An utterance that is decoded whole, recorded where chunks have a length; how many samples it has."""
        samples = (tone(seconds, 997) * 32767).astype(np.int16)
        buffer = SpeechBuffer(seconds + 1)
        buffer.put(samples, tone(seconds, 997, rate=16_000))
        buffer.finish(error)
        if chunk_frames:
            self.pipeline.record(RecordSpeech("a", name, chunk_frames), buffer.available())
        self.pipeline.enqueue(name, buffer)
        return len(samples)

    def play(self, frames: int, *, late: int = 0, lost: int = 0) -> None:
        """Make so many frames; the first ``late`` are past their time, and drawing failed for the first ``lost``."""
        self.pipeline.advance(self.frame + frames, self.frame + late)
        prepared = self.pipeline.prepare(Turn("a", self.frame, frames, late), into(self.said))
        for index, job in enumerate(prepared.jobs):
            if job.draw:
                self.drawn[self.frame + index] = job.strength
        (drawings,) = self.engine.step([Work(self.pipeline.slot, prepared.jobs)])
        drawings[:lost] = [None] * lost
        self.pipeline.finish(
            prepared, drawings, FakeLibrary(WorkerConfig("", "", "")).compose, into(self.said), NoMeter()
        )
        self.frame += len(prepared.jobs)

    def play_out(self) -> int:
        """Make all frames; where the stretch ends."""
        while self.pipeline.live:
            self.play(4)
        (idle,) = self.of(WentIdle)
        return idle.frame

    def of(self, kind: type[Message]) -> list[Message]:
        return [each for each in self.said if isinstance(each, kind)]

    def units(self, codec: Codec = Codec.H264) -> list[Unit]:
        return [unit for unit in self.of(Unit) if unit.codec is codec]


@pytest.mark.parametrize("fps", [10, 25, 30])
@pytest.mark.parametrize("seconds", [0.5, 1.23, 1.3])
def test_a_recording_has_every_picture_and_sample(fps: int, seconds: float):
    stage = Stage(fps, start=30)
    samples = stage.say(seconds, chunk_frames=7)
    stage.pipeline.go_live(30)
    stage.play_out()
    chunks = stage.of(SpeechChunk)
    assert sum(chunk.frames for chunk in chunks) == samples * fps // 48_000
    assert sum(sum(tracks(chunk.data)[AUDIO].durations) for chunk in chunks) == samples
    assert all(tracks(chunk.data)[VIDEO].sync[0] for chunk in chunks)
    order = [type(each) for each in stage.said if isinstance(each, SpeechStarted | SpeechChunk | SpeechFinished)]
    assert order == [SpeechStarted, *[SpeechChunk] * len(chunks), SpeechFinished]
    assert not [unit for unit in stage.units() if unit.keyframe][len(chunks) + 1 :], "one a chunk, one at the start"


def test_sound_that_is_granted_waits_for_no_picture_but_the_first():
    stage = Stage()
    stage.say(2.0)
    stage.pipeline.go_live(0)
    stage.pipeline.advance(10, 0)
    stage.pipeline.sound_ahead(into(stage.said))
    assert not stage.said
    stage.play(1)
    assert len(stage.units(Codec.OPUS)) == 2
    stage.pipeline.sound_ahead(into(stage.said))
    assert [unit.media_time for unit in stage.units(Codec.OPUS)] == list(range(0, 10 * 1920, 960))
    frame, lost = stage.pipeline.fail()
    assert lost == ["u"] and frame >= 10, "nothing is idle while something was sent that is heard"


def test_sound_waits_after_its_end_and_where_it_is_recorded():
    for spoken_s, chunk_frames, packets in ((0.1, 0, 5), (2.0, 5, 2)):
        stage = Stage()
        stage.say(spoken_s, chunk_frames=chunk_frames)
        stage.pipeline.go_live(0)
        stage.play(1)
        stage.pipeline.advance(10, 0)
        stage.pipeline.sound_ahead(into(stage.said))
        assert len(stage.units(Codec.OPUS)) == packets


def test_two_recordings_and_what_is_between_them_do_not_mix():
    stage = Stage()
    lengths = [
        stage.say(0.6, "one", chunk_frames=10),
        stage.say(0.4, "unrecorded"),
        stage.say(0.9, "two", chunk_frames=9),
    ]
    stage.pipeline.go_live(0)
    stage.play_out()
    heard = dict.fromkeys(("one", "two"), 0)
    for chunk in stage.of(SpeechChunk):
        heard[chunk.utterance] += sum(tracks(chunk.data)[AUDIO].durations)
    assert heard == {"one": lengths[0], "two": lengths[2]}
    assert [each.utterance for each in stage.of(SpeechFinished)] == ["one", "unrecorded", "two"]


def test_what_is_shorter_than_a_picture_finishes_without_a_chunk():
    stage = Stage()
    stage.say(0.02, chunk_frames=50)
    stage.pipeline.go_live(0)
    stage.play_out()
    assert not stage.of(SpeechChunk)
    assert [each.error for each in stage.of(SpeechFinished)] == [None]


def test_the_reason_why_a_file_broke_off_comes_after_its_chunks():
    stage = Stage()
    stage.say(0.5, chunk_frames=5, error="the file is damaged")
    stage.pipeline.go_live(0)
    stage.play_out()
    assert len(stage.of(SpeechChunk)) == 3
    assert [each.error for each in stage.of(SpeechFinished)] == ["the file is damaged"]


def test_pictures_that_come_too_late_are_left_out_and_a_recording_shows_the_last_one_for_longer():
    stage = Stage()
    samples = stage.say(2.0, chunk_frames=10)
    stage.pipeline.go_live(0)
    stage.play(8)
    stage.pipeline.advance(60, 23)
    (turn,) = plan([stage.pipeline.demand()], 8)
    assert turn == Turn("a", 8, 16 + 1, 16), "what is due now would be late"
    stage.play(turn.count, late=turn.late)
    too_late = 24 * 2 - PATIENCE_PACKETS
    heard = [packet for packet in range(50) if not 8 * 2 <= packet < too_late]
    assert [unit.media_time for unit in stage.units(Codec.OPUS)] == [960 * packet for packet in heard]
    stage.play_out()
    assert [frame for frame in stage.drawn if frame < 27] == [*range(8), *range(24, 27)]
    chunks = stage.of(SpeechChunk)
    shown = [[round(ticks / 3600) for ticks in tracks(chunk.data)[VIDEO].durations] for chunk in chunks]
    assert shown[:3] == [[1] * 7 + [3], [10], [4] + [1] * 6], "each chunk begins with a picture, however late"
    assert [chunk.frames for chunk in chunks] == [10] * 5
    assert sum(sum(tracks(chunk.data)[AUDIO].durations) for chunk in chunks) == samples
    assert all(tracks(chunk.data)[VIDEO].sync[0] for chunk in chunks)


def test_a_recording_that_is_late_from_the_start_has_a_picture_all_the_same():
    stage = Stage()
    stage.say(0.6, chunk_frames=50)
    stage.pipeline.go_live(0)
    stage.play(9, late=8)
    assert list(stage.drawn) == [0, 8]
    stage.play_out()
    (chunk,) = stage.of(SpeechChunk)
    assert [round(ticks / 3600) for ticks in tracks(chunk.data)[VIDEO].durations] == [8] + [1] * 7


def test_the_sound_of_a_turn_goes_before_its_pictures():
    stage = Stage()
    stage.say(2.0)
    stage.pipeline.go_live(0)
    stage.play(4)
    assert [unit.codec for unit in stage.of(Unit)] == [Codec.OPUS] * 8 + [Codec.H264] * 4


def test_a_recording_needs_no_viewer_and_a_viewer_who_comes_begins_at_a_keyframe():
    stage = Stage(codecs=(Codec.VP8,))
    samples = stage.say(2.0, chunk_frames=50)
    stage.pipeline.go_live(0)
    stage.play(20)
    assert not stage.units() and len(stage.units(Codec.VP8)) == 20
    stage.pipeline.set_encodings([Encoding(Codec.VP8), Encoding(Codec.H264)])
    stage.play(4)
    assert [unit.keyframe for unit in stage.units()] == [True, False, False, False]
    stage.pipeline.set_encodings([Encoding(Codec.VP8)])
    stage.play_out()
    assert len(stage.units()) == 4
    (chunk,) = stage.of(SpeechChunk)
    assert (chunk.frames, sum(tracks(chunk.data)[AUDIO].durations)) == (50, samples)


def test_no_chunk_comes_after_a_failure():
    stage = Stage()
    stage.say(2.0, chunk_frames=10)
    stage.pipeline.go_live(0)
    stage.play(25)
    made = len(stage.of(SpeechChunk))
    assert stage.pipeline.fail() == (25, ["u"])
    stage.said.clear()
    stage.say(0.5, "next")
    stage.pipeline.go_live(30)
    stage.frame = 30
    stage.play_out()
    assert made == 2 and not stage.of(SpeechChunk)
    assert [each.utterance for each in stage.of(SpeechFinished)] == ["next"]


def test_an_abandoned_utterance_is_not_recorded():
    stage = Stage()
    stage.say(0.5, "spoken", chunk_frames=10)
    stage.say(0.5, "abandoned", chunk_frames=10)
    stage.pipeline.go_live(0)
    stage.play(5)
    for name in ("spoken", "abandoned"):
        stage.pipeline.abandon(name)
    stage.play_out()
    assert {chunk.utterance for chunk in stage.of(SpeechChunk)} == {"spoken"}
    assert [each.utterance for each in stage.of(SpeechFinished)] == ["spoken"]


def test_a_recording_that_lacks_pictures_says_so():
    stage = Stage()
    stage.say(0.5, chunk_frames=5)
    stage.pipeline.go_live(0)
    stage.play(2, lost=2)  # with nothing on the canvas that could be shown again
    stage.play_out()
    assert not stage.of(SpeechChunk), "nor chunks that begin without a keyframe"
    assert [each.error for each in stage.of(SpeechFinished)] == ["pictures were lost"]


@pytest.mark.parametrize("seconds", [0.4, 0.44, 0.48, 0.52, 0.56, 1.0])
@pytest.mark.parametrize(("fps", "drawn_fps"), [(25, 10), (30, 7), (25, 1), (10, 25), (25, 0)])
def test_pictures_that_are_left_out_are_the_last_one_again_and_the_mouth_is_shut_at_the_end(
    fps: int, drawn_fps: int, seconds: float
):
    stage = Stage(fps, drawn_fps)
    stage.say(seconds)
    stage.pipeline.go_live(0)
    idle = stage.play_out()
    assert len(stage.units()) == idle
    spoken = range(4, int(seconds * fps))  # those before were made before there was a picture
    due = [k for k in spoken if not 0 < drawn_fps < fps or k * drawn_fps // fps != (k - 1) * drawn_fps // fps]
    assert [k for k in stage.drawn if k in spoken] == due
    assert 0 in stage.drawn and stage.drawn[idle - 1] == 0.0
