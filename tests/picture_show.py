"""A stream's pictures shown to one viewer, frame by frame, without a clock."""

from avatar.messages import IDLE_PHASES, Codec, Encoding, Unit, VideoFormat, ladder
from tests.kept_units import KeptUnits
from tests.unit.test_idle import FPS, loop
from whep_server.live.clock import StreamClock
from whep_server.live.idle import IdleLoops
from whep_server.live.pictures import Pictures
from whep_server.live.playout import Playout
from whep_server.live.video_feed import VideoFeed

RUNGS = ladder(VideoFormat())
MIDDLE, SMALL = 1, 2


def vp8(*rungs: int) -> list[Encoding]:
    return [Encoding(Codec.VP8, rung) for rung in rungs]


class Show:
    """A stream's pictures with one viewer, frame by frame."""

    def __init__(self, *renditions: int) -> None:
        self.clock = StreamClock(0.0, FPS)
        self.playout = Playout()
        self.loops = IdleLoops()
        for rendition in renditions or (0,):
            self.add_loop(rendition)
        self.asked: list[Encoding] = []
        self.needed: list[set[Encoding]] = []
        """What the viewer needed each time that it changed over in a live stretch."""
        self.pictures = Pictures(
            self.clock,
            self.loops,
            self.playout,
            self.asked.append,
            lambda: self.needed.append(self.feed.encodings),
        )
        self.outlet = KeptUnits()
        self.feed = VideoFeed(Codec.VP8, RUNGS, lambda: None)
        self.feed.opened(self.outlet)

    def add_loop(self, rendition: int) -> None:
        for phase in range(IDLE_PHASES):
            self.loops.add(loop(phase, rendition=rendition))

    def live_unit(self, frame: int, keyframe: bool = False, rendition: int = 0) -> None:
        time = self.clock.video_time(frame)
        data = b"L" + bytes([frame, rendition])
        self.playout.push(Unit("demo", 0, Codec.VP8, time, keyframe, data, rendition))

    def show(self, frames: range, live: bool = False) -> list[tuple[int, bool, bool]]:
        """What the viewer gets: frame number, whether live, whether a keyframe."""
        for frame in frames:
            self.pictures.show(frame, [self.feed], live)
        return [
            (self.clock.frame_of_time(unit.rtp_time), unit.payloads[0][1:2] == b"L", unit.keyframe)
            for unit in self.outlet.taken()
        ]

    def show_rungs(self, frames: range, live: bool = False) -> list[int]:
        """The rung of each frame in turn; every frame is shown once, and every change is at a keyframe."""
        rungs: list[int] = []
        for frame in frames:
            before = self.feed.rendition
            shown = self.show(range(frame, frame + 1), live)
            assert [(number, is_live) for number, is_live, _ in shown] == [(frame, self.feed.live)]
            assert shown[0][2] or self.feed.rendition == before
            rungs.append(self.feed.rendition)
        return rungs
