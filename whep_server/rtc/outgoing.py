"""One track on its way out: RTP headers, sequence numbers, encryption. It opens no socket and knows no clock.

The packets of all viewers differ in their headers and keys alone, so that everything else is done once a stream, in
``live.packetize``. Headers: RFC 3550 section 5.1, with extensions as in RFC 8285: ``mid`` (RFC 8843 section 15), and
where it was agreed on ``abs-send-time``, without which browsers cannot estimate their bandwidth for REMB. Packets that
are sent again go as a stream of their own (RFC 4588) where that was agreed on.

Relied on, read at pylibsrtp 1.0.0: ``Session.protect``; aiortc's sessions allow a number to be encrypted again
(``allow_repeat_tx``) as long as it is one of the last 1024. Such a packet is the very same one: its nonce is the same,
and AES-GCM would give its key away over two packets that differ.
"""

import random
from dataclasses import dataclass
from struct import Struct
from typing import Final

from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import pack_header_extensions
from pylibsrtp import Session

from whep_server.rtc.sendable import Sendable
from whep_server.rtc.sent import Sent

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
SEND_TIME_BYTES: Final = 3
SEND_TIME_HZ: Final = 1 << 18
"""24 bits, 18 of them below the second: the sender's clock, wrapping every 64 s."""

_HEADER: Final = Struct("!BBHII")
_BLOCK: Final = Struct("!HH")
_VERSION: Final = 0x80
_EXTENDED: Final = 0x10
_MARKER: Final = 0x80
_FIRST_SEQUENCES: Final = 1 << 15
"""Begin in the lower half: a receiver that loses the first packets must not guess a wrap of the number wrong."""


@dataclass(frozen=True, slots=True)
class Wire:
    """What was agreed on about a track's packets."""

    payload_type: int
    ssrc: int
    rtx_payload_type: int | None
    """None: what is sent again goes among the rest."""
    rtx_ssrc: int
    resends: bool
    """Whether the peer may ask for packets again (generic NACK)."""
    marks_ends: bool
    """Whether the marker bit ends a picture; for sound it would begin a talkspurt, and sound here never pauses."""
    extensions: bytes
    """The block of header extensions, with nothing in place of the send time; empty where there are none."""
    send_time_at: int | None
    """Where the send time goes in it."""


def agreed(parameters: RTCRtpSendParameters, kind: str, ssrc: int, rtx_ssrc: int) -> Wire:
    """What aiortc agreed on with the peer."""
    codec = parameters.codecs[0]
    assert codec.payloadType is not None, "it was agreed on"
    rtx = (each for each in parameters.codecs if is_rtx(each) and each.parameters.get("apt") == codec.payloadType)
    extensions, send_time_at = _extensions({each.uri: each.id for each in parameters.headerExtensions}, parameters)
    return Wire(
        payload_type=codec.payloadType,
        ssrc=ssrc,
        rtx_payload_type=next((each.payloadType for each in rtx), None),
        rtx_ssrc=rtx_ssrc,
        resends=any(each.type == "nack" and not each.parameter for each in codec.rtcpFeedback),
        marks_ends=kind == "video",
        extensions=extensions,
        send_time_at=send_time_at,
    )


def _extensions(ids: dict[str, int], parameters: RTCRtpSendParameters) -> tuple[bytes, int | None]:
    """The block of extensions, and where in it the send time goes, which comes first."""
    values = [(ids[SEND_TIME], bytes(SEND_TIME_BYTES))] if SEND_TIME in ids else []
    if MID in ids and parameters.muxId:
        values.append((ids[MID], parameters.muxId.encode()))
    profile, packed = pack_header_extensions(values)
    if not packed:
        return b"", None
    one_byte = profile == 0xBEDE  # a mid of more than 16 bytes needs headers of two
    send_time_at = _BLOCK.size + (1 if one_byte else 2) if SEND_TIME in ids else None
    return _BLOCK.pack(profile, len(packed) // 4) + packed, send_time_at


class Outgoing:
    """Turns units into encrypted packets."""

    def __init__(self, wire: Wire, session: Session, origin: int) -> None:
        """``origin`` is the RTP time at media time 0, which is to be random (RFC 3550 section 5.1)."""
        self._wire = wire
        self._flags = _VERSION | _EXTENDED if wire.extensions else _VERSION
        self._protect = session.protect
        self._next = random.randrange(_FIRST_SEQUENCES)
        self._origin = origin
        self._rtx_next = random.randrange(_FIRST_SEQUENCES)
        self._sent = Sent() if wire.resends else None

    def rtp_time(self, media_time: int) -> int:
        """The RTP time at a media time. Units: both in ticks of the RTP clock."""
        return (self._origin + media_time) & 0xFFFFFFFF

    def pack(self, unit: Sendable, now_s: float) -> list[bytes]:
        """The packets of a unit. Units: ``now_s`` in seconds of any clock that runs evenly.

        Errors: pylibsrtp.Error.
        """
        wire, protect, payloads = self._wire, self._protect, unit.payloads
        extensions = self._stamped(now_s)
        rtp_time, ssrc = self.rtp_time(unit.rtp_time), wire.ssrc
        flags, number = self._flags, self._next
        kind, end = wire.payload_type, len(payloads) - 1 if wire.marks_ends else -1
        packets = [
            protect(
                _HEADER.pack(flags, kind | _MARKER if at == end else kind, (number + at) & 0xFFFF, rtp_time, ssrc)
                + extensions
                + payload
            )
            for at, payload in enumerate(payloads)
        ]
        self._next += len(packets)
        if self._sent is not None:
            self._sent.note(number, unit, extensions)
        return packets

    def _stamped(self, now_s: float) -> bytes:
        """The block of extensions, with the send time."""
        block, at = self._wire.extensions, self._wire.send_time_at
        if at is None:
            return block
        ticks = int(now_s * SEND_TIME_HZ) & 0xFFFFFF
        return block[:at] + ticks.to_bytes(SEND_TIME_BYTES, "big") + block[at + SEND_TIME_BYTES :]

    def pack_again(self, number: int, now_s: float, trip_s: float = 0.0) -> bytes | None:
        """The packet with a 16-bit sequence number once more, as RTX where that was agreed on; None as ``Sent.again``.

        Errors: pylibsrtp.Error.
        """
        wire, sent = self._wire, None if self._sent is None else self._sent.again(number, now_s, trip_s)
        if sent is None:
            return None
        kind, ssrc, sequence = wire.payload_type, wire.ssrc, sent.sequence & 0xFFFF
        extensions, payload = sent.extensions, sent.payload
        if wire.rtx_payload_type is not None:
            payload = sequence.to_bytes(2, "big") + payload  # the original sequence number (RFC 4588 section 4)
            kind, ssrc, sequence = wire.rtx_payload_type, wire.rtx_ssrc, self._rtx_next & 0xFFFF
            extensions = self._stamped(now_s)
            self._rtx_next += 1
        marker = _MARKER if sent.last and wire.marks_ends else 0
        header = _HEADER.pack(self._flags, kind | marker, sequence, self.rtp_time(sent.rtp_time), ssrc)
        return bytes(self._protect(header + extensions + payload))
