"""Which picture each viewer gets: idle, live, and the changes between them."""

from itertools import pairwise

import pytest

from avatar.messages import IDLE_PHASES
from tests.picture_show import Show, vp8
from tests.unit.test_idle import FPS, loop
from whep_server.live.idle import IdleLoops
from whep_server.live.pictures import STALL_S, Pictures


def test_a_viewer_joins_at_once_from_the_latest_keyframe_on():
    show = Show()
    shown = show.show(range(7, 13))
    assert [frame for frame, _, _ in shown] == [7, 7, 7, 8, 9, 10, 11, 12]
    assert [keyframe for _, _, keyframe in shown] == [True] + 7 * [False]


def test_who_comes_between_two_frames_is_not_made_to_wait():
    show = Show()
    show.pictures.greet(8, [show.feed])
    units = show.outlet.taken()
    assert [unit.keyframe for unit in units] == [True, False, False, False]
    times = [unit.rtp_time for unit in units]
    assert times[-1] == show.clock.video_time(8) and times[0] > show.clock.video_time(7)
    assert times == sorted(set(times))
    show.pictures.greet(8, [show.feed])
    assert [frame for frame, _, _ in show.show(range(9, 12))] == [9, 10, 11]


def test_who_comes_before_the_idle_loop_is_shown_it_as_soon_as_it_is_there():
    show = Show()
    show.loops = IdleLoops()
    empty = Pictures(show.clock, show.loops, show.playout, show.asked.append, lambda: None)
    empty.show(7, [show.feed], live=False)
    assert not show.outlet.taken() and show.feed.fresh
    show.loops.add(loop(0))
    empty.show(8, [show.feed], live=False)
    assert show.outlet.taken()[0].keyframe and not show.feed.fresh


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
