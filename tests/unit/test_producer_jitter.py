"""The start buffer follows how uneven producers were."""

from hypothesis import given
from hypothesis import strategies as st

from whep_server.live.producer_jitter import MARGIN_S, MOST_S, ProducerJitter

PIECE_S = 0.02


def uttered(jitter: ProducerJitter, delays: list[float], start_s: float = 0.0, speed: float = 1.0) -> None:
    """An utterance whose pieces come ``delays`` after their time."""
    jitter.began()
    came_s = start_s
    for place, delay in enumerate(delays):
        came_s = max(came_s, start_s + place * PIECE_S / speed + delay)
        jitter.came(came_s, PIECE_S)


def test_a_steady_producer_needs_what_is_configured():
    jitter = ProducerJitter()
    assert jitter.start_ms(120) == 120
    uttered(jitter, [0.0] * 100)
    assert jitter.start_ms(120) == 120
    uttered(jitter, [0.0] * 100, speed=10)
    assert jitter.start_ms(20) == 1000 * MARGIN_S


def test_an_uneven_one_needs_as_much_as_it_was_late_and_is_forgiven_in_time():
    jitter = ProducerJitter()
    uttered(jitter, [0.0] * 50 + [0.3] * 50)
    needed = [jitter.start_ms(120)]
    for turn in range(10):
        uttered(jitter, [0.0] * 50, start_s=10.0 * (turn + 1))
        needed.append(jitter.start_ms(120))
    assert needed[0] == 1000 * (0.3 + MARGIN_S)
    assert needed == sorted(needed, reverse=True) and needed[0] > needed[1] > needed[-1] == 120


def test_a_pause_in_the_middle_is_not_jitter():
    jitter = ProducerJitter()
    uttered(jitter, [0.0] * 50 + [MOST_S + 600.0] * 50)
    assert jitter.start_ms(120) == 120


@given(
    st.lists(st.lists(st.floats(0, 5), min_size=1, max_size=40), max_size=6),
    st.integers(20, 1000),
)
def test_it_is_never_less_than_configured_nor_more_than_may_be(utterances, configured):
    jitter = ProducerJitter()
    for delays in utterances:
        uttered(jitter, delays)
        assert configured <= jitter.start_ms(configured) <= max(configured, 1000 * MOST_S)
