"""RTP and RTCP: round trips, header extensions, and any packet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.agent.rtcp import (
    Bye,
    KeyframeRequest,
    Nack,
    Name,
    ReceiverReport,
    Report,
    RtcpPacket,
    SenderReport,
    ntp_time,
    parse_rtcp,
)
from conformance.agent.rtp import MalformedRtp, RtpPacket, is_media, is_rtcp, parse_rtp

U32 = st.integers(0, 0xFFFFFFFF)
REPORTS = st.lists(st.builds(Report, U32, st.integers(0, 0xFFFFFF), U32), max_size=3).map(tuple)
PACKETS = st.builds(
    RtpPacket,
    st.integers(0, 127),
    st.integers(0, 0xFFFF),
    U32,
    U32,
    st.binary(max_size=50),
    st.booleans(),
    st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=3).map(tuple),
)
CONTROL = st.one_of(
    st.builds(SenderReport, U32, st.integers(0, 2**64 - 1), U32, U32, U32, REPORTS),
    st.builds(ReceiverReport, U32, REPORTS),
    st.builds(Name, U32, st.text(max_size=20)),
    st.builds(Bye, st.lists(U32, max_size=3).map(tuple)),
    st.builds(KeyframeRequest, U32, U32, st.none() | st.integers(0, 255)),
    st.builds(Nack, U32, U32, st.lists(st.integers(0, 0xFFFF), max_size=3).map(tuple)),
)


@given(PACKETS)
def test_a_packet_survives_the_wire(packet: RtpPacket) -> None:
    assert parse_rtp(packet.to_bytes()) == packet
    assert is_media(packet.to_bytes())


def test_padding_and_contributing_sources_are_left_out() -> None:
    packet = bytes.fromhex("b2 60 0001 00000002 00000003 00000004 00000005 bede0001 10aa0000") + b"payload\0\0\3"
    assert parse_rtp(packet) == RtpPacket(96, 1, 2, 3, b"payload", extensions=((1, b"\xaa"),))


def test_two_byte_extensions_are_read() -> None:
    packet = bytes.fromhex("90 60 0001 00000002 00000003 1000 0002 0f 02 abcd 00 01 00 00") + b"x"
    assert parse_rtp(packet).extensions == ((15, b"\xab\xcd"), (1, b""))


def test_an_extension_without_a_one_byte_form_is_not_written() -> None:
    with pytest.raises(ValueError, match="no one-byte form"):
        RtpPacket(96, 1, 2, 3, b"", extensions=((15, b"x"),)).to_bytes()


@given(st.lists(CONTROL, max_size=4))
def test_a_compound_survives_the_wire(packets: list[RtcpPacket]) -> None:
    assert parse_rtcp(b"".join(packet.to_bytes() for packet in packets)) == packets


def test_a_nack_names_the_lost_by_first_and_bits() -> None:
    packet = bytes.fromhex("81cd0003 00000001 00000002 fffe 0005")
    assert parse_rtcp(packet) == [Nack(1, 2, (0xFFFE, 0xFFFF, 1))]
    assert is_rtcp(packet)


def test_unknown_packets_of_a_compound_are_passed_over() -> None:
    feedback = bytes.fromhex("8fcd0002 00000001 00000002")  # transport-wide congestion control
    assert parse_rtcp(feedback + Bye((7,)).to_bytes()) == [Bye((7,))]


def test_ntp_time_counts_from_1900() -> None:
    assert ntp_time(0.5) == (2_208_988_800 << 32) + (1 << 31)


@given(st.binary(max_size=100) | st.binary(max_size=40).map(lambda tail: b"\x91\x60" + tail))
def test_any_packet_is_rtp_or_malformed(packet: bytes) -> None:
    try:
        parse_rtp(packet)
    except MalformedRtp:
        return
    assert is_media(packet)


@given(
    st.binary(max_size=100)
    | st.tuples(st.integers(128, 191), st.integers(200, 206), st.binary(max_size=64)).map(
        lambda parts: bytes((parts[0], parts[1], 0, len(parts[2]) // 4)) + parts[2][: len(parts[2]) // 4 * 4]
    )
)
def test_any_compound_is_rtcp_or_malformed(compound: bytes) -> None:
    try:
        found = parse_rtcp(compound)
    except MalformedRtp:
        return
    assert isinstance(found, list)
