"""Which picture each viewer gets: idle, live, and the changes between them."""

from itertools import pairwise
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import IDLE_PHASES, Codec, Encoding, Unit, VideoFormat, ladder
from tests.kept_units import KeptUnits
from tests.unit.test_idle import FPS, loop
from whep_server.live.clock import StreamClock
from whep_server.live.idle import IdleLoops
from whep_server.live.pictures import DRAIN_S, STALL_S, Pictures
from whep_server.live.playout import Playout
from whep_server.live.video_feed import VideoFeed
from whep_server.rtc.sender import Feedback

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


@pytest.mark.parametrize("live", [False, True])
def test_who_asks_for_keyframes_all_the_time_gets_one_a_second(live: bool):
    show = Show()
    show.show(range(10))
    keyframes: list[int] = []
    for frame in range(10, 210):
        show.feed.request_keyframe()
        if live:
            show.live_unit(frame, keyframe=frame == 10 or bool(show.asked))
            show.asked.clear()
        keyframes += [number for number, _, keyframe in show.show(range(frame, frame + 1), live) if keyframe]
    assert 6 <= len(keyframes) <= 9
    assert all(later - earlier >= FPS - 1 for earlier, later in pairwise(keyframes[1:]))


def test_a_request_within_a_second_of_the_last_is_kept():
    show = Show()
    show.show(range(10))
    for frame in range(10, 60):
        show.live_unit(frame, keyframe=frame in (10, 22))
    show.show(range(10, 20), live=True)
    show.feed.request_keyframe()
    show.show(range(20, 24), live=True)
    show.feed.request_keyframe()
    show.show(range(24, 45), live=True)
    assert show.asked == []
    show.show(range(45, 46), live=True)
    assert show.asked == vp8(0)


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
    assert show.asked == vp8(0)
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
    assert show.asked == (vp8(0) if lost else [])


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
    assert set(show.asked) == set(vp8(0))
    assert [frame for frame, live, _ in shown if live] == [15]


# --- renditions


def test_an_idle_viewer_changes_over_within_200_ms():
    show = Show(0, MIDDLE, SMALL)
    assert show.show_rungs(range(10, 12)) == [0, 0]
    show.feed.wanted = SMALL
    assert show.show_rungs(range(12, 20)) == [0] * 3 + [SMALL] * 5
    show.feed.wanted = MIDDLE
    assert show.show_rungs(range(20, 22)) == [MIDDLE] * 2
    assert show.feed.frame_size == (960, 540)


class Congested(KeptUnits):
    """An outlet to a viewer that loses most of what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.feedback = Feedback(reports=1, fraction_lost=0.8, sent_bps=1_400_000)


@pytest.mark.parametrize("live", [False, True])
def test_who_is_sent_too_much_is_sent_nothing_until_there_is_room_for_the_small_picture(live: bool):
    show = Show(0, SMALL)
    show.show(range(10))
    for frame in range(10, 60):
        show.live_unit(frame, keyframe=frame == 10)
        show.live_unit(frame, keyframe=frame == 37, rendition=SMALL)
    show.show(range(10, 21), live)
    show.feed.opened(Congested())
    show.feed.choose(5.0)
    assert show.feed.wanted == SMALL
    show.feed.opened(show.outlet)
    shown = show.show(range(21, 45), live)
    drained = 21 + round(DRAIN_S * FPS)
    assert drained <= shown[0][0] <= drained + FPS / IDLE_PHASES and shown[0][2]
    assert [frame for frame, _, _ in shown] == list(range(shown[0][0], 45))
    assert [frame for frame, is_live, _ in shown if is_live] == (list(range(37, 45)) if live else [])
    assert show.feed.rendition == SMALL


def test_who_is_sent_too_much_goes_on_where_there_is_no_smaller_picture_yet():
    show = Show(0)
    show.show(range(10))
    show.feed.opened(Congested())
    show.feed.choose(5.0)
    assert show.feed.wanted == SMALL
    show.feed.opened(show.outlet)
    assert [frame for frame, _, _ in show.show(range(10, 40))] == list(range(10, 40))


def test_an_idle_viewer_waits_for_a_rendition_that_is_yet_to_be_encoded():
    show = Show(0)
    show.feed.wanted = SMALL
    assert show.show_rungs(range(10, 32)) == [0] * 22
    show.add_loop(SMALL)
    assert show.show_rungs(range(32, 40)) == [0] * 3 + [SMALL] * 5


def test_a_speaking_viewer_changes_over_at_the_first_keyframe_and_goes_on_until_then():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 30):
        show.live_unit(frame, keyframe=frame == 10)
    assert show.show_rungs(range(10, 14), live=True) == [0] * 4
    show.feed.wanted = SMALL
    assert show.feed.encodings == set(vp8(0, SMALL))
    for frame in range(20, 30):
        show.live_unit(frame, keyframe=frame == 20, rendition=SMALL)
    assert show.show_rungs(range(14, 24), live=True) == [0] * 6 + [SMALL] * 4
    assert show.needed == [set(vp8(SMALL))], "nothing more is encoded than is shown"
    assert show.asked == []


def test_a_keyframe_is_asked_for_of_a_rendition_that_others_watch_already():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 30):
        show.live_unit(frame, keyframe=frame == 10)
        show.live_unit(frame, keyframe=frame in (10, 17), rendition=MIDDLE)
    assert show.show_rungs(range(10, 12), live=True) == [0] * 2
    show.feed.wanted = MIDDLE
    show.playout.cut(show.clock.video_time(14), 0)  # the worker is two frames ahead
    assert show.show_rungs(range(12, 14), live=True) == [0] * 2
    assert show.asked == vp8(MIDDLE) * 2
    for frame in range(14, 20):
        show.live_unit(frame)
        show.live_unit(frame, keyframe=frame == 15, rendition=MIDDLE)
    assert show.show_rungs(range(14, 20), live=True) == [0] + [MIDDLE] * 5


def test_two_viewers_cross_at_one_frame():
    show = Show(0, SMALL)
    outlet, other = KeptUnits(), VideoFeed(Codec.VP8, RUNGS, lambda: None)
    other.opened(outlet)
    other.wanted = SMALL
    for frame in range(10):
        show.pictures.show(frame, [show.feed, other], live=False)
    show.feed.wanted, other.wanted = SMALL, 0
    for frame in range(10, 14):
        for rung in (0, SMALL):
            show.live_unit(frame, keyframe=frame == 10, rendition=rung)
        show.pictures.show(frame, [show.feed, other], live=True)
    for feed, kept, rung in ((show.feed, show.outlet, SMALL), (other, outlet, 0)):
        units = kept.taken()
        assert [show.clock.frame_of_time(unit.rtp_time) for unit in units] == list(range(14))
        assert {unit.payloads[0][3] for unit in units[10:]} == {rung}
        assert feed.rendition == rung


def test_a_picture_is_cut_once_for_all_who_show_its_rendition():
    show = Show(0)
    outlets = [KeptUnits() for _ in range(3)]
    feeds = [VideoFeed(Codec.VP8, RUNGS, lambda: None) for _ in outlets]
    for feed, outlet in zip(feeds, outlets, strict=True):
        feed.opened(outlet)
    feeds[2].wanted = SMALL
    for rung in (0, SMALL):
        show.live_unit(0, keyframe=True, rendition=rung)
    show.pictures.show(0, feeds, live=True)
    first, second, third = (outlet.taken()[0] for outlet in outlets)
    assert first is second and third is not first


def test_speech_ends_in_the_rendition_that_is_wanted():
    show = Show(0, SMALL)
    show.feed.wanted = SMALL
    show.show(range(10))
    for frame in range(10, 15):
        show.live_unit(frame, keyframe=frame == 10, rendition=SMALL)
    assert show.show_rungs(range(10, 15), live=True) == [SMALL] * 5
    assert show.show_rungs(range(15, 20)) == [SMALL] * 5


def test_speech_ends_in_the_nearest_rendition_where_the_wanted_one_is_missing():
    show = Show(0)
    show.show(range(10))
    show.feed.wanted = SMALL
    for frame in range(10, 15):
        show.live_unit(frame, keyframe=frame == 10, rendition=SMALL)
    assert show.show_rungs(range(10, 15), live=True) == [SMALL] * 5
    assert show.show_rungs(range(15, 20)) == [0] * 5


def test_a_loss_while_changing_over_is_made_good_in_either_rendition():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 14):
        show.live_unit(frame, keyframe=frame == 10)
    show.show(range(10, 12), live=True)
    show.feed.wanted = SMALL
    show.feed.request_keyframe()
    show.show(range(12, 14), live=True)
    assert set(show.asked) == set(vp8(0)), "of the wanted one nothing has come, so that it begins with a keyframe"
    show.live_unit(14, keyframe=True)
    show.show(range(14, 15), live=True)
    assert not show.feed.wants_keyframe and show.feed.rendition == 0


class Steps(NamedTuple):
    """What a worker makes at one frame, and what is wanted from then on."""

    wanted: int
    made: dict[int, bool]
    """Rungs that have a unit of this frame, and whether it is a keyframe."""
    live: bool
    late: bool
    """Whether it comes one frame after its time."""


STEPS = st.lists(
    st.builds(
        Steps, st.integers(0, 2), st.dictionaries(st.integers(0, 2), st.booleans()), st.booleans(), st.booleans()
    ),
    max_size=60,
)


@given(STEPS, st.sets(st.integers(1, 2)))
def test_whatever_is_made_what_is_shown_can_be_decoded_and_never_goes_back(steps: list[Steps], loops: set[int]):
    show = Show(0, *loops)
    chain: tuple[str, int] | None = None
    last = -1
    late: list[tuple[int, bool, int]] = []
    for frame, step in enumerate(steps):
        show.feed.wanted = step.wanted
        units = [(frame, keyframe, rung) for rung, keyframe in step.made.items()]
        for number, keyframe, rung in late + ([] if step.late else units):
            show.live_unit(number, keyframe, rung)
        late = units if step.late else []
        show.pictures.show(frame, [show.feed], step.live)
        for unit in show.outlet.taken():
            number = show.clock.frame_of_time(unit.rtp_time)
            assert last < number <= frame
            kind = ("live", unit.payloads[0][3]) if unit.payloads[0][1:2] == b"L" else ("idle", show.feed.rendition)
            assert unit.keyframe or kind == chain, "a picture refers to one that the viewer has"
            last, chain = number, kind
