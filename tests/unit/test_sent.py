"""What a viewer was sent lately: the right packet again, and none that it was not sent."""

from hypothesis import given
from hypothesis import strategies as st

from whep_server.live.packetize import Packetised
from whep_server.rtc.sent import COOLDOWN_S, KEPT_PACKETS, KEPT_TICKS, KEPT_UNITS, SEQUENCES, Sent, SentPacket

FRAME = 3600


def filled(first: int, sizes: list[int], ticks: int = FRAME) -> tuple[Sent, dict[int, SentPacket]]:
    """So many packets a unit, one unit every so many ticks; and every packet that was ever sent."""
    sent, known, sequence = Sent(), {}, first
    for at, size in enumerate(sizes):
        payloads = tuple(f"{at}.{index}".encode() for index in range(size))
        extensions = at.to_bytes(4, "big")
        sent.note(sequence, Packetised(payloads, at * ticks, keyframe=True), extensions)
        for index, payload in enumerate(payloads):
            known[sequence] = SentPacket(sequence, payload, at * ticks, index == size - 1, extensions)
            sequence += 1
    return sent, known


@given(st.integers(0, 3 * SEQUENCES), st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(0, 65_535))
def test_a_number_brings_back_the_packet_that_had_it_last_or_none(first, sizes, number):
    sent, known = filled(first, sizes)
    newest = max(known)
    had_it = [sequence for sequence in known if sequence % SEQUENCES == number]
    oldest_tick = (len(sizes) - 1) * FRAME - KEPT_TICKS
    expected = None
    if had_it and newest - had_it[-1] < KEPT_PACKETS and known[had_it[-1]].rtp_time >= oldest_tick:
        expected = known[had_it[-1]]
    assert sent.again(number, 5.0) == expected


def test_every_packet_of_the_last_seconds_is_there_across_the_wrap_of_the_number():
    sent, known = filled(SEQUENCES - 20, [7] * 26)
    found = {sequence: sent.again(sequence % SEQUENCES, 0.0) for sequence in known}
    assert found == known and min(known) < SEQUENCES < max(known)


def test_what_follows_the_newest_was_never_sent():
    sent, known = filled(0, [3, 3])
    assert [sent.again(number, 0.0) for number in (6, 7, 65_535)] == [None] * 3
    assert sent.again(5, 0.0) == known[5]
    assert Sent().again(0, 0.0) is None


def test_a_packet_is_sent_again_once_in_a_while():
    sent, known = filled(0, [4])
    repeated = [sent.again(2, now_s) for now_s in (1.0, 1.0 + 0.9 * COOLDOWN_S, 1.0 + 1.1 * COOLDOWN_S)]
    assert repeated == [known[2], None, known[2]]
    assert sent.again(3, 1.0) == known[3], "each has its own time"


def test_a_packet_is_not_sent_once_more_before_the_first_can_have_arrived():
    sent, known = filled(0, [4])
    assert [sent.again(2, now_s, trip_s=0.4) for now_s in (1.0, 1.39, 1.41)] == [known[2], None, known[2]]


def test_what_is_kept_is_bounded():
    sent, _ = filled(0, [1] * 10_000, ticks=1)
    assert len(sent._units) == KEPT_UNITS
    for now_s in range(5000):
        sent.again(10_000 - 1 - now_s % KEPT_UNITS, float(now_s))
    assert len(sent._repeated_s) <= KEPT_PACKETS
