"""RTP packets: read and written, with one-byte and two-byte header extensions. Pure.

Sources: RFC 3550 section 5.1, RFC 8285, RFC 7983 (telling RTP from RTCP and the rest).
"""

import struct
from dataclasses import dataclass
from typing import Final

HEADER_BYTES: Final = 12
ONE_BYTE_PROFILE: Final = 0xBEDE
TWO_BYTE_PROFILE: Final = 0x1000


class MalformedRtp(Exception):
    """The datagram is no RTP or RTCP packet."""


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet, padding removed."""

    payload_type: int
    sequence: int
    rtp_time: int
    ssrc: int
    payload: bytes
    marker: bool = False
    extensions: tuple[tuple[int, bytes], ...] = ()
    """Header extensions by their ids."""

    def to_bytes(self) -> bytes:
        """The packet, with one-byte extensions where it has any.

        Errors: ValueError where an extension does not fit that form.
        """
        first = 0x80 | (0x10 if self.extensions else 0)
        second = self.payload_type | (0x80 if self.marker else 0)
        head = struct.pack(">BBHII", first, second, self.sequence, self.rtp_time, self.ssrc)
        return head + _write_extensions(self.extensions) + self.payload


def is_media(datagram: bytes) -> bool:
    """Whether a datagram of a multiplexed socket is RTP or RTCP."""
    return len(datagram) >= HEADER_BYTES and 128 <= datagram[0] <= 191


def is_rtcp(datagram: bytes) -> bool:
    """Whether a media packet is RTCP (RFC 5761 section 4)."""
    return len(datagram) > 1 and 192 <= datagram[1] <= 223


def parse_rtp(packet: bytes) -> RtpPacket:
    """Errors: MalformedRtp."""
    if not is_media(packet):
        raise MalformedRtp("no RTP header")
    first, second, sequence, rtp_time, ssrc = struct.unpack(">BBHII", packet[:HEADER_BYTES])
    at = HEADER_BYTES + 4 * (first & 0x0F)
    extensions: tuple[tuple[int, bytes], ...] = ()
    if first & 0x10:
        if at + 4 > len(packet):
            raise MalformedRtp("header extension cut off")
        profile, words = struct.unpack(">HH", packet[at : at + 4])
        block = packet[at + 4 : at + 4 + 4 * words]
        at += 4 + 4 * words
        extensions = _read_extensions(profile, block)
    end = len(packet)
    if first & 0x20:
        end -= packet[-1]
    if at > end or (first & 0x20 and not packet[-1]):
        raise MalformedRtp("header or padding longer than the packet")
    return RtpPacket(second & 0x7F, sequence, rtp_time, ssrc, packet[at:end], bool(second & 0x80), extensions)


def _read_extensions(profile: int, block: bytes) -> tuple[tuple[int, bytes], ...]:
    """The elements of an extension block; of other profiles none."""
    two_bytes = profile & 0xFFF0 == TWO_BYTE_PROFILE
    if not two_bytes and profile != ONE_BYTE_PROFILE:
        return ()
    found: list[tuple[int, bytes]] = []
    at = 0
    while at < len(block):
        if block[at] == 0:  # padding
            at += 1
            continue
        if two_bytes:
            number, length, at = block[at], block[at + 1] if at + 1 < len(block) else 0, at + 2
        else:
            number, length, at = block[at] >> 4, (block[at] & 0x0F) + 1, at + 1
            if number == 15:  # reserved: stop reading
                break
        if at + length > len(block):
            raise MalformedRtp("header extension element cut off")
        found.append((number, block[at : at + length]))
        at += length
    return tuple(found)


def _write_extensions(extensions: tuple[tuple[int, bytes], ...]) -> bytes:
    if not extensions:
        return b""
    block = b""
    for number, value in extensions:
        if not 1 <= number <= 14 or not 1 <= len(value) <= 16:
            raise ValueError(f"extension {number} of {len(value)} bytes has no one-byte form")
        block += bytes((number << 4 | len(value) - 1,)) + value
    block += bytes(-len(block) % 4)
    return struct.pack(">HH", ONE_BYTE_PROFILE, len(block) // 4) + block
