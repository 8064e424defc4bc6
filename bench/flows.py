"""What a viewer keeps of one RTP stream: counts for its reports, and what is missing. Pure.

Sequence numbers are those of RTP with the wraps counted in (RFC 3550 appendix A.1), so that they only grow.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from aiortc.rtp import (
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
)

OUR_SSRC: Final = 1
ASK_AGAIN_S: Final = 0.06
"""A request whose answer has not come by then is made again."""
PATIENCE_S: Final = 0.5
"""What is missing for so long is given up: a keyframe is asked for."""
MOST_MISSING: Final = 200
"""More in a row is no loss: the sender began anew."""


@dataclass(slots=True)
class Missing:
    """A packet that did not come."""

    since_s: float
    asked_s: float = float("-inf")


@dataclass(slots=True)
class Flow:
    """One RTP stream. ``frames`` are packets with a marker: a picture ends there (RFC 6184, RFC 7741)."""

    kind: str = "video"
    packets: int = 0
    frames: int = 0
    expected: int = 0
    octets: int = 0
    sequence: int | None = None
    """The highest."""
    ssrc: int = 0
    missing: dict[int, Missing] = field(default_factory=dict)
    lost: int = 0
    """Given up, or never asked for again."""
    _prior: tuple[int, int] = (0, 0)
    _expected_ever: int = 0
    _received_ever: int = 0
    _report: tuple[int, float] = (0, 0.0)

    def take(self, packet: bytes, at_s: float = 0.0) -> None:
        """Count a packet."""
        sequence = int.from_bytes(packet[2:4], "big")
        self.packets += 1
        self._received_ever += 1
        self.octets += len(packet)
        self.frames += packet[1] >> 7
        if self.sequence is None:
            self.ssrc = int.from_bytes(packet[8:12], "big")
            self.sequence = sequence
            step = 1
        else:
            step = (sequence - self.sequence) & 0xFFFF
            if step >= 0x8000:  # it was thought lost, or comes twice
                self.missing.pop(self.sequence + step - 0x10000, None)
                return
            if 1 < step <= MOST_MISSING:
                for number in range(self.sequence + 1, self.sequence + step):
                    self.missing[number] = Missing(at_s)
            self.sequence += step
        self.expected += step
        self._expected_ever += step

    def repair(self, packet: bytes) -> bool:
        """A packet that was sent again; whether it was still missing."""
        if self.sequence is None:
            return False
        behind = (self.sequence - int.from_bytes(packet[2:4], "big")) & 0xFFFF
        return self.missing.pop(self.sequence - behind, None) is not None

    def restart(self) -> None:
        """Count from nothing; the next packet is still expected to follow the last one."""
        self.packets = self.frames = self.expected = self.octets = self.lost = 0

    def note_report(self, ntp: int, at_s: float) -> None:
        """A sender report came. Units: ntp in 2^-32 s."""
        self._report = ((ntp >> 16) & 0xFFFFFFFF, at_s)

    def to_ask(self, now_s: float) -> list[int]:
        """What is to be asked for now, as it stands in RTP."""
        asked = [number for number, each in self.missing.items() if now_s - each.asked_s >= ASK_AGAIN_S]
        for number in asked:
            self.missing[number].asked_s = now_s
        return [number & 0xFFFF for number in sorted(asked)]

    def give_up(self, now_s: float) -> int:
        """How many are missing for too long; they are forgotten."""
        over = [number for number, each in self.missing.items() if now_s - each.since_s >= PATIENCE_S]
        for number in over:
            del self.missing[number]
        self.lost += len(over)
        return len(over)

    def reception(self, now_s: float) -> RtcpReceiverInfo:
        """A report block (RFC 3550 section 6.4.1)."""
        expected, received = self._expected_ever - self._prior[0], self._received_ever - self._prior[1]
        self._prior = (self._expected_ever, self._received_ever)
        middle, came_s = self._report
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=max(0, min(255, (expected - received) * 256 // expected)) if expected > 0 else 0,
            packets_lost=max(0, self._expected_ever - self._received_ever),
            highest_sequence=(self.sequence or 0) & 0xFFFFFFFF,
            jitter=0,
            lsr=middle,
            dlsr=int((now_s - came_s) * 65536) & 0xFFFFFFFF if middle else 0,
        )


def feedback(flows: Sequence[Flow], now_s: float, *, reports: bool) -> list[bytes]:
    """The RTCP packets that a viewer sends now; ``reports``: it is time for them."""
    known = [flow for flow in flows if flow.ssrc]
    packets: list[bytes] = []
    if reports and known:
        packets.append(bytes(RtcpRrPacket(ssrc=OUR_SSRC, reports=[flow.reception(now_s) for flow in known])))
    for flow in known:
        given_up = flow.give_up(now_s)
        if flow.kind != "video":
            continue
        if given_up:
            packets.append(bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=OUR_SSRC, media_ssrc=flow.ssrc)))
        for asked in unwrapped(flow.to_ask(now_s)):
            nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=OUR_SSRC, media_ssrc=flow.ssrc, lost=asked)
            packets.append(bytes(nack))
    return packets


def unwrapped(numbers: Sequence[int]) -> list[list[int]]:
    """Sequence numbers in ascending pieces: aiortc (1.16) cannot pack what goes on from 65535 to 0."""
    ahead = [number for number in numbers if number >= numbers[0]]
    behind = [number for number in numbers if number < numbers[0]]
    return [piece for piece in (ahead, behind) if piece]


def payload_at(packet: bytes) -> int:
    """Where an RTP packet's payload begins, after sources and extensions (RFC 3550 section 5.1)."""
    at = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        at += 4 + 4 * int.from_bytes(packet[at + 2 : at + 4], "big")
    return at


def restored(packet: bytes, payload_type: int, ssrc: int) -> bytes:
    """The packet that another one, of the retransmission format, brings again (RFC 4588 section 4)."""
    at = payload_at(packet)
    head = bytes([packet[0], packet[1] & 0x80 | payload_type]) + packet[at : at + 2] + packet[4:8]
    return head + ssrc.to_bytes(4, "big") + packet[12:at] + packet[at + 2 :]
