"""What holds for anything a peer can send: clients' own offers and fragments, broken line by line."""

import pytest
from aiortc.sdp import candidate_from_sdp
from hypothesis import example, given
from hypothesis import strategies as st

from tests.invariants import (
    PLANNERS,
    check_answer,
    check_parsed,
    check_served,
    check_shown,
    plan_for_player,
    planned,
)
from tests.offers import offer, section
from tests.strategies import (
    authorizations,
    fragments,
    header_values,
    if_matches,
    offer_texts,
    offers,
    protocol_of,
    texts,
)
from whep_server.errors import MalformedFragment, MalformedSdp, PreconditionFailed, PreconditionMissing, Unauthorized
from whep_server.signaling.headers import WILDCARDS, check_if_match, given_token
from whep_server.signaling.sdp import parse_offer, usable_candidate
from whep_server.signaling.sdpfrag import MAX_CANDIDATES, Credentials, parse_fragment
from whep_server.signaling.tokens import EVERY, Grant, Keyring, Scope, Secret

EACH_PLANNER = pytest.mark.parametrize("planner", PLANNERS.values(), ids=list(PLANNERS))


@given(offers())
@example(offer().replace("111 0", "111 ²"))
def test_any_offer_parses_to_what_it_says_or_is_malformed(text):
    try:
        parsed = parse_offer(text)
    except MalformedSdp:
        return
    check_parsed(parsed)


@EACH_PLANNER
@given(text=offers(), candidates=st.integers(1, 40), padding=st.sampled_from((0, 60, 300)))
@example(text=offer().replace("111 0", "111 ²"), candidates=1, padding=0)
def test_any_offer_is_served_as_it_asks_malformed_or_not_acceptable(planner, text, candidates, padding):
    plan = planned(text, planner)
    if plan is not None:
        check_served(plan)
        check_shown(plan)
        check_answer(plan, candidates, padding)


@pytest.mark.parametrize("sections", [1, 16, 64])
@pytest.mark.parametrize("size", [1, 64, 4000])
def test_names_in_an_offer_cannot_make_the_answer_too_long(sections, size):
    """Mids and formats come back in the answer as they are."""
    others = [section("audio", f"{at}".zfill(size), direction="inactive", codecs=[]) for at in range(sections - 1)]
    plan = planned(offer(sections=[section("video", "v"), *others]), plan_for_player)
    if plan is not None:
        check_answer(plan)


@pytest.mark.parametrize("name", texts("*.sdp"))
def test_every_client_gets_what_it_asks_for(name):
    """No recorded offer is refused by the endpoint it was meant for, but those that the standards refuse."""
    refused = {"chromium-156-conference-whip": "two video", "chromium-156-unbundled-whip": "BUNDLE"}
    text = texts("*.sdp")[name]
    plan = planned(text, PLANNERS[protocol_of(text)])
    assert (plan is None) == (name in refused)


# --- fragments

KNOWN = Credentials("abcd", "p" * 22)


@given(fragments())
def test_any_fragment_parses_to_what_it_says_or_is_malformed(body):
    try:
        fragment = parse_fragment(body)
    except MalformedFragment:
        return
    assert parse_fragment(fragment.to_bytes()) == fragment
    assert len(fragment.candidates) <= MAX_CANDIDATES
    for candidate in fragment.candidates:
        assert usable_candidate(candidate.value) == candidate.value
        assert candidate_from_sdp(candidate.value).component == 1


@given(fragments())
def test_any_fragment_trickles_restarts_or_is_malformed(body):
    try:
        fragment = parse_fragment(body)
        fresh = fragment.restart_from(KNOWN)
    except MalformedFragment:
        return
    if fresh is None:
        assert fragment.ufrag in (None, KNOWN.ufrag) and fragment.password in (None, KNOWN.password)
    else:
        assert fresh.ufrag == fragment.ufrag != KNOWN.ufrag and fresh.password == fragment.password != KNOWN.password
        assert len(fresh.ufrag) >= 4 and len(fresh.password) >= 22


# --- headers


@given(value=if_matches(), strict=st.booleans())
def test_any_if_match_proceeds_or_fails(value, strict):
    try:
        check_if_match(value, '"tag"', strict=strict)
    except PreconditionMissing:
        assert strict and value is None
    except PreconditionFailed:
        assert value is not None and value.strip() not in {*WILDCARDS, '"tag"', "tag"}
    else:
        assert not (strict and value is None)


@given(authorization=authorizations(), query=st.none() | header_values())
def test_any_token_is_let_in_or_refused(authorization, query):
    token = given_token(authorization, query)
    if token is None:
        return
    watcher = Grant(frozenset({Scope.WATCH}), EVERY)
    keys = Keyring([Secret("", "s" * 32)], [("other", watcher), ("secret", watcher)])
    try:
        assert keys.read(token, 0.0) is watcher and token in ("other", "secret")
    except Unauthorized as error:
        assert error.headers["WWW-Authenticate"].startswith("Bearer ")
        assert token not in ("other", "secret")


def test_the_offers_drawn_from_are_of_many_clients():
    assert len(offer_texts()) >= 20
