"""RTP packets as aiortc and libsrtp read them, who have no part in making them."""

import os

import pylibsrtp
import pytest
from aiortc.rtcrtpparameters import (
    RTCRtcpFeedback,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpSendParameters,
)
from aiortc.rtp import HeaderExtensionsMap, RtpPacket, unwrap_rtx
from hypothesis import given
from hypothesis import strategies as st
from pylibsrtp import Policy, Session

from whep_server.live.packetize import Packetised
from whep_server.rtc.outgoing import MID, SEND_TIME, Outgoing, agreed
from whep_server.rtc.sent import KEPT_PACKETS

SSRC, RTX_SSRC, ORIGIN = 0xFEED, 0xBEEF, 0xFFFFFF00
FEEDBACK = [RTCRtcpFeedback("nack"), RTCRtcpFeedback("nack", "pli"), RTCRtcpFeedback("goog-remb")]
VP8 = RTCRtpCodecParameters("video/VP8", 90_000, payloadType=96, rtcpFeedback=FEEDBACK)
RTX = RTCRtpCodecParameters("video/rtx", 90_000, payloadType=97, parameters={"apt": 96})
OPUS = RTCRtpCodecParameters("audio/opus", 48_000, 2, payloadType=111)
EXTENSIONS = {MID: 4, SEND_TIME: 2}
units = st.lists(st.binary(min_size=1, max_size=1200), min_size=1, max_size=9)


def parameters(*codecs, mid="0", extensions=EXTENSIONS) -> RTCRtpSendParameters:
    headers = [RTCRtpHeaderExtensionParameters(number, uri) for uri, number in extensions.items()]
    return RTCRtpSendParameters(codecs=list(codecs), headerExtensions=headers, muxId=mid)


class Ends:
    """A track, and who receives it."""

    def __init__(self, sent: RTCRtpSendParameters, kind: str = "video") -> None:
        key = os.urandom(30)
        sending = Policy(key, Policy.SSRC_ANY_OUTBOUND)
        sending.allow_repeat_tx, sending.window_size = True, 1024  # as aiortc has it
        self._srtp = Session(Policy(key, Policy.SSRC_ANY_INBOUND))
        self._extensions = HeaderExtensionsMap()
        self._extensions.configure(sent)
        self.out = Outgoing(agreed(sent, kind, SSRC, RTX_SSRC), Session(sending), ORIGIN)

    def read(self, packet: bytes) -> RtpPacket:
        return RtpPacket.parse(self._srtp.unprotect(packet), self._extensions)


@given(st.lists(units, min_size=1, max_size=20), st.integers(0, 70_000), st.sampled_from(["0", "x" * 20]))
def test_units_come_out_whole_in_order_and_at_their_time(pictures, first, mid):
    ends = Ends(parameters(VP8, RTX, mid=mid))
    ends.out._next = first
    read = []
    for at, payloads in enumerate(pictures):
        unit = Packetised(tuple(payloads), at * 3600, keyframe=True)
        packets = [ends.read(packet) for packet in ends.out.pack(unit, 100.0 + at)]
        assert [packet.payload for packet in packets] == payloads
        assert [packet.marker for packet in packets] == [0] * (len(payloads) - 1) + [1]
        assert {packet.timestamp for packet in packets} == {(ORIGIN + at * 3600) % 2**32}
        assert {packet.extensions.abs_send_time for packet in packets} == {(100 + at) * 2**18 % 2**24}
        read += packets
    assert [packet.sequence_number for packet in read] == [(first + at) % 65_536 for at in range(len(read))]
    assert {(packet.ssrc, packet.payload_type, packet.extensions.mid) for packet in read} == {(SSRC, 96, mid)}


def test_sound_carries_no_marker_since_it_never_pauses():
    ends = Ends(parameters(OPUS, extensions={MID: 4}), "audio")
    packets = [ends.read(*ends.out.pack(Packetised((b"opus",), at * 960, True), 0.0)) for at in range(3)]
    assert [packet.marker for packet in packets] == [0, 0, 0]
    assert {packet.extensions.abs_send_time for packet in packets} == {None}
    assert ends.out.pack_again(packets[1].sequence_number, 0.0) is None, "no NACK was agreed on for sound"


def test_without_extensions_there_are_none():
    ends = Ends(parameters(VP8, extensions={}))
    (packet,) = ends.out.pack(Packetised((b"picture",), 0, True), 0.0)
    assert len(packet) == 12 + len(b"picture") + 10
    assert ends.read(packet).payload == b"picture"


def test_what_is_sent_again_goes_as_rtx_where_that_was_agreed_on():
    ends = Ends(parameters(VP8, RTX))
    unit = Packetised((b"one", b"two", b"three"), 0, True)
    packets = [ends.read(packet) for packet in ends.out.pack(unit, 0.0)]
    again = [ends.read(ends.out.pack_again(packet.sequence_number, 1.0)) for packet in packets]
    assert {(packet.ssrc, packet.payload_type) for packet in again} == {(RTX_SSRC, 97)}
    assert [packet.sequence_number - again[0].sequence_number for packet in again] == [0, 1, 2]
    repaired = [unwrap_rtx(packet, payload_type=96, ssrc=SSRC) for packet in again]
    for before, after in zip(packets, repaired, strict=True):
        assert (before.sequence_number, before.timestamp, before.marker, before.payload) == (
            after.sequence_number,
            after.timestamp,
            after.marker,
            after.payload,
        )


def test_without_rtx_the_very_same_packet_is_sent_again():
    """Two that differ under one number would give the key of AES-GCM away."""
    ends = Ends(parameters(VP8))
    first, second = ends.out.pack(Packetised((b"one", b"two"), 0, True), 0.0)
    number = ends.read(second).sequence_number
    assert ends.out.pack_again(number, 9.0) == second
    with pytest.raises(pylibsrtp.Error, match="replay"):
        ends.read(second)
    assert ends.read(first).payload == b"one"


def test_libsrtp_encrypts_again_whatever_we_remember():
    ends = Ends(parameters(VP8))
    packets = [packet for at in range(300) for packet in ends.out.pack(Packetised((b"x",) * 40, at * 90, True), 0.0)]
    numbers = [int.from_bytes(packet[2:4], "big") for packet in packets]
    again = [ends.out.pack_again(number, float(at)) for at, number in enumerate(numbers[-KEPT_PACKETS:])]
    assert again == packets[-KEPT_PACKETS:]
    assert ends.out.pack_again(numbers[-KEPT_PACKETS - 1], 1e6) is None
