"""When a stream is live."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import FRAME_RATES, idle_grid, start_grid
from whep_server.live.stretches import Stretches


@pytest.mark.parametrize("fps", FRAME_RATES)
@given(now=st.integers(0, 10_000), lead=st.integers(1, 12))
def test_a_stretch_begins_on_the_grid_and_in_time(fps, now, lead):
    start = Stretches(fps).begin(now, lead)
    assert start % start_grid(fps) == 0
    assert now + lead <= start < now + lead + start_grid(fps)


def test_a_stretch_is_live_from_its_start_to_its_end():
    stretches = Stretches(25)
    start = stretches.begin(100, 3)
    assert stretches.open
    assert [stretches.live_at(frame) for frame in (start - 1, start, 10_000)] == [False, True, True]
    stretches.end(130)
    assert not stretches.open
    assert [stretches.live_at(129), stretches.live_at(130)] == [True, False]
    assert [stretches.speaking(129), stretches.speaking(130)] == [True, False]


def test_the_next_stretch_begins_after_the_last():
    stretches = Stretches(25)
    stretches.begin(100, 3)
    stretches.end(130)
    assert stretches.begin(110, 3) == 130
    assert stretches.live_at(129)
    assert stretches.live_at(130)


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_a_lost_worker_ends_everything_at_the_next_idle_keyframe(fps):
    stretches = Stretches(fps)
    stretches.begin(0, 3)
    end = stretches.cut(17)
    assert end % idle_grid(fps) == 0
    assert 17 < end <= 17 + idle_grid(fps)
    assert stretches.live_at(end - 1)
    assert not stretches.live_at(end)


def test_a_stretch_that_had_not_begun_is_forgotten():
    stretches = Stretches(25)
    stretches.begin(100, 12)
    end = stretches.cut(100)
    assert not stretches.live_at(end)
    assert not stretches.speaking(end)


def test_a_stretch_that_is_made_anew_has_no_end_yet():
    stretches = Stretches(25)
    start = stretches.begin(100, 3)
    stretches.end(130)
    stretches.begin(110, 3)
    stretches.reopen(130)
    assert [stretches.live_at(129), stretches.open] == [True, True]
    stretches.reopen(129)
    assert stretches.open and stretches.start == start
    stretches.end(125)
    assert not stretches.live_at(125)
    assert stretches.begin(110, 3) == 125


def test_what_a_lost_worker_made_is_not_made_anew():
    stretches = Stretches(25)
    stretches.begin(100, 3)
    end = stretches.cut(110)
    stretches.reopen(end - 2)
    assert not stretches.open and not stretches.live_at(end)
