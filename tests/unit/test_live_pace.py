import pytest

from avatar.live_pace import MARGIN, PATIENCE, TIGHT, WINDOW, Pace
from avatar.splice import CHANGE

BLOCK = 960


def after_a_window(*slacks: int) -> Pace:
    pace = Pace()
    for slack in slacks:
        pace.arrived(slack)
    for _ in range(WINDOW // BLOCK):
        pace.passed(BLOCK)
    return pace


@pytest.mark.parametrize("lowest", [TIGHT, MARGIN, MARGIN + CHANGE - 1])
def test_a_delay_that_is_needed_stays(lowest: int):
    assert after_a_window(9000, lowest, 5000).due() == 0


@pytest.mark.parametrize("more", [0, 1, 7000])
def test_what_all_packets_were_early_by_is_too_much(more: int):
    assert after_a_window(9000, MARGIN + CHANGE + more).due() == CHANGE + more


@pytest.mark.parametrize("lowest", [0, TIGHT - 1])
def test_what_was_almost_late_asks_for_more(lowest: int):
    assert after_a_window(9000, lowest).due() == -CHANGE // 2


def test_what_had_to_be_waited_for_has_its_delay_already():
    assert after_a_window(9000, -1).due() == 0


def test_a_silent_sender_says_nothing_about_its_network():
    pace = after_a_window(MARGIN + CHANGE)
    for _ in range(2 * WINDOW // BLOCK):
        pace.passed(BLOCK)
    assert pace.due() == CHANGE, "as it was"
    assert after_a_window().due() == 0


def test_a_quiet_place_is_waited_for_but_not_for_ever():
    pace = after_a_window(MARGIN + CHANGE)
    assert not pace.urgent
    for _ in range(PATIENCE // BLOCK):
        pace.passed(BLOCK)
    assert pace.urgent
    pace.changed(CHANGE)
    assert pace.due() == 0 and not pace.urgent


def test_a_long_delay_goes_in_steps_each_with_its_patience():
    pace = after_a_window(MARGIN + 3 * CHANGE)
    for _ in range(PATIENCE // BLOCK):
        pace.passed(BLOCK)
    pace.changed(CHANGE - 60)
    assert pace.due() == 2 * CHANGE + 60 and not pace.urgent
    pace.changed(CHANGE)
    pace.changed(CHANGE - 120)
    assert pace.due() == 0, "less than a step is not worth one"


def test_a_packet_whose_time_was_over_asks_for_more_at_once():
    pace = Pace()
    pace.missed(700)
    assert pace.due() == -700 and pace.urgent
    pace.missed(300)
    assert pace.due() == -700, "as the latest of them needs"
    pace.missed(9000)
    assert pace.due() == -CHANGE, "a step at a time"
    pace.changed(-CHANGE)
    assert pace.due() == 0
    pace.missed(CHANGE)
    pace.changed(-CHANGE // 2)
    assert pace.due() == -CHANGE // 2


def test_a_late_packet_ends_the_taking_away():
    pace = after_a_window(MARGIN + 3 * CHANGE)
    pace.missed(500)
    assert pace.due() == -500
