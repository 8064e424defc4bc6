"""Carries units that are already cut into RTP payloads through aiortc's senders: once a stream, not once a viewer.

Counts what leaves, and keeps what the viewer reports of it.

Everything of aiortc's that is private stands in this file. Relied on, read at aiortc 1.16.0 and used nowhere else:

    RTCRtpSender._next_encoded_frame   replaced on the instance: gives one unit at a time, with its RTP time
    RTCRtpSender._send_keyframe        replaced on the instance: RTCP PLI and FIR end up there
    RTCRtpSender._handle_rtcp_packet   wrapped on the instance: reports, NACK, PLI and FIR about what it sends
    RTCRtpSender._ssrc, __rtt          which reports are its own, and the round trip that it makes of them (smoothed)
    aiortc.rtcrtpsender.RTCEncodedFrame

A later sender that encrypts one packetised unit for all viewers at once takes the place of ``attach``; whoever feeds a
``UnitSource`` need not know.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn, Protocol, cast

from aiortc import MediaStreamTrack, RTCRtpSender
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
)

from avatar.messages import AUDIO_HZ, VIDEO_HZ
from whep_server.metrics.facts import MediaStats

NO_LEVEL: Final = cast(int, None)
"""No audio level header extension; aiortc's own annotation forgets that it may be None."""
PRIVATE: Final = "_RTCRtpSender__"
"""What Python puts before the names of that class that begin with two underscores."""


class Sendable(Protocol):
    """One picture or audio packet, ready for RTP."""

    @property
    def payloads(self) -> Sequence[bytes]:
        """RTP payloads in order; the last one gets the marker bit."""
        ...

    @property
    def rtp_time(self) -> int:
        """Media time in ticks of the RTP clock; the sender adds its random origin."""
        ...


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a viewer's reports say of the way to it; None where they have not said."""

    reports: int = 0
    """How many came: a higher number means that the rest is news."""
    remb_bps: int | None = None
    """What it believes to be able to receive, all tracks together (draft-alvestrand-rmcat-remb)."""
    fraction_lost: float | None = None
    """Between its last two reports, 0 to 1."""
    round_trip_s: float | None = None
    sent_bps: float = 0.0
    """What it was sent in the last second or so, of this track."""


class UnitSource(Protocol):
    """Where a sender gets its units from, and tells of lost pictures."""

    async def next_unit(self) -> Sendable:
        """The next unit; waits for one."""
        ...

    def request_keyframe(self) -> None:
        """The peer cannot go on without a keyframe."""
        ...


class SourceTrack(MediaStreamTrack):
    """Makes aiortc's sender run; it is never read, since the sender takes units from its source."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__()

    async def recv(self) -> NoReturn:
        """Never called while ``attach`` holds; ends the sender where an aiortc release should read tracks again."""
        raise MediaStreamError


class Outbound:
    """What one sender carries, counted."""

    def __init__(self, sender: RTCRtpSender, source: UnitSource) -> None:
        self._sender, self._source = sender, source
        self._handle_rtcp = sender._handle_rtcp_packet
        self._leaving: Sendable | None = None
        self._frames = self._packets = self._bytes = 0
        self._plis = self._nacks = 0
        self._report: RtcpReceiverInfo | None = None

    async def next_encoded_frame(self, _codec: RTCRtpCodecParameters) -> RTCEncodedFrame:
        """The next unit. That it is asked for means that the one before has left."""
        if self._leaving is not None:
            self._frames += 1
            self._packets += len(self._leaving.payloads)
            self._bytes += sum(map(len, self._leaving.payloads))
        self._leaving = None
        self._leaving = unit = await self._source.next_unit()
        return RTCEncodedFrame(list(unit.payloads), unit.rtp_time & 0xFFFFFFFF, NO_LEVEL)

    async def handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """Count what is said of what was sent, then let aiortc act on it."""
        match packet:
            case RtcpRrPacket() | RtcpSrPacket():
                mine = [report for report in packet.reports if report.ssrc == self._sender._ssrc]
                self._report = mine[-1] if mine else self._report
            case RtcpRtpfbPacket(fmt=kind) if kind == RTCP_RTPFB_NACK:
                self._nacks += 1
            case RtcpPsfbPacket(fmt=kind) if kind in (RTCP_PSFB_FIR, RTCP_PSFB_PLI):
                self._plis += 1
        await self._handle_rtcp(packet)

    def stats(self, codec: str, dropped: int) -> MediaStats:
        """As of now; ``dropped`` is what never came here."""
        report, clock_hz = self._report, VIDEO_HZ if self._sender.kind == "video" else AUDIO_HZ
        return MediaStats(
            codec,
            frames_sent=self._frames,
            frames_dropped=dropped,
            packets_sent=self._packets,
            bytes_sent=self._bytes,
            packets_lost=None if report is None else report.packets_lost,
            fraction_lost=None if report is None else report.fraction_lost / 256,
            jitter_s=None if report is None else report.jitter / clock_hz,
            round_trip_time_s=cast(float | None, getattr(self._sender, PRIVATE + "rtt")),
            pli_count=self._plis,
            nack_count=self._nacks,
        )


def attach(sender: RTCRtpSender, source: UnitSource) -> Outbound:
    """Make ``sender`` carry what ``source`` gives; what it counts meanwhile."""
    outbound = Outbound(sender, source)
    sender._next_encoded_frame = outbound.next_encoded_frame  # type: ignore[method-assign, assignment]  # the module says why
    sender._send_keyframe = source.request_keyframe  # type: ignore[method-assign]  # likewise
    sender._handle_rtcp_packet = outbound.handle_rtcp_packet  # type: ignore[method-assign]  # likewise
    return outbound
