"""How often one address may ask."""

import pytest

from whep_server.errors import TooMany
from whep_server.settings import Settings
from whep_server.web.pace import MAX_KEYS, Pace, paces
from whep_server.web.permissions import Limit


def refused(pace: Pace, key: str, now_s: float) -> int | None:
    """Seconds to wait, None where it may."""
    try:
        pace.take(key, now_s)
    except TooMany as error:
        return int(error.headers["Retry-After"])
    return None


def test_a_burst_then_the_rate():
    pace = Pace(2.0, 3)
    assert [refused(pace, "a", 10.0) for _ in range(4)] == [None, None, None, 1]
    assert refused(pace, "a", 10.4) == 1
    assert refused(pace, "a", 10.5) is None
    assert refused(pace, "a", 10.5) == 1
    assert [refused(pace, "a", 99.0) for _ in range(4)] == [None, None, None, 1]  # never more than a burst


def test_who_waits_as_long_as_told_is_let_in():
    pace = Pace(0.1, 1)
    assert refused(pace, "a", 0.0) is None
    wait_s = refused(pace, "a", 0.0)
    assert wait_s == 11
    assert refused(pace, "a", float(wait_s)) is None


def test_one_does_not_pay_for_another():
    pace = Pace(1.0, 1)
    pace.take("a", 0.0)
    pace.take("b", 0.0)
    with pytest.raises(TooMany):
        pace.take("a", 0.0)


def test_no_rate_is_no_limit():
    pace = Pace(0.0, 1)
    assert all(refused(pace, "a", 0.0) is None for _ in range(100))


def test_what_is_remembered_is_bounded():
    pace = Pace(1.0, 1)
    for key in range(MAX_KEYS + 100):
        pace.take(str(key), 0.0)
    assert len(pace._buckets) == MAX_KEYS
    pace.take("0", 0.0)  # forgotten, so full again


def test_changes_may_come_more_often_than_offers():
    changes = paces(Settings(offers_per_s=1.0, offer_burst=2))[Limit.CHANGES]
    assert [refused(changes, "a", 0.0) for _ in range(11)] == [None] * 10 + [1]
