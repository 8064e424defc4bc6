"""A stream's clock."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import FRAME_RATES
from whep_server.live.clock import StreamClock, round_up


@pytest.mark.parametrize("fps", FRAME_RATES)
@given(started_s=st.floats(0, 1e6), count=st.integers(0, 10_000_000))
def test_a_frame_is_due_at_its_own_time_and_not_before(fps, started_s, count):
    clock = StreamClock(started_s, fps)
    assert clock.frame_at(clock.frame_due_s(count)) == count
    assert clock.frame_at(clock.frame_due_s(count) - 0.001) == count - 1
    assert clock.packet_at(clock.packet_due_s(count)) == count
    assert clock.packet_from(clock.packet_due_s(count)) == count
    assert clock.packet_from(clock.packet_due_s(count) + 0.001) == count + 1
    assert clock.frame_of_time(clock.video_time(count)) == count


def test_pictures_and_sound_of_one_time_belong_together():
    clock = StreamClock(0.0, 25)
    assert [clock.frame_of_packet(packet) for packet in range(5)] == [0, 0, 1, 1, 2]


def test_round_up():
    assert [round_up(value, 5) for value in (0, 1, 5, 6)] == [0, 5, 5, 10]
