"""Which picture each viewer gets: idle, live, and the changes between them."""

import pytest

from avatar.messages import IDLE_PHASES, Codec, Unit
from tests.kept_units import KeptUnits
from tests.unit.test_idle import FPS, loop
from whep_server.live.clock import StreamClock
from whep_server.live.fanout import VideoFeed
from whep_server.live.idle import IdleLoops
from whep_server.live.pictures import STALL_S, Pictures
from whep_server.live.playout import Playout


class Show:
    """A stream's pictures with one viewer, frame by frame."""

    def __init__(self) -> None:
        self.clock = StreamClock(0.0, FPS)
        self.playout = Playout()
        loops = IdleLoops()
        for phase in range(IDLE_PHASES):
            loops.add(loop(phase))
        self.asked: list[Codec] = []
        self.pictures = Pictures(self.clock, loops, self.playout, self.asked.append)
        self.outlet = KeptUnits()
        self.feed = VideoFeed(Codec.VP8, lambda: None)
        self.feed.opened(self.outlet)

    def live_unit(self, frame: int, keyframe: bool = False) -> None:
        time = self.clock.video_time(frame)
        self.playout.push(Unit("demo", 0, Codec.VP8, time, keyframe, b"L" + bytes([frame])))

    def show(self, frames: range, live: bool = False) -> list[tuple[int, bool, bool]]:
        """What the viewer gets: frame number, whether live, whether a keyframe."""
        for frame in frames:
            self.pictures.show(frame, [self.feed], live)
        return [
            (self.clock.frame_of_time(unit.rtp_time), unit.payloads[0][1:2] == b"L", unit.keyframe)
            for unit in self.outlet.taken()
        ]


def test_a_viewer_joins_at_the_next_keyframe():
    shown = Show().show(range(7, 13))
    assert [frame for frame, _, _ in shown] == [10, 11, 12]
    assert [keyframe for _, _, keyframe in shown] == [True, False, False]


def test_a_viewer_that_lost_a_picture_changes_phase():
    show = Show()
    show.show(range(12))
    show.feed.request_keyframe()
    shown = show.show(range(12, 20))
    assert [frame for frame, _, _ in shown] == list(range(12, 20))
    assert [frame for frame, _, keyframe in shown if keyframe] == [15]


def test_the_switch_to_speech_and_back_is_exact():
    show = Show()
    for frame in range(12, 20):
        show.live_unit(frame, keyframe=frame == 12)
    shown = show.show(range(12)) + show.show(range(12, 20), live=True) + show.show(range(20, 30))
    assert [frame for frame, _, _ in shown] == list(range(30))
    assert [frame for frame, live, _ in shown if live] == list(range(12, 20))
    assert {12, 20} <= {frame for frame, _, keyframe in shown if keyframe}


def test_idle_goes_on_where_the_first_live_keyframe_is_late():
    show = Show()
    shown = show.show(range(12)) + show.show(range(12, 14), live=True)
    show.live_unit(12, keyframe=True)
    show.live_unit(13)
    show.live_unit(14)
    shown += show.show(range(14, 15), live=True)
    assert show.asked == [Codec.VP8]
    show.live_unit(15, keyframe=True)
    shown += show.show(range(15, 16), live=True)
    assert [frame for frame, _, _ in shown] == list(range(16))
    assert [(frame, keyframe) for frame, live, keyframe in shown if live] == [(15, True)]


def test_a_late_picture_in_mid_sentence_is_shown_late_and_in_order():
    show = Show()
    show.show(range(10))
    show.live_unit(10, keyframe=True)
    shown = show.show(range(10, 12), live=True)
    show.live_unit(11)
    show.live_unit(12)
    shown += show.show(range(12, 13), live=True)
    assert [frame for frame, _, _ in shown] == [10, 11, 12]
    assert all(live for _, live, _ in shown)


def test_a_worker_that_falls_silent_gives_way_to_idle():
    show = Show()
    show.show(range(10))
    show.live_unit(10, keyframe=True)
    shown = show.show(range(10, 40), live=True)
    idle = [frame for frame, live, _ in shown if not live]
    assert STALL_S * FPS < idle[0] - 10 <= STALL_S * FPS + FPS / IDLE_PHASES
    assert idle == list(range(idle[0], 40))


@pytest.mark.parametrize("lost", [False, True])
def test_the_encoder_is_asked_only_where_somebody_needs_a_keyframe(lost):
    show = Show()
    show.show(range(10))
    show.live_unit(10, keyframe=True)
    show.live_unit(11)
    show.show(range(10, 11), live=True)
    if lost:
        show.feed.request_keyframe()
    show.show(range(11, 12), live=True)
    assert show.asked == ([Codec.VP8] if lost else [])


def test_nothing_is_put_into_a_feed_that_nobody_reads():
    show = Show()
    show.feed.reading = False
    assert show.show(range(20)) == []


def made_ahead(keyframes: set[int]) -> Show:
    """The worker has made frames 10 to 60; the viewer has seen 10 to 14, and lost a picture."""
    show = Show()
    show.show(range(10))
    for frame in range(10, 60):
        show.live_unit(frame, keyframe=frame in keyframes)
    assert len(show.show(range(10, 15), live=True)) == 5
    show.feed.request_keyframe()
    return show


def test_a_keyframe_that_is_made_already_is_waited_for_and_not_asked_for():
    show = made_ahead({10, 20})
    shown = show.show(range(15, 22), live=True)
    assert [frame for frame, live, _ in shown if live] == list(range(15, 22))
    assert show.asked == []


def test_who_would_wait_long_for_a_live_keyframe_shows_the_idle_loop_meanwhile():
    show = made_ahead({10, 50})
    shown = show.show(range(15, 60), live=True)
    idle = [frame for frame, live, _ in shown if not live]
    assert idle[0] - 15 <= FPS / IDLE_PHASES and idle == list(range(idle[0], 50))
    assert [frame for frame, live, _ in shown if live] == [15, *range(50, 60)]
    assert {idle[0], 50} <= {frame for frame, _, keyframe in shown if keyframe}
    assert show.asked == []


def test_a_keyframe_is_asked_for_where_none_is_made_far_ahead():
    show = made_ahead({10})
    shown = show.show(range(15, 40), live=True)
    assert set(show.asked) == {Codec.VP8}
    assert [frame for frame, live, _ in shown if live] == [15]
