"""More faces than a card can make: half as many are made, each shown twice, before any stream stands still.

The card is made up and the time is played; pipelines, plan and haste are the worker's own.
"""

from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import pairwise
from math import inf

import numpy as np
import pytest

from avatar.engines.engine import Work
from avatar.haste import SHEDS_S, Haste
from avatar.messages import VIDEO_HZ, Codec, Encoding, FromWorker, OpenStream, Unit, VideoFormat, WorkerConfig
from avatar.pipeline import Pipeline, Prepared
from avatar.scheduler import plan
from avatar.speech_buffer import SpeechBuffer
from tests.audio_files import tone
from tests.fake_engine import SIZE, FakeLibrary, LoudnessEngine, make_avatar
from tests.played_stream import NoMeter

STEP_S = 0.01
LEAD_S = 0.24
SECONDS = 6.0
SETTLED_S = 2.5
"""By then it makes haste, and has caught up."""
START = 300
STREAMS = 3
STALL_S = 0.2
COMPOSE = FakeLibrary(WorkerConfig("", "", "")).compose


class Film(LoudnessEngine):
    """Of an engine whose faces are made by a card."""

    name = "film"
    idle = True
    hurried_fps = 15


@dataclass
class Seat:
    """A stream, and when its viewers see what. Units: seconds of the play."""

    pipeline: Pipeline
    due: list[tuple[Prepared, list]] = field(default_factory=list)
    """The turn that is being made."""
    ready: dict[int, float] = field(default_factory=dict)
    """When each of its faces is made; infinite while it waits for the card."""
    faces: list[tuple[float, int]] = field(default_factory=list)
    """When they were asked for, and how many frames before their time."""
    said: list[FromWorker] = field(default_factory=list)
    seen: list[tuple[int, float]] = field(default_factory=list)
    """Frames, and when their pictures were there."""


class Play:
    """Streams that speak, all by one card."""

    def __init__(self, fps: int, faces_s: float, hurried_fps: int = 15) -> None:
        self.fps, self.faces_s = fps, faces_s
        self.engine, self.haste = Film(), Haste(SHEDS_S)
        self.engine.hurried_fps = hurried_fps
        self.lead = round(LEAD_S * fps)
        self.free_s = self.now_s = 0.0
        self.waiting: list[tuple[int, str]] = []
        self.seats = {name: Seat(self.stream(name)) for name in "abcdefgh"[:STREAMS]}

    def stream(self, name: str) -> Pipeline:
        stream = Pipeline(
            OpenStream(name, "grey", VideoFormat(*SIZE, self.fps, 500_000)), make_avatar("grey"), self.engine, 10.0
        )
        stream.set_encodings([Encoding(Codec.H264)])
        buffer = SpeechBuffer(SECONDS + 2)
        buffer.put((tone(SECONDS, 997) * 32767).astype(np.int16), tone(SECONDS, 997, rate=16_000))
        buffer.finish(None)
        stream.enqueue(name, buffer)
        stream.go_live(START)
        return stream

    @property
    def frame(self) -> int:
        """That is shown now."""
        return START - self.lead + int(self.now_s * self.fps)

    def run(self) -> "Play":
        while self.now_s < SECONDS:
            self.step()
            self.now_s += STEP_S
        return self

    def step(self) -> None:
        for seat in self.seats.values():
            seat.pipeline.advance(self.frame + self.lead + 1, self.frame)
            if seat.due and all(ready_s <= self.now_s for ready_s in seat.ready.values()):
                self.land(seat)
        free = {name: seat for name, seat in self.seats.items() if not seat.due}
        demands = [seat.pipeline.demand() for seat in free.values()]
        quick = self.haste.look(demands, self.now_s) if free else self.haste.quick
        for turn in plan(demands, self.engine.max_batch):
            seat = free[turn.stream]
            seat.pipeline.hurry(quick)
            prepared = seat.pipeline.prepare(turn, seat.said.append)
            (drawings,) = self.engine.step([Work(seat.pipeline.slot, prepared.jobs)])
            drawn = [turn.first + at for at, job in enumerate(prepared.jobs) if job.draw and job.strength > 0]
            seat.faces += [(self.now_s, frame - self.frame) for frame in drawn]
            seat.due.append((prepared, drawings))
            seat.ready = dict.fromkeys(drawn, inf)
            for frame in drawn:
                heappush(self.waiting, (frame, turn.stream))
        self.make()

    def make(self) -> None:
        """What the card makes until now, the face that is due first before the others."""
        while self.waiting and self.free_s <= self.now_s:
            frame, name = heappop(self.waiting)
            self.free_s = max(self.free_s, self.now_s - STEP_S) + 1 / self.faces_s
            self.seats[name].ready[frame] = self.free_s

    def land(self, seat: Seat) -> None:
        ((prepared, drawings),) = seat.due
        seat.due.clear()
        before = len(seat.said)
        seat.pipeline.finish(prepared, drawings, COMPOSE, seat.said.append, NoMeter())
        there_s = 0.0  # pictures are sent in order, each as soon as its face is made
        for unit in (each for each in seat.said[before:] if isinstance(each, Unit) and each.codec is Codec.H264):
            frame = unit.media_time * self.fps // VIDEO_HZ
            there_s = max(there_s, seat.ready.get(frame, 0.0))
            seat.seen.append((frame, there_s))

    def longest_s(self) -> float:
        """For which a picture stood still, anywhere: it is shown when it is due, or when it is there."""
        gaps = [0.0]
        for seat in self.seats.values():
            shown = [max((frame - START + self.lead) / self.fps, there_s) for frame, there_s in seat.seen]
            gaps += [later - earlier for earlier, later in pairwise(shown)]
        return max(gaps)

    def missing(self, since_s: float = 0.0) -> float:
        """The part of the pictures that was left out."""
        frames = range(START + int(since_s * self.fps), START - self.lead + int((SECONDS - 1) * self.fps))
        made = sum(frame in frames for seat in self.seats.values() for frame, _ in seat.seen)
        return 1 - made / (len(frames) * len(self.seats))

    def made_fps(self) -> float:
        """Faces a second and stream, when it has settled."""
        asked = sum(SETTLED_S <= at_s < SECONDS - 1 for seat in self.seats.values() for at_s, _ in seat.faces)
        return asked / (SECONDS - 1 - SETTLED_S) / len(self.seats)


@pytest.mark.parametrize(("fps", "made"), [(30, 15.0), (25, 12.5)])
def test_half_of_the_faces_are_made_and_nobody_stands_still(fps: int, made: float):
    play = Play(fps, faces_s=0.6 * STREAMS * fps).run()
    assert play.haste.quick
    assert play.made_fps() == pytest.approx(made, rel=0.05)
    assert play.longest_s() <= STALL_S
    assert play.missing(SETTLED_S) == 0 and play.missing() < 0.1


def test_without_it_pictures_are_left_out_for_ever():
    play = Play(25, faces_s=0.6 * STREAMS * 25, hurried_fps=0).run()
    assert play.haste.quick and play.missing(SETTLED_S) > 0.2


def test_what_keeps_up_is_shown_whole():
    play = Play(25, faces_s=1.5 * STREAMS * 25).run()
    assert not play.haste.quick and play.missing() == 0
    assert play.made_fps() == pytest.approx(25, rel=0.02)
    ahead = [frames for seat in play.seats.values() for _, frames in seat.faces]
    assert max(ahead) <= play.lead, "no face is made longer before its time than the server lets it"
