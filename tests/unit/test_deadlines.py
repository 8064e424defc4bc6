"""When a picture is due, by what is heard of the stream's clock, and how many were finished how long before."""

import pytest

from avatar.deadlines import Deadlines, SlackMeter
from avatar.formats import SLACK_BOUNDS_S


def test_a_picture_is_due_when_the_clock_comes_to_it():
    deadlines = Deadlines(25)
    deadlines.heard(100, 7.0)
    assert deadlines.slack_s(103, 7.05) == pytest.approx(0.07)
    assert deadlines.slack_s(103, 7.15) == pytest.approx(-0.03), "too late"
    assert deadlines.slack_s(100, 7.0) == pytest.approx(0.0)


def test_a_message_that_had_to_wait_puts_nothing_off():
    deadlines = Deadlines(25)
    deadlines.heard(100, 7.0)
    deadlines.heard(101, 7.30)
    assert deadlines.slack_s(105, 7.1) == pytest.approx(0.1)
    deadlines.heard(105, 7.19)
    assert deadlines.slack_s(105, 7.1) == pytest.approx(0.09), "the first one had waited, too"


def test_where_there_is_no_clock_nothing_is_due():
    deadlines = Deadlines(25)
    assert deadlines.slack_s(3, 1.0) is None
    deadlines.heard(0, 1.0)
    assert deadlines.slack_s(3, 1.0) is None


def test_pictures_are_counted_by_engine_and_slack():
    meter = SlackMeter()
    for slack_s in (-9.0, SLACK_BOUNDS_S[0], 0.0, 0.001, 9.0):
        meter.add("viseme", slack_s)
    meter.add("musetalk", 0.1)
    counts = meter.counts()
    assert [sum(each) for each in counts.values()] == [5, 1]
    zero = SLACK_BOUNDS_S.index(0.0)
    assert [counts["viseme"][at] for at in (0, zero, zero + 1, -1)] == [2, 1, 1, 1]
