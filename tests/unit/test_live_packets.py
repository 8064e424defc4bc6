import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from avatar.live_packets import JUMP, MAX_PACKETS, TOLERANCE, Line, Packet, Waiting


def packet(number: int, *, sequence: int = 0, time: int = 0, samples: int = 960) -> Packet:
    """The packet with that number of a source that starts with that sequence number and time."""
    return Packet(sequence + number, time + number * samples, samples, b"")


def begun(*numbers: int) -> Line:
    line = Line()
    for number in numbers:
        assert line.place(packet(number), line.end) == [packet(number)]
    return line


def placed(line: Line, *packets: Packet) -> list[tuple[int, int]]:
    return [(each.sequence, each.at) for one in packets for each in line.place(one, line.end)]


@given(st.permutations(range(5, 45)), st.lists(st.integers(5, 44), max_size=10))
def test_a_sources_packets_keep_their_places_in_whatever_order_they_come(order: list[int], doubled: list[int]):
    line = begun(20)
    for number in [*order, *doubled]:
        assert line.place(packet(number), line.end) == [packet(number)]
    assert line.end == 45 * 960 and line.restarts == 0


@pytest.mark.parametrize("sequence", [-30_000, -50, 0, 50, 30_000, 1 << 20])
@pytest.mark.parametrize("time", [-(1 << 31), -2 * JUMP, 2 * JUMP, 1 << 33])
def test_a_source_that_starts_anew_goes_on_where_the_line_ends(sequence: int, time: int):
    line = begun(*range(10))
    anew = [packet(number, sequence=10 + sequence, time=time) for number in range(3)]
    assert placed(line, *anew) == [(10, 9600), (11, 10_560), (12, 11_520)]
    assert line.restarts == 1


def test_only_the_first_packet_of_it_is_marked():
    line = begun(0)
    line.place(packet(0, time=1 << 32), line.end)
    both = line.place(packet(1, time=1 << 32), line.end)
    assert [each.anew for each in both] == [True, False]


def test_after_a_silence_it_goes_on_as_early_as_it_may():
    line = begun(0)
    line.place(packet(0, time=1 << 32), 50_000)
    assert [each.at for each in line.place(packet(1, time=1 << 32), 50_000)] == [50_000, 50_960]


def test_one_stray_packet_is_not_believed_and_two_that_disagree_are_not():
    line = begun(*range(10))
    for number in range(10, 20):
        assert line.place(Packet(number * 7919, number << 40, 960, b""), line.end) == []
        assert line.place(packet(number), line.end) == [packet(number)]
    assert line.restarts == 0


def test_two_sources_at_once_are_not_mixed():
    line = begun(0)
    other = [packet(number, sequence=40_000, time=1 << 31) for number in range(1, 9)]
    both = [each for number in range(1, 9) for each in (packet(number), other[number - 1])]
    assert placed(line, *both) == [(number, number * 960) for number in range(1, 9)]


@pytest.mark.parametrize("pause", [960, JUMP // 2, JUMP])
def test_a_pause_is_a_pause(pause: int):
    line = begun(0)
    assert line.place(Packet(1, 960 + pause, 960, b""), line.end) == [Packet(1, 960 + pause, 960, b"")]


def test_a_long_pause_is_one_where_as_much_time_has_passed():
    line = begun(0)
    after = Packet(1, 960 + 60 * JUMP, 960, b"")
    assert line.place(after, 960 + 59 * JUMP) == [Packet(1, 960 + 60 * JUMP, 960, b"")]


def test_clocks_may_waver():
    line = begun(0)
    assert line.place(Packet(1, 960 - TOLERANCE, 960, b""), line.end)
    assert not line.place(Packet(2, 960 - TOLERANCE + 960 - TOLERANCE - 1, 960, b""), line.end)


@given(st.lists(st.tuples(st.integers(-(1 << 63), 1 << 63), st.integers(-(1 << 63), 1 << 63)), max_size=50))
@example([(0, 841)])
def test_whatever_the_numbers_the_line_never_goes_back(numbers: list[tuple[int, int]]):
    line, ends = begun(0), [960]
    for sequence, time in numbers:
        for each in line.place(Packet(sequence, time, 120, b""), line.end):
            assert each.end <= line.end
        ends.append(line.end)
        assert 0 <= ends[-1] - ends[-2] <= 2 * JUMP + 240
    assert ends == sorted(ends)


@given(st.permutations(range(30)))
def test_packets_wait_in_order_and_once(order: list[int]):
    waiting = Waiting()
    assert all(waiting.add(packet(number)) for number in order)
    assert not any(waiting.add(packet(number)) for number in order)
    assert [waiting.pop() for _ in range(len(waiting))] == [packet(number) for number in range(30)]
    assert waiting.first is None


def test_when_full_the_oldest_goes():
    waiting = Waiting()
    for number in range(MAX_PACKETS + 5):
        waiting.add(packet(number))
    assert len(waiting) == MAX_PACKETS and waiting.first == packet(5)
