"""What may be sent again is a share of what is sent."""

from hypothesis import given
from hypothesis import strategies as st

from whep_server.rtc.repeats import MOST, SHARE, Repeats


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(0, 100))))
def test_no_more_is_sent_again_than_a_share_and_one_burst(units: list[tuple[int, int]]):
    repeats, sent, repeated = Repeats(), 0, 0
    for packets, wanted in units:
        repeats.sent(packets)
        sent += packets
        for _ in range(wanted):
            if repeats.allowed:
                repeats.repeated()
                repeated += 1
        assert repeated <= MOST + SHARE * sent


def test_a_loss_of_a_tenth_is_made_good_for_ever():
    repeats = Repeats()
    for _ in range(1000):
        repeats.sent(10)
        assert repeats.allowed
        repeats.repeated()
