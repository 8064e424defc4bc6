"""Headers of sessions."""

import re

import pytest

from whep_server.errors import PreconditionFailed, PreconditionMissing
from whep_server.signaling.headers import (
    check_if_match,
    extension_link,
    given_token,
    ice_server_link,
    new_etag,
    new_session_id,
    session_location,
    turn_credentials,
)
from whep_server.signaling.ice_servers import IceServer, TurnLogin, ice_servers


def test_ids_and_tags_are_secret_and_safe():
    assert len({new_session_id() for _ in range(100)}) == 100
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", new_session_id())
    assert re.fullmatch(r'"[A-Za-z0-9_-]{16,}"', new_etag())


@pytest.mark.parametrize("value", [None, "*", '"*"', '"tag"', '"other", "tag"', "tag"])
def test_if_match_that_may_proceed(value):
    check_if_match(value, '"tag"')


@pytest.mark.parametrize("value", ['"other"', "other", 'W/"tag"'])
def test_if_match_of_another_session(value):
    with pytest.raises(PreconditionFailed):
        check_if_match(value, '"tag"')


def test_a_location_honours_the_base_path():
    assert session_location("", "whep", "demo", "id") == "/whep/demo/id"
    assert session_location("/base/", "whep", "demo", "id") == "/base/whep/demo/id"


def test_links_are_written_for_naive_parsers():
    assert ice_server_link("stun:example.com") == '<stun:example.com>; rel="ice-server"'
    link = ice_server_link("turn:example.com", "user", "secret")
    assert link.index("rel=") < link.index("username=") < link.index("credential=") < link.index("credential-type=")


def test_strict_mode_misses_if_match():
    check_if_match('"tag"', '"tag"', strict=True)
    check_if_match("*", '"tag"', strict=True)
    with pytest.raises(PreconditionMissing):
        check_if_match(None, '"tag"', strict=True)


@pytest.mark.parametrize(
    ("authorization", "query", "token"),
    [
        ("Bearer abc", None, "abc"),
        ("bearer abc", "other", "abc"),
        ("BEARER   abc ", None, "abc"),
        ("abc", None, "abc"),
        (None, "abc", "abc"),
        (None, None, None),
        ("", "abc", None),
        ("Basic abc", None, "Basic abc"),
    ],
)
def test_a_token_is_found_where_clients_put_it(authorization, query, token):
    assert given_token(authorization, query) == token


def test_turn_credentials_are_those_of_coturn():
    """As ``openssl dgst -sha1 -hmac north -binary`` prints it in base64."""
    assert turn_credentials("north", "nova", 1_700_000_000) == ("1700000000:nova", "l5VeoubwC04exHrkI4zfGe1V1g4=")
    assert turn_credentials("north", "", 1_700_000_000)[0] == "1700000000"


def test_ice_servers_have_the_login_of_now():
    login = TurnLogin("nova", "fixed")
    assert ice_servers(["stun:a"], ["turn:b"], login, 5.0) == [
        IceServer("stun:a"),
        IceServer("turn:b", "nova", "fixed"),
    ]
    (turn,) = ice_servers([], ["turn:b"], TurnLogin("nova", "fixed", "secret", 600), 5.9)
    assert turn.username == "605:nova" and turn.credential not in (None, "fixed", "secret")
    assert not set(turn.to_link().partition("credential=")[2].strip('"').partition('"')[0]) & set(' <>"\\,;')


def test_an_extension_is_one_link():
    assert extension_link("/e", "urn:x", ("a", "b")) == '</e>; rel="urn:x"; events="a,b"'
