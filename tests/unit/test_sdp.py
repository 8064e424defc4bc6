"""Offers as players write them, and as nobody should."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.offers import FINGERPRINT, offer, section
from whep_server.errors import MalformedSdp
from whep_server.signaling.sdp import (
    MAX_CANDIDATES,
    parse_description,
    parse_offer,
    usable_candidate,
    usable_candidates,
)


@given(st.text(max_size=2000) | st.lists(st.sampled_from(offer().splitlines()), max_size=60).map("\r\n".join))
def test_any_text_parses_or_is_malformed(text):
    try:
        parsed = parse_offer(text)
        for each in parsed.description.sections:
            parsed.transport(each)
    except MalformedSdp:
        return
    assert parse_description(str(parsed.description)) == parsed.description


@pytest.mark.parametrize("ending", ["\r\n", "\n", "\r"])
def test_any_line_ending_is_read(ending):
    parsed = parse_offer(offer().replace("\r\n", ending))
    assert [each.kind for each in parsed.description.sections] == ["audio", "video"]


def test_transport_attributes_at_session_level_are_inherited():
    lines = ["a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 24, f"a=fingerprint:{FINGERPRINT}", "a=setup:actpass"]
    parsed = parse_offer(offer(session=lines, sections=[section("audio", "0", transport=False)]))
    transport = parsed.transport(parsed.description.sections[0])
    assert (transport.ufrag, transport.setup) == ("abcd", "actpass")


def test_a_bundle_only_section_takes_the_tagged_sections_transport():
    """RFC 9725's own example."""
    second = section("video", "1", transport=False, port=0, extra=["a=bundle-only"])
    parsed = parse_offer(offer(sections=[section("audio", "0"), second]))
    assert not parsed.rejected(parsed.description.sections[1])
    assert parsed.transport(parsed.description.sections[1]).ufrag == "ufrag"


def test_port_0_rejects_a_section():
    parsed = parse_offer(offer(sections=[section("audio", "0"), section("video", "1", port=0)]))
    assert parsed.rejected(parsed.description.sections[1])


@pytest.mark.parametrize("name", ["ice-ufrag", "ice-pwd", "fingerprint"])
def test_what_every_session_needs_is_asked_for(name):
    text = "\r\n".join(line for line in offer().split("\r\n") if not line.startswith(f"a={name}"))
    parsed = parse_offer(text)
    with pytest.raises(MalformedSdp, match=name):
        parsed.transport(parsed.description.sections[0])


@pytest.mark.parametrize("value", ["md5 00:11", "sha-256 00:11", "sha-256", "sha-256 " + "zz:" * 31 + "zz"])
def test_a_fingerprint_that_cannot_be_checked_is_none(value):
    parsed = parse_offer(offer().replace(FINGERPRINT, value))
    with pytest.raises(MalformedSdp):
        parsed.transport(parsed.description.sections[0])


def test_holdconn_allows_no_connection():
    parsed = parse_offer(offer().replace("a=setup:actpass", "a=setup:holdconn"))
    with pytest.raises(MalformedSdp):
        parsed.transport(parsed.description.sections[0])


@pytest.mark.parametrize(
    "text", ["", "v=1\r\n", "hello", "v=0\r\nx", "v=0\r\nm=nothing\r\n", "v=0\r\n" + "a=x\r\n" * 5000, '{"sdp": 1}']
)
def test_what_is_not_sdp_is_malformed(text):
    with pytest.raises(MalformedSdp):
        parse_offer(text)


def test_a_mid_stands_for_one_section():
    with pytest.raises(MalformedSdp):
        parse_offer(offer(sections=[section("audio", "0"), section("video", "0")]))


def test_too_many_sections_are_malformed():
    with pytest.raises(MalformedSdp):
        parse_offer(offer(sections=[section("audio", str(index)) for index in range(65)]))


@pytest.mark.parametrize(
    ("value", "usable"),
    [
        ("1 1 udp 2130706431 192.0.2.1 5000 typ host", "1 1 udp 2130706431 192.0.2.1 5000 typ host"),
        ("1 0 UDP 2130706431 192.0.2.1 5000 typ host", "1 1 udp 2130706431 192.0.2.1 5000 typ host"),
        ("1 1 udp 1 2001:db8::1 5000 typ srflx raddr 0.0.0.0 rport 9", "1 1 udp 1 2001:db8::1 5000 typ srflx"),
        ("1 1 udp 1 192.0.2.1 5000 typ host generation 0 ufrag x", "1 1 udp 1 192.0.2.1 5000 typ host"),
        ("1 1 tcp 1 192.0.2.1 9 typ host tcptype active", None),
        ("1 1 udp 1 0d6ba5e4.local 5000 typ host", None),
        ("1 1 udp 1 example.com 5000 typ host", None),
        ("1 1 udp 1 fe80::1 5000 typ host", None),
        ("1 1 udp 1 169.254.169.254 80 typ host", None),
        ("1 1 udp 1 224.0.0.251 5353 typ host", None),
        ("1 1 udp 1 255.255.255.255 9 typ host", None),
        ("1 1 udp 1 0.1.2.3 9 typ host", None),
        ("1 1 udp 1 ff02::fb 5353 typ host", None),
        ("1 1 udp 1 ::ffff:127.0.0.1 53 typ host", None),
        ("1 1 udp 1 ::ffff:a9fe:a9fe 80 typ host", None),
        ("1 2 udp 1 192.0.2.1 5000 typ host", None),
        ("1 1 udp 1 192.0.2.1 0 typ host", None),
        ("1 1 udp 1 192.0.2.1 99999 typ host", None),
        ("1 1 udp 99999999999 192.0.2.1 5000 typ host", None),
        ("", None),
    ],
)
def test_only_candidates_that_ice_can_use_are_kept(value, usable):
    assert usable_candidate(value) == usable


def test_no_more_candidates_are_kept_than_a_peer_can_need():
    values = [f"1 1 udp 1 192.0.2.1 {port} typ host" for port in range(1000, 1000 + MAX_CANDIDATES + 1)]
    assert len(usable_candidates(values)) == MAX_CANDIDATES == len(usable_candidates(values[:-1]))
