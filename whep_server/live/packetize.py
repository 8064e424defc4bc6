"""Encoded units cut into RTP payloads, once a stream. Pure.

H.264: RFC 6184, packetization mode 1: parameter sets aggregated (STAP-A), large slices in FU-A fragments of equal size
(the last may be shorter), so that a later sender can hand a picture to the kernel in one piece. VP8: RFC 7741, without
picture id: libwebrtc then orders pictures by sequence number, which has no gaps here, where an id would jump at each
switch between idle loop and speech and after a picture that came too late. Opus: RFC 7587, one packet a payload.
"""

from dataclasses import dataclass
from typing import Final

from avatar.annexb import SPS, nal_type, split_nals
from avatar.messages import Codec

MAX_PAYLOAD_BYTES: Final = 1170
"""Within the 1280 bytes that every path carries, with what is added: IPv6 40, UDP 8, TURN 4, RTP 12, its extensions 28
at most, a retransmission's 2, SRTP 16."""

_FU_A: Final = 28
_STAP_A: Final = 24
_AGGREGATED: Final = (6, 7, 8)
"""Supplemental information and parameter sets: small, and of no use one without the other."""


@dataclass(frozen=True, slots=True)
class Packetised:
    """A unit as RTP payloads."""

    payloads: tuple[bytes, ...]
    rtp_time: int
    """Units: ticks of the RTP clock since the stream's start."""
    keyframe: bool


def packetize(codec: Codec, data: bytes) -> tuple[bytes, ...]:
    """The RTP payloads of one unit."""
    if codec is Codec.H264:
        return packetize_h264(data)
    if codec is Codec.VP8:
        return packetize_vp8(data)
    return (data,)


def packetize_h264(data: bytes) -> tuple[bytes, ...]:
    """RTP payloads of one access unit in Annex B form."""
    payloads: list[bytes] = []
    waiting: list[bytes] = []
    for nal in split_nals(data):
        if nal_type(nal) in _AGGREGATED and len(nal) + 3 <= MAX_PAYLOAD_BYTES:
            if sum(len(held) + 2 for held in waiting) + len(nal) + 3 > MAX_PAYLOAD_BYTES:
                payloads += _aggregate(waiting)
                waiting = []
            waiting.append(nal)
            continue
        payloads += _aggregate(waiting)
        waiting = []
        payloads += [nal] if len(nal) <= MAX_PAYLOAD_BYTES else _fragment(nal)
    return (*payloads, *_aggregate(waiting))


def _aggregate(nals: list[bytes]) -> list[bytes]:
    """One STAP-A (RFC 6184 section 5.7.1), or the unit itself where it is alone."""
    if len(nals) < 2:
        return nals
    header = _STAP_A | max(nal[0] & 0x60 for nal in nals)
    return [bytes([header]) + b"".join(len(nal).to_bytes(2, "big") + nal for nal in nals)]


def _fragment(nal: bytes) -> list[bytes]:
    """FU-A fragments (RFC 6184 section 5.8)."""
    indicator = nal[0] & 0xE0 | _FU_A
    kind = nal[0] & 0x1F
    pieces = _equal_pieces(nal[1:], MAX_PAYLOAD_BYTES - 2)
    flags = [0x00] * len(pieces)
    flags[0] |= 0x80
    flags[-1] |= 0x40
    return [bytes([indicator, flag | kind]) + piece for flag, piece in zip(flags, pieces, strict=True)]


def packetize_vp8(data: bytes) -> tuple[bytes, ...]:
    """RTP payloads of one VP8 frame: a one-byte descriptor each, S bit on the first (RFC 7741 section 4.2)."""
    pieces = _equal_pieces(data, MAX_PAYLOAD_BYTES - 1)
    return tuple((b"\x00" if index else b"\x10") + piece for index, piece in enumerate(pieces))


def _equal_pieces(data: bytes, largest: int) -> list[bytes]:
    count = max(1, -(-len(data) // largest))
    size = -(-len(data) // count)
    return [data[at : at + size] for at in range(0, max(len(data), 1), max(size, 1))]


def level_idc_of(data: bytes) -> int | None:
    """The level that an access unit's sequence parameter set names; None where it has none (H.264 section 7.3.2.1)."""
    return next((nal[3] for nal in split_nals(data) if nal_type(nal) == SPS and len(nal) > 3), None)
