"""Headers of sessions."""

import re

import pytest

from whep_server.errors import PreconditionFailed
from whep_server.signaling.headers import check_if_match, ice_server_link, new_etag, new_session_id, session_location


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
