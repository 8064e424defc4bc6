import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.rtc.reception import MAX_DROPOUT, SEQUENCES, TIMES, Reception

PACKET_S = 0.02


def received(numbers: list[int], *, clock_hz: int = 48_000, first_time: int = 0) -> Reception:
    """A source's packets of 20 ms, each exactly when it is due."""
    reception = Reception(clock_hz)
    for number in numbers:
        reception.add(number % SEQUENCES, (first_time + 960 * number) % TIMES, number * PACKET_S)
    return reception


@given(st.integers(0, SEQUENCES - 1), st.integers(0, TIMES - 1), st.lists(st.integers(1, 50), max_size=60))
def test_numbers_never_wrap(first: int, first_time: int, steps: list[int]):
    reception = Reception(48_000)
    sequence, time = reception.add(first, first_time, 0.0)
    for step in steps * 20:
        sequence, time = sequence + step, time + 960 * step * 1000
        assert reception.add(sequence % SEQUENCES, time % TIMES, 0.0) == (sequence, time)
    assert reception.latest == (sequence, time)


def test_overtaken_packets_keep_their_numbers():
    reception = received([SEQUENCES - 2, SEQUENCES - 1, SEQUENCES + 1])
    late = reception.add(0, 960 * SEQUENCES, 1.0)
    assert late == (SEQUENCES, 960 * SEQUENCES)
    assert reception.add(2, 960 * (SEQUENCES + 2), 1.0) == (SEQUENCES + 2, 960 * (SEQUENCES + 2))


def test_losses_are_what_is_missing():
    reception = received([n for n in range(65_500, 65_600) if n % 10])
    assert (reception.packets_expected, reception.packets_received) == (99, 90)
    assert reception.packets_lost == 9
    assert reception.fraction_lost == 9 * 256 // 99
    assert reception.fraction_lost == 0, "nothing came since"
    assert reception.max_seq == 65_599, "with the cycles of the sequence number"


def test_a_fraction_is_of_what_came_since_the_last_report():
    reception = received([1, 2, 3, 4])
    assert reception.fraction_lost == 0
    reception.add(8, 960 * 8, 0.16)
    assert reception.fraction_lost == 3 * 256 // 4


def test_doubled_packets_are_no_gain():
    reception = received([5, 5, 5, 6])
    assert reception.packets_lost == -2
    assert reception.fraction_lost == 0


def test_all_but_one_lost_is_the_largest_fraction():
    reception = received([1])
    assert reception.fraction_lost == 0
    reception.add(2999, 0, 1.0)
    assert reception.fraction_lost == 255


def test_a_steady_source_has_no_jitter_also_where_its_times_wrap():
    assert received(list(range(200)), first_time=TIMES - 96_000).jitter == 0


def test_jitter_approaches_how_unsteady_packets_come():
    reception = Reception(48_000)
    for number in range(400):
        reception.add(number, 960 * number, number * PACKET_S + (0.01 if number % 2 else 0.0))
    assert reception.jitter == pytest.approx(480, abs=5)


def test_one_stray_packet_changes_nothing():
    reception = received([1, 2, 3])
    reception.add(40_000, 7, 0.06)
    assert reception.add(4, 960 * 4, 0.08) == (4, 960 * 4)
    assert (reception.packets_expected, reception.packets_lost) == (4, 0)


@pytest.mark.parametrize("jump", [MAX_DROPOUT, 30_000, -200, -30_000])
def test_a_source_that_starts_anew_is_followed_from_its_second_packet(jump: int):
    reception = received(list(range(1000, 1100)))
    first = 1099 + jump
    numbers = [reception.add((first + n) % SEQUENCES, 5000 + 960 * n, 22 + n * PACKET_S)[0] for n in range(5)]
    assert numbers == list(range(first, first + 5))
    assert (reception.packets_expected, reception.packets_received, reception.packets_lost) == (4, 4, 0)
    assert reception.jitter == 0


def test_a_source_in_anothers_place_lies_above_it():
    before = received(list(range(70_000, 70_010)), first_time=5)
    reception = Reception(48_000, before)
    sequence, time = reception.add(3, 4, 0.0)
    assert sequence > before.latest[0] and time > before.latest[1]
    assert (sequence % SEQUENCES, time % TIMES) == (3, 4)
    assert reception.max_seq == 3, "its reports know nothing of the other"


def test_nothing_received_is_nothing_lost():
    reception = Reception(48_000)
    assert (reception.packets_expected, reception.packets_lost, reception.fraction_lost, reception.jitter) == (0,) * 4


@given(st.lists(st.tuples(st.integers(0, SEQUENCES - 1), st.integers(0, TIMES - 1)), max_size=200))
def test_whatever_comes_a_report_can_be_written(packets: list[tuple[int, int]]):
    reception = Reception(48_000)
    for at, (sequence, time) in enumerate(packets):
        extended = reception.add(sequence, time, at * PACKET_S)
        assert (extended[0] % SEQUENCES, extended[1] % TIMES) == (sequence, time)
        assert 0 <= reception.fraction_lost <= 255
        assert -(1 << 23) <= reception.packets_lost < 1 << 23
        assert 0 <= reception.max_seq < 1 << 32 and 0 <= reception.jitter < 1 << 32
