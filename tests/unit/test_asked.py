"""What a viewer waits for, by its requests: what is sent again, how often, and what is known to have come."""

from whep_server.rtc.asked import MOST, TIMES, WAIT_S, Asked

TRIP_S = 0.05


def asked(*numbers: int, now_s: float = 0.0) -> Asked:
    made = Asked()
    made.take(numbers, now_s, TRIP_S)
    return made


def send(lost: Asked, now_s: float) -> list[int]:
    """All that is due."""
    numbers = [number for number, _ in lost.due(now_s)]
    for number in numbers:
        lost.sent(number, now_s, TRIP_S)
    return numbers


def test_what_was_asked_for_once_is_sent_three_times_at_some_distance():
    lost = asked(7)
    assert lost.due(0.0) == [(7, True)] and send(lost, 0.0) == [7]
    assert send(lost, 0.9 * WAIT_S) == []
    assert lost.due(WAIT_S) == [(7, False)]
    assert [bool(send(lost, at * WAIT_S)) for at in range(1, 9)] == [True] * (TIMES - 1) + [False] * (9 - TIMES)
    assert not lost


def test_what_could_not_be_sent_is_still_due():
    lost = asked(7, 9)
    assert lost.due(30.0) == [(7, True), (9, True)]


def test_what_a_later_request_does_not_name_has_come():
    lost = asked(65_534, 65_535, 3)
    send(lost, 0.0)
    lost.take([65_534, 5], 0.1, TRIP_S)  # 3 lies between, and is not named
    assert [number for number, _ in lost.due(9.0)] == [65_534, 5]


def test_what_is_under_way_is_not_sent_once_more():
    lost = asked(7)
    send(lost, 1.0)
    lost.take([7, 8], 1.0 + 0.9 * TRIP_S, TRIP_S)
    assert send(lost, 1.0 + 0.9 * TRIP_S) == [8]
    lost.take([7, 9], 1.0 + 1.1 * TRIP_S, TRIP_S)
    assert (7, True) in lost.due(1.0 + 1.1 * TRIP_S)


def test_to_one_that_asks_again_by_itself_nothing_is_sent_unasked():
    lost = asked(7)
    send(lost, 0.0)
    lost.take([7], 0.1, TRIP_S)
    assert send(lost, 0.1) == [7] and not lost
    lost.take([11], 0.2, TRIP_S)
    assert send(lost, 0.2) == [11] and not lost


def test_what_is_kept_in_mind_is_bounded_and_forgotten_with_a_keyframe():
    lost = Asked()
    for number in range(0, 3 * MOST, 3):
        lost.take(range(max(0, number - 60), number + 1), float(number), TRIP_S)
    lost.take(range(1000, 1000 + 2 * MOST), 999.0, TRIP_S)
    assert [number for number, _ in lost.due(999.0)] == list(range(1000 + MOST, 1000 + 2 * MOST))
    lost.clear()
    assert not lost and lost.due(999.0) == []


def test_one_that_is_not_there_any_more_is_dropped():
    lost = asked(7, 8)
    lost.drop(7)
    assert lost.due(0.0) == [(8, True)]
