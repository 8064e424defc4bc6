"""Which rendition a viewer is shown, by what it reports: over modelled links, and for any reports at all."""

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.slow_link import Link, Watched, watch
from whep_server.live.rate import CALM_S, FIRST_TRY_S, LAST_TRY_S, SETTLE_S, RateChooser
from whep_server.rtc.sender import Feedback

LADDER = (1_500_000, 750_000, 250_000)
TOP, BOTTOM = 0, 2
KBPS, MBPS = 1_000, 1_000_000
QUEUES = [0.1, 0.4, 1.0]
REMB = pytest.mark.parametrize("remb", [True, False], ids=["remb", "loss alone"])


def over(link: Link, seconds: float, share: Callable[[float], float] = lambda _: 0.9) -> Watched:
    return watch(link, RateChooser(LADDER).choose, LADDER, seconds, share)


def idle_and_speech(now_s: float) -> float:
    """Of a rung's bitrate: twelve seconds of a cheap idle loop, twelve of speech, and so on."""
    return 0.9 if now_s // 12 % 2 else 0.3


def dip(low_bps: float, high_bps: float, begins_s: float, ends_s: float) -> Callable[[float], float]:
    return lambda now_s: low_bps if begins_s <= now_s < ends_s else high_bps


@REMB
@pytest.mark.parametrize("queue_s", QUEUES)
def test_a_slow_link_settles_on_the_smallest_picture_and_stays_there(queue_s: float, remb: bool):
    shown = over(Link(lambda _: 400 * KBPS, queue_s, remb=remb), 120)
    assert BOTTOM in shown.rungs[:4]
    assert shown.rungs.count(BOTTOM) >= 108
    tries = [at for at, (before, after) in enumerate(pairwise(shown.rungs)) if after < before]
    assert len(tries) <= 3
    gaps = [after - before for before, after in pairwise(tries)]
    assert all(after >= 1.5 * before for before, after in pairwise(gaps)), "each try that failed makes the next wait"


@pytest.mark.parametrize("queue_s", QUEUES[1:])
def test_the_smallest_picture_is_fluent_on_a_slow_link(queue_s: float):
    link = over(Link(lambda _: 400 * KBPS, queue_s), 60).link
    settled = [waits_s for at_s, waits_s in link.waits_s if 8 < at_s < 20]
    assert not [at_s for at_s in link.lost_s if 8 < at_s < 20]
    assert max(settled) < 0.4


@REMB
@pytest.mark.parametrize("share", [lambda _: 0.9, idle_and_speech], ids=["speech", "idle and speech"])
@pytest.mark.parametrize(("rate_bps", "loss"), [(3 * MBPS, 0.0), (2 * MBPS, 0.0), (10 * MBPS, 0.02), (10 * MBPS, 0.05)])
def test_a_wide_link_never_leaves_the_best_picture(
    rate_bps: float, loss: float, share: Callable[[float], float], remb: bool
):
    shown = over(Link(lambda _: rate_bps, loss=loss, remb=remb), 90, share)
    assert set(shown.rungs) == {TOP}


@REMB
@pytest.mark.parametrize("queue_s", QUEUES)
def test_a_link_that_narrows_and_widens_is_followed(queue_s: float, remb: bool):
    shown = over(Link(dip(400 * KBPS, 3 * MBPS, 20, 40), queue_s, remb=remb), 100)
    assert set(shown.rungs[:20]) == {TOP}
    assert BOTTOM in shown.rungs[20:24]
    assert shown.rungs[38:40] == [BOTTOM] * 2
    assert TOP in shown.rungs[40:80]
    assert set(shown.rungs[80:]) == {TOP}


def test_a_link_for_the_middle_picture_gets_the_middle_picture():
    shown = over(Link(lambda _: 1050 * KBPS), 90)
    assert set(shown.rungs[4:]) == {1}


def test_a_dip_on_a_lossy_link_is_recovered_from():
    shown = over(Link(dip(300 * KBPS, 10 * MBPS, 20, 25), loss=0.02), 80)
    assert BOTTOM in shown.rungs[20:25]
    assert set(shown.rungs[70:]) == {TOP}


def test_a_queue_that_never_overflows_is_noticed_by_its_delay():
    shown = over(Link(lambda _: 400 * KBPS, queue_s=30.0, remb=False), 30)
    assert not shown.link.lost_s
    assert BOTTOM in shown.rungs[:12]


def test_a_remb_that_lags_behind_speech_is_no_reason():
    """Receivers let it grow to 1.5 times what they get, and a first one may be what an idle loop took."""
    chooser, remb_bps = RateChooser(LADDER), 450_000.0
    for second in range(60):
        sent_bps = 1_350_000.0 if second > 30 else 450_000.0
        remb_bps = min(1.08 * remb_bps, 1.5 * sent_bps + 10_000)
        assert chooser.choose(Feedback(second + 1, round(remb_bps), 0.0, 0.05, sent_bps), second) == TOP


@pytest.mark.parametrize("remb_bps", [None, 100_000, 5_000_000])
def test_who_reports_nothing_keeps_the_best_picture(remb_bps: int | None):
    chooser = RateChooser(LADDER)
    assert {chooser.choose(Feedback(0, remb_bps, 0.9, 9.0, 1_400_000), second) for second in range(60)} == {TOP}


def reports() -> st.SearchStrategy[list[Feedback]]:
    """Two minutes of anything, a report a second or none."""
    one = st.builds(
        Feedback,
        reports=st.integers(0, 1),
        remb_bps=st.none() | st.integers(10_000, 4_000_000),
        fraction_lost=st.none() | st.floats(0, 1),
        round_trip_s=st.none() | st.floats(0, 5),
        sent_bps=st.floats(0, 2_000_000),
    )
    calm = st.builds(Feedback, reports=st.just(1), remb_bps=st.just(4_000_000), sent_bps=st.just(500_000.0))
    return st.lists(one | calm | calm, min_size=20, max_size=120)


def rungs_of(told: list[Feedback], bitrates_bps: tuple[int, ...] = LADDER) -> list[int]:
    chooser, total, rungs = RateChooser(bitrates_bps), 0, [TOP]
    for second, each in enumerate(told):
        total += each.reports
        rungs.append(
            chooser.choose(Feedback(total, each.remb_bps, each.fraction_lost, each.round_trip_s, each.sent_bps), second)
        )
    return rungs


@given(reports(), st.integers(1, 3))
@settings(max_examples=100)
def test_whatever_is_reported_nothing_flaps(told: list[Feedback], rungs: int):
    shown = rungs_of(told, LADDER[:rungs])
    assert set(shown) <= set(range(rungs))
    changes = [(at, before, after) for at, (before, after) in enumerate(pairwise(shown)) if after != before]
    for (earlier, _, _), (later, before, after) in pairwise(changes):
        assert later - earlier >= (SETTLE_S if after > before else CALM_S)
        assert after >= before - 1, "up by one at a time"


@given(st.integers(1, 6))
def test_each_try_that_fails_makes_the_next_wait_twice_as_long(fails: int):
    chooser, calm, second = RateChooser(LADDER), True, 0
    tries: list[int] = []
    before = TOP
    while len(tries) <= fails:
        calm = not (chooser.rung == 1 and before == 1) and second > 3
        rung = chooser.choose(Feedback(second + 1, None, 0.0 if calm else 0.8, 0.05, 200_000.0), second)
        if rung == 1 and before == BOTTOM:
            tries.append(second)
        before, second = rung, second + 1
    gaps = [after - before for before, after in pairwise(tries)]
    for number, gap in enumerate(gaps, 1):
        assert gap >= min(FIRST_TRY_S * 2**number, LAST_TRY_S)
        assert gap <= min(FIRST_TRY_S * 2**number, LAST_TRY_S) + 2 * CALM_S
