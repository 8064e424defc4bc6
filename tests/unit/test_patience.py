"""Which STUN and TURN servers are asked, and when again."""

from collections import Counter

from whep_server.rtc.gathering import REST_S, Patience

TURN = "turn:relay.example:3478?transport=udp"
HERE, THERE = "10.0.0.5", "10.8.0.5"


def test_a_silent_server_is_left_alone_and_then_tried_by_one():
    silences: Counter[str] = Counter()
    patience = Patience(silences)
    assert patience.asks(TURN, "", 5.0) and patience.asks(TURN, "", 5.0)
    patience.silent(TURN, "", 7.0)
    assert not patience.asks(TURN, "", 7.0) and not patience.asks(TURN, "", 6.9 + REST_S)
    assert patience.asks(TURN, "", 7.0 + REST_S)
    assert not patience.asks(TURN, "", 7.0 + REST_S)
    patience.silent(TURN, "", 9.0 + REST_S)
    assert not patience.asks(TURN, "", 8.9 + 2 * REST_S) and patience.asks(TURN, "", 9.0 + 2 * REST_S)
    assert silences == {TURN: 2}


def test_one_that_answers_again_is_asked_by_all():
    patience = Patience()
    patience.silent(TURN, "", 0.0)
    assert patience.asks(TURN, "", REST_S)
    patience.heard(TURN, "")
    assert patience.asks(TURN, "", REST_S) and patience.asks(TURN, "", REST_S)


def test_what_one_address_does_not_reach_others_may():
    patience = Patience()
    patience.silent(TURN, HERE, 0.0)
    assert not patience.asks(TURN, HERE, 1.0) and patience.asks(TURN, THERE, 1.0)
