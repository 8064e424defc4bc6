"""Trickle fragments as players write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.errors import MalformedFragment
from whep_server.signaling.sdpfrag import MAX_CANDIDATES, parse_fragment

CANDIDATE = "a=candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host"
OTHER_CANDIDATE = CANDIDATE.replace(" 1 udp", " 0 udp").replace("5000", "5002")
MEDIA = "m=audio 9 RTP/AVP 0"
LINES = st.sampled_from(
    [CANDIDATE, OTHER_CANDIDATE, MEDIA, "a=mid:0", "a=mid:video1", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22, "a="]
) | st.sampled_from(["a=end-of-candidates", "", "x"])


@given(st.binary(max_size=2000) | st.lists(LINES, max_size=40).map(lambda lines: "\r\n".join(lines).encode()))
def test_any_bytes_parse_or_are_malformed(body):
    try:
        fragment = parse_fragment(body)
    except MalformedFragment:
        return
    assert parse_fragment(fragment.to_bytes()) == fragment


@pytest.mark.parametrize("ending", ["\r\n", "\n"])
def test_credentials_stand_at_either_level(ending):
    head = ["a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22]
    media = ["m=audio 9 RTP/AVP 0", "a=mid:video0"]
    for lines in ([*head, *media, CANDIDATE], [*media, *head, CANDIDATE]):
        fragment = parse_fragment(ending.join(lines).encode())
        assert (fragment.ufrag, len(fragment.candidates), fragment.candidates[0].mid) == ("abcd", 1, "video0")


def test_component_0_is_component_1():
    """Eyevinn's web client."""
    fragment = parse_fragment(CANDIDATE.replace(" 1 udp", " 0 udp").encode())
    assert fragment.candidates[0].value.startswith("1 1 udp")


@pytest.mark.parametrize("line", ["a=candidate:1 1 tcp 1 192.0.2.1 9 typ host", "a=candidate:garbage", "a=mid:0"])
def test_a_fragment_without_usable_candidates_is_one_all_the_same(line):
    assert parse_fragment(line.encode()).candidates == ()


def test_a_bare_attribute_line_is_passed_over():
    """Firefox with whip-whep."""
    assert len(parse_fragment(f"a=\r\n{CANDIDATE}\r\na=end-of-candidates".encode()).candidates) == 1


@pytest.mark.parametrize("body", [b"", b'{"candidate": "..."}', b"\xff\xfe", b"a=\r\n", b"v=0\r\n"])
def test_what_is_no_fragment_is_malformed(body):
    with pytest.raises(MalformedFragment):
        parse_fragment(body)


def test_too_many_candidates_are_passed_over():
    lines = [CANDIDATE.replace("5000", str(5000 + port)) for port in range(MAX_CANDIDATES + 1)]
    assert len(parse_fragment("\n".join(lines).encode()).candidates) == MAX_CANDIDATES
