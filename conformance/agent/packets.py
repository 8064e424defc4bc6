"""RTP payloads to NAL units and frames and back: H.264 (RFC 6184), VP8 (RFC 7741). Pure."""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

STAP_A: Final = 24
FU_A: Final = 28
MAX_PAYLOAD_BYTES: Final = 1100
MAX_NAL_BYTES: Final = 4 << 20
VP8_START_CODE: Final = b"\x9d\x01\x2a"


class H264Depacketizer:
    """Puts the NAL units of one RTP stream together. Units with a missing part are dropped."""

    def __init__(self) -> None:
        self._partial = bytearray()
        self._next: int | None = None
        """Sequence number that continues the partial unit."""

    def push(self, sequence: int, payload: bytes) -> list[bytes]:
        """The units that a packet completes."""
        kind = payload[0] & 0x1F if payload else 0
        if 1 <= kind < STAP_A:
            return [payload]
        if kind == STAP_A:
            return list(_aggregated(payload[1:]))
        if kind == FU_A and len(payload) > 2:
            return self._fragment(sequence, payload)
        return []

    def _fragment(self, sequence: int, payload: bytes) -> list[bytes]:
        start, end = payload[1] & 0x80, payload[1] & 0x40
        if start:
            self._partial = bytearray(((payload[0] & 0xE0) | (payload[1] & 0x1F),))
        elif self._next != sequence or not self._partial:
            self._partial.clear()
            return []
        self._partial += payload[2:]
        self._next = (sequence + 1) & 0xFFFF
        if len(self._partial) > MAX_NAL_BYTES:
            self._partial.clear()
        if not end or not self._partial:
            return []
        nal, self._partial = bytes(self._partial), bytearray()
        return [nal]


def _aggregated(payload: bytes) -> Iterator[bytes]:
    at = 0
    while at + 2 <= len(payload):
        (length,) = struct.unpack_from(">H", payload, at)
        nal = payload[at + 2 : at + 2 + length]
        if length and len(nal) == length:
            yield nal
        at += 2 + length


def packetize_h264(nals: Sequence[bytes]) -> list[bytes]:
    """RTP payloads of one access unit: small leading units in one STAP-A, large ones cut into FU-A."""
    payloads: list[bytes] = []
    small = [nal for nal in nals if len(nal) < 100]
    if len(small) > 1:
        body = b"".join(struct.pack(">H", len(nal)) + nal for nal in small)
        payloads.append(bytes((0x60 | STAP_A,)) + body)
        nals = [nal for nal in nals if len(nal) >= 100]
    for nal in nals:
        if len(nal) <= MAX_PAYLOAD_BYTES:
            payloads.append(nal)
            continue
        for at in range(1, len(nal), MAX_PAYLOAD_BYTES):
            first, last = at == 1, at + MAX_PAYLOAD_BYTES >= len(nal)
            head = bytes(((nal[0] & 0xE0) | FU_A, first << 7 | last << 6 | nal[0] & 0x1F))
            payloads.append(head + nal[at : at + MAX_PAYLOAD_BYTES])
    return payloads


@dataclass(frozen=True, slots=True)
class Vp8Start:
    """The first packet of a VP8 frame."""

    keyframe: bool


def read_vp8_start(payload: bytes) -> Vp8Start | None:
    """What a frame's first packet says; None for its other packets and for what cannot be read."""
    at = _vp8_frame_at(payload)
    if at is None:
        return None
    keyframe = not payload[at] & 1
    if keyframe and payload[at + 3 : at + 6] != VP8_START_CODE:
        return None
    return Vp8Start(keyframe)


def _vp8_frame_at(payload: bytes) -> int | None:
    """Where the frame begins behind the payload descriptor, in a packet that begins one."""
    if not payload or payload[0] & 0x17 != 0x10:  # S bit, partition 0
        return None
    at = 1
    if payload[0] & 0x80:
        if len(payload) < 2:
            return None
        flags = payload[1]
        at += 1
        if flags & 0x80:
            at += 2 if len(payload) > at and payload[at] & 0x80 else 1
        at += bool(flags & 0x40) + bool(flags & 0x30)
    return at if at < len(payload) else None
