"""Whose candidate it is, where several watch one session."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whep_server.compat.candidates import (
    MAX_EARLY,
    MAX_VIEWERS,
    Told,
    Trickle,
    as_fragment,
    offered_ufrag,
    read_candidate,
)
from whep_server.signaling.sdpfrag import parse_fragment

CHROMIUMS = (
    "candidate:842163049 1 udp 1677729535 192.0.2.7 40678 typ srflx raddr 0.0.0.0 rport 0 "
    "generation 0 ufrag Hx4t network-cost 999"
)
VALUE = "842163049 1 udp 1677729535 192.0.2.7 40678 typ srflx"


def told(ufrag: str | None, port: int = 9) -> Told:
    return Told(f"1 1 udp 1 192.0.2.1 {port} typ host", ufrag)


@pytest.mark.parametrize(
    ("text", "ufrag", "whose"),
    [
        (CHROMIUMS, None, "Hx4t"),
        (f"a={CHROMIUMS}", "other", "Hx4t"),
        (f"  {CHROMIUMS}\r\n", None, "Hx4t"),
        (f"candidate:{VALUE}", None, None),
        (f"candidate:{VALUE}", "member", "member"),
        (VALUE, None, None),
    ],
)
def test_a_browsers_candidate(text, ufrag, whose):
    assert read_candidate(text, ufrag) == Told(VALUE, whose)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "candidate:",
        "candidate:nonsense",
        "candidate:1 1 udp 1 999.1.1.1 9 typ host",
        "candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
        "candidate:1 1 udp 1 aa3f.local 9 typ host",
        "\r\na=x",
        "candidate:1 1 udp 1 192.0.2.1 9 typ host\r\na=ice-ufrag:evil\r\na=ice-pwd:evilevilevilevilevilevil",
    ],
)
def test_what_ice_cannot_use_is_nothing(text):
    found = read_candidate(text)
    assert found is None or "\n" not in found.value


@settings(max_examples=40, deadline=None)
@given(st.text(), st.text() | st.none())
def test_whatever_is_sent_a_fragment_holds_candidates_alone(text, ufrag):
    for noise in (text, f"candidate:{text}", f"{CHROMIUMS}{text}", f"{CHROMIUMS}\r\na=ice-ufrag:{text}"):
        found = read_candidate(noise, ufrag)
        if found is not None:
            fragment = parse_fragment(as_fragment([found.value]).encode())
            assert (fragment.ufrag, fragment.password) == (None, None)
            assert [candidate.value for candidate in fragment.candidates] == [found.value]


def test_an_offers_ufrag_stands_at_any_level():
    assert offered_ufrag("v=0\r\na=ice-ufrag:abcd\r\nm=video 9 x 96\r\n") == "abcd"
    assert offered_ufrag("v=0\nm=audio 9 x 96\na=ice-ufrag:efgh\na=ice-ufrag:late\n") == "efgh"
    assert offered_ufrag("v=0\r\n") is None


def test_a_candidate_goes_to_whom_it_names_else_to_the_newest():
    trickle = Trickle()
    assert trickle.joined("first", "aaaa") == trickle.joined("second", "bbbb") == []
    assert trickle.viewer_of(told("aaaa")) == "first"
    assert trickle.viewer_of(told("bbbb")) == trickle.viewer_of(told(None)) == "second"
    trickle.left("second")
    assert trickle.viewer_of(told(None)) == "first"


def test_what_is_early_is_kept_for_its_offer():
    trickle = Trickle()
    for each in (told("bbbb", 1), told("aaaa", 2), told("bbbb", 3), told(None, 4)):
        assert trickle.viewer_of(each) is None
    assert trickle.joined("first", "aaaa") == [told("aaaa", 2).value, told(None, 4).value]
    assert trickle.joined("second", "bbbb") == [told("bbbb", 1).value, told("bbbb", 3).value]
    assert trickle.joined("again", "bbbb") == []


def test_a_flood_is_forgotten():
    trickle = Trickle()
    for port in range(1, 10 * MAX_EARLY):
        assert trickle.viewer_of(told("never", port)) is None
    for number in range(2 * MAX_VIEWERS):
        trickle.joined(str(number), "other")
    assert len(trickle.viewers) == MAX_VIEWERS and "0" not in trickle.viewers
    assert len(trickle.joined("last", "never")) == MAX_EARLY
