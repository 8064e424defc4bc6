"""RTCP packets that a media session's health shows in: reports, SDES, BYE, PLI, FIR, NACK. Pure.

Sources: RFC 3550 section 6.4 to 6.6, RFC 4585 section 6.3.1 (PLI), RFC 5104 section 4.3.1 (FIR).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from conformance.agent.rtp import MalformedRtp

SR: Final = 200
RR: Final = 201
SDES: Final = 202
BYE: Final = 203
TRANSPORT_FEEDBACK: Final = 205
PAYLOAD_FEEDBACK: Final = 206
NACK_FORMAT: Final = 1
PLI_FORMAT: Final = 1
FIR_FORMAT: Final = 4
CNAME: Final = 1
REPORT_BYTES: Final = 24
NTP_EPOCH_S: Final = 2_208_988_800
"""From 1900, where NTP counts from, to 1970."""


@dataclass(frozen=True, slots=True)
class Report:
    """A reception report block: what a receiver says about one source."""

    ssrc: int
    lost: int
    highest: int
    """Extended highest sequence number."""


@dataclass(frozen=True, slots=True)
class SenderReport:
    """Where a source's RTP time stands on the sender's clock."""

    ssrc: int
    ntp: int
    rtp_time: int
    packets: int
    octets: int
    reports: tuple[Report, ...] = ()

    def to_bytes(self) -> bytes:
        """The packet."""
        body = struct.pack(">IQIII", self.ssrc, self.ntp, self.rtp_time, self.packets, self.octets)
        return _packet(SR, len(self.reports), body + b"".join(map(_write_report, self.reports)))


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    """What a receiver without media of its own says."""

    ssrc: int
    reports: tuple[Report, ...] = ()

    def to_bytes(self) -> bytes:
        """The packet."""
        body = struct.pack(">I", self.ssrc) + b"".join(map(_write_report, self.reports))
        return _packet(RR, len(self.reports), body)


@dataclass(frozen=True, slots=True)
class Name:
    """The CNAME of one source."""

    ssrc: int
    cname: str

    def to_bytes(self) -> bytes:
        """An SDES packet with this name alone."""
        value = self.cname.encode()
        item = struct.pack(">IBB", self.ssrc, CNAME, len(value)) + value
        return _packet(SDES, 1, item + bytes(4 - len(item) % 4))


@dataclass(frozen=True, slots=True)
class Bye:
    """These sources end."""

    ssrcs: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The packet."""
        return _packet(BYE, len(self.ssrcs), struct.pack(f">{len(self.ssrcs)}I", *self.ssrcs))


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI or FIR for one source."""

    sender: int
    ssrc: int
    fir: int | None = None
    """FIR's command sequence number; None for a PLI."""

    def to_bytes(self) -> bytes:
        """The packet."""
        if self.fir is None:
            return _packet(PAYLOAD_FEEDBACK, PLI_FORMAT, struct.pack(">II", self.sender, self.ssrc))
        body = struct.pack(">IIIBxxx", self.sender, 0, self.ssrc, self.fir)
        return _packet(PAYLOAD_FEEDBACK, FIR_FORMAT, body)


@dataclass(frozen=True, slots=True)
class Nack:
    """Sequence numbers of one source that did not arrive."""

    sender: int
    ssrc: int
    missing: tuple[int, ...]

    def to_bytes(self) -> bytes:
        """The packet, one item for each number."""
        items = b"".join(struct.pack(">HH", number, 0) for number in self.missing)
        return _packet(TRANSPORT_FEEDBACK, NACK_FORMAT, struct.pack(">II", self.sender, self.ssrc) + items)


RtcpPacket = SenderReport | ReceiverReport | Name | Bye | KeyframeRequest | Nack


def parse_rtcp(compound: bytes) -> list[RtcpPacket]:
    """The packets of a compound that are known here; others are passed over.

    Errors: MalformedRtp where lengths do not fit.
    """
    found: list[RtcpPacket] = []
    at = 0
    while at < len(compound):
        if at + 4 > len(compound) or compound[at] >> 6 != 2:
            raise MalformedRtp("no RTCP header")
        first, kind, words = struct.unpack(">BBH", compound[at : at + 4])
        end = at + 4 + 4 * words
        if end > len(compound):
            raise MalformedRtp("RTCP packet cut off")
        body = compound[at + 4 : end]
        if first & 0x20 and body:  # padding
            body = body[: -body[-1]] if 0 < body[-1] <= len(body) else b""
        try:
            found += _read(kind, first & 0x1F, body)
        except struct.error as error:
            raise MalformedRtp(f"RTCP packet of type {kind} is too short") from error
        at = end
    return found


def ntp_time(unix_s: float) -> int:
    """A time of day as RTCP's 64-bit fixed point."""
    return int((unix_s + NTP_EPOCH_S) * 2**32)


def _read(kind: int, count: int, body: bytes) -> Iterator[RtcpPacket]:
    if kind == SR:
        ssrc, ntp, rtp_time, packets, octets = struct.unpack_from(">IQIII", body)
        yield SenderReport(ssrc, ntp, rtp_time, packets, octets, _read_reports(body[24:], count))
    elif kind == RR:
        yield ReceiverReport(struct.unpack_from(">I", body)[0], _read_reports(body[4:], count))
    elif kind == SDES:
        yield from _read_names(body, count)
    elif kind == BYE:
        yield Bye(struct.unpack_from(f">{count}I", body))
    elif kind == PAYLOAD_FEEDBACK:
        yield from _read_keyframe_requests(count, body)
    elif kind == TRANSPORT_FEEDBACK and count == NACK_FORMAT:
        yield _read_nack(body)


def _read_reports(body: bytes, count: int) -> tuple[Report, ...]:
    reports = []
    for number in range(count):
        ssrc, lost, highest = struct.unpack_from(">III", body, number * REPORT_BYTES)
        reports.append(Report(ssrc, lost & 0xFFFFFF, highest))
    return tuple(reports)


def _write_report(report: Report) -> bytes:
    return struct.pack(">IIIIII", report.ssrc, report.lost & 0xFFFFFF, report.highest, 0, 0, 0)


def _read_names(body: bytes, count: int) -> Iterator[Name]:
    at = 0
    for _ in range(count):
        (ssrc,) = struct.unpack_from(">I", body, at)
        at += 4
        while at < len(body) and body[at]:
            kind, length = struct.unpack_from(">BB", body, at)
            if kind == CNAME:
                yield Name(ssrc, body[at + 2 : at + 2 + length].decode(errors="replace"))
            at += 2 + length
        at += 4 - at % 4  # at least one null byte ends a chunk


def _read_keyframe_requests(form: int, body: bytes) -> Iterator[KeyframeRequest]:
    sender, ssrc = struct.unpack_from(">II", body)
    if form == PLI_FORMAT:
        yield KeyframeRequest(sender, ssrc)
    elif form == FIR_FORMAT:
        for at in range(8, len(body), 8):
            target, number = struct.unpack_from(">IB", body, at)
            yield KeyframeRequest(sender, target, number)


def _read_nack(body: bytes) -> Nack:
    sender, ssrc = struct.unpack_from(">II", body)
    missing: list[int] = []
    for at in range(8, len(body), 4):
        first, bits = struct.unpack_from(">HH", body, at)
        missing += [first, *((first + 1 + bit) & 0xFFFF for bit in range(16) if bits >> bit & 1)]
    return Nack(sender, ssrc, tuple(missing))


def _packet(kind: int, count: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0x80 | count, kind, len(body) // 4) + body
