"""Sends a track to one viewer in place of aiortc's own sender, and hears what the viewer reports of it.

aiortc agrees on everything, connects, exchanges keys and parses RTCP. What it would do for every packet of every viewer
is done here, most of it once a unit: see ``outgoing`` for the packets, ``broadcast`` for when they leave, ``datagrams``
for how, ``sent`` for those that are lost, ``sender_reports`` for the clock. Feedback: RFC 3550 section 6.4 (reports),
RFC 4585 (NACK, PLI), RFC 5104 section 4.3.1 (FIR), draft-alvestrand-rmcat-remb (REMB).

Everything of aiortc's that is private about sending stands in this file, in ``outgoing`` and in ``datagrams``. Relied
on, read at aiortc 1.16.0 and used nowhere else:

    RTCRtpSender.send, stop             replaced on the instance: called when the connection is up, and to end
    RTCRtpSender._ssrc, _rtx_ssrc       what it has put into the description
    RTCDtlsTransport._tx_srtp           the session's keys, as a ``pylibsrtp.Session``
    RTCDtlsTransport._register_rtp_sender, _unregister_rtp_sender, _rtp_router
                                        RTCP about these sources is brought to ``_handle_rtcp_packet``
"""

import random
import struct
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Final, Protocol

from aiortc import RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from pylibsrtp import Session

from avatar.messages import AUDIO_HZ, VIDEO_HZ
from whep_server.metrics.facts import MediaStats
from whep_server.rtc.asked import Asked
from whep_server.rtc.broadcast import Delivery
from whep_server.rtc.connection import connection_of
from whep_server.rtc.datagrams import Path
from whep_server.rtc.outgoing import Outgoing, agreed
from whep_server.rtc.repeats import Repeats
from whep_server.rtc.sendable import Sendable
from whep_server.rtc.sender_reports import Account, goodbye, report, round_trip_s

UNNAMED: Final = 0
"""SSRC of the media source in feedback that names it further inside: FIR (RFC 5104 section 4.3.1.2)."""
FIR: Final = struct.Struct("!IB3x")
"""One entry: whose picture, and the number of the request (RFC 5104 section 4.3.1.1)."""
MOST_REPEATED: Final = 100
"""Packets that one request can have sent again: half a second's worth."""
RATE_S: Final = 0.5
"""Least time over which a rate is measured."""


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
    """What it was sent in the last second or so, of this track: payloads, those sent again among them."""


class Outlet(Protocol):
    """Where a track that is up takes units."""

    @property
    def feedback(self) -> Feedback:
        """What the viewer reports."""
        ...

    @property
    def full(self) -> bool:
        """Whether a unit that is sent now would be late, so that it had better be left out."""
        ...

    def send(self, unit: Sendable) -> None:
        """Send a unit now."""
        ...


class UnitSource(Protocol):
    """Where a viewer's pictures or sounds come from."""

    @property
    def dropped(self) -> int:
        """Units that the viewer was too slow for."""
        ...

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height of the pictures that it gives now; None before the first one, and for sound."""
        ...

    def opened(self, outlet: Outlet) -> None:
        """The track is up: units may be sent from now on."""
        ...

    def request_keyframe(self) -> None:
        """The viewer cannot go on without a keyframe."""
        ...


@dataclass(slots=True)
class Counts:
    """What one track has been sent."""

    units: int = 0
    packets: int = 0
    octets: int = 0
    """Of their payloads."""
    repeated: int = 0
    """Packets that were sent again."""
    repeated_octets: int = 0
    discarded: int = 0
    """Of all packets, those that the kernel had no room for or that went nowhere."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What there is once the connection is up."""

    out: Outgoing
    srtp: Session
    cname: str | None


class Outbound:
    """One track of one viewer; made by ``attach``."""

    def __init__(self, sender: RTCRtpSender, source: UnitSource, delivery: Delivery) -> None:
        self._sender, self._source, self._delivery = sender, source, delivery
        self._ssrc, self._rtx_ssrc = sender._ssrc, sender._rtx_ssrc  # aiortc's router asks for the first by this name
        self._clock_hz = VIDEO_HZ if sender.kind == "video" else AUDIO_HZ
        self.origin = random.getrandbits(32)
        """The RTP time at media time 0."""
        self._started = False
        self._opened: Opened | None = None
        self._counts = Counts()
        self._rated_s, self._rated_octets = 0.0, 0
        self._plis = self._nacks = 0
        self._asked, self._repeats = Asked(), Repeats()
        self._last_fir: tuple[int, int] | None = None
        self._report: RtcpReceiverInfo | None = None
        self.feedback = Feedback()
        """What the viewer reports."""

    # --- from aiortc

    async def start(self, parameters: RTCRtpSendParameters) -> None:
        """The connection is up; in place of ``RTCRtpSender.send``, which aiortc calls more than once."""
        if self._started:
            return
        self._started = True
        try:
            self._open(parameters)
        except Exception as error:  # noqa: BLE001  aiortc would tell nobody
            self._delivery.fail(error)

    def _open(self, parameters: RTCRtpSendParameters) -> None:
        transport, kind = self._sender.transport, self._sender.kind
        out = Outgoing(agreed(parameters, kind, self._ssrc, self._rtx_ssrc), transport._tx_srtp, self.origin)
        transport._register_rtp_sender(self, parameters)
        if kind == "video":
            transport._rtp_router.register_sender(self, UNNAMED)
        self._delivery.open(self, connection_of(self._sender))
        self._opened = Opened(out, transport._tx_srtp, parameters.rtcp.cname)
        self._source.opened(self)

    async def stop(self) -> None:
        """Say goodbye and send nothing more; in place of ``RTCRtpSender.stop``."""
        opened, self._opened = self._opened, None
        if opened is None:
            return
        self._sender.transport._unregister_rtp_sender(self)
        now_s = time.monotonic()
        self._delivery.close(self, opened.srtp.protect_rtcp(goodbye(self._account(opened, now_s), now_s)))

    # --- to the viewer

    @property
    def full(self) -> bool:
        """Whether a unit that is sent now would be late, so that it had better be left out."""
        return self._delivery.full

    def send(self, unit: Sendable) -> None:
        """Send a unit now."""
        self._delivery.put(self, unit)

    def leave(self, unit: Sendable, path: Path, now_s: float) -> None:
        """Send a unit: it is the viewer's turn. Errors: pylibsrtp.Error."""
        if self._opened is None:
            return
        packets, counts = self._opened.out.pack(unit, now_s), self._counts
        counts.discarded += path.send(packets)
        counts.units += 1
        counts.packets += len(packets)
        self._repeats.sent(len(packets))
        counts.octets += sum(map(len, unit.payloads))
        if self._asked:
            self._repeat(self._opened, now_s)
        if counts.units == 1:
            self.report(path, now_s)

    def report(self, path: Path, now_s: float) -> None:
        """Send a sender report, once there is something to report on."""
        if self._opened is not None and self._counts.units:
            self._rate(now_s)
            path.send([self._opened.srtp.protect_rtcp(report(self._account(self._opened, now_s), now_s))])

    def _account(self, opened: Opened, now_s: float) -> Account:
        rtp_time = opened.out.rtp_time(self._delivery.clock.media_time(now_s, self._clock_hz))
        return Account(self._ssrc, opened.cname, rtp_time, self._counts.packets, self._counts.octets)

    def _rate(self, now_s: float) -> None:
        """Measure what is sent, from one report to the next."""
        passed_s, sent = now_s - self._rated_s, self._counts.octets + self._counts.repeated_octets
        if passed_s >= RATE_S:
            self.feedback = replace(self.feedback, sent_bps=8 * (sent - self._rated_octets) / passed_s)
            self._rated_s, self._rated_octets = now_s, sent

    # --- from the viewer

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        """RTCP about this track, from aiortc's router."""
        connection_of(self._sender).note_alive()
        match packet:
            case RtcpRrPacket() | RtcpSrPacket():
                self._take_reports(packet.reports)
            case RtcpRtpfbPacket(fmt=kind) if kind == RTCP_RTPFB_NACK:
                self._take_nack(packet.lost)
            case RtcpPsfbPacket(fmt=kind) if kind == RTCP_PSFB_PLI:
                self._lost_picture()
            case RtcpPsfbPacket(fmt=kind) if kind == RTCP_PSFB_FIR:
                self._take_fir(packet)
            case RtcpPsfbPacket(fmt=kind) if kind == RTCP_PSFB_APP:
                self._take_remb(packet)

    def _take_reports(self, reports: list[RtcpReceiverInfo]) -> None:
        for each in reports:  # there may be others, about what was sent again
            if each.ssrc == self._ssrc:
                self._report = each
                measured_s = round_trip_s(time.monotonic(), each.lsr, each.dlsr)
                self.feedback = replace(
                    self.feedback,
                    reports=self.feedback.reports + 1,
                    fraction_lost=each.fraction_lost / 256,
                    round_trip_s=self.feedback.round_trip_s if measured_s is None else measured_s,
                )

    def _take_remb(self, packet: RtcpPsfbPacket) -> None:
        with suppress(ValueError, struct.error):  # another application's feedback; fewer sources than it says
            remb_bps, sources = unpack_remb_fci(packet.fci)
            if self._ssrc in sources:
                self.feedback = replace(self.feedback, reports=self.feedback.reports + 1, remb_bps=remb_bps)

    def _take_fir(self, packet: RtcpPsfbPacket) -> None:
        """A full intra request; one that is repeated, since it may have been lost, is still the same one."""
        for ssrc, number in FIR.iter_unpack(packet.fci[: len(packet.fci) // FIR.size * FIR.size]):
            if ssrc == self._ssrc and self._last_fir != (packet.ssrc, number):
                self._last_fir = packet.ssrc, number
                self._lost_picture()

    def _lost_picture(self) -> None:
        self._plis += 1
        self._asked.clear()
        self._source.request_keyframe()

    def _take_nack(self, numbers: list[int]) -> None:
        self._nacks += 1
        if self._opened is not None and numbers:
            now_s = time.monotonic()
            self._asked.take(numbers[:MOST_REPEATED], now_s, self.feedback.round_trip_s or 0.0)
            self._repeat(self._opened, now_s)

    def _repeat(self, opened: Opened, now_s: float) -> None:
        """Send again what the viewer waits for, as far as that may be."""
        trip_s = self.feedback.round_trip_s or 0.0
        for number, anew in self._asked.due(now_s):
            if not (self._repeats.allowed if anew else self._repeats.plenty):
                return
            packet = opened.out.pack_again(number, now_s, trip_s)
            if packet is None:
                self._asked.drop(number)
                continue
            self._asked.sent(number, now_s, trip_s)
            self._repeats.repeated()
            self._counts.repeated += 1
            self._counts.repeated_octets += len(packet)
            self._counts.discarded += self._delivery.send(packet)

    # --- to whoever asks

    def stats(self, codec: str) -> MediaStats:
        """As of now, or as it was at the end."""
        counts, report = self._counts, self._report
        width, height = self._source.frame_size or (None, None)
        return MediaStats(
            codec,
            frames_sent=counts.units,
            frames_dropped=self._source.dropped,
            packets_sent=counts.packets,
            bytes_sent=counts.octets,
            retransmitted_packets_sent=counts.repeated,
            packets_discarded_on_send=counts.discarded,
            packets_lost=None if report is None else report.packets_lost,
            fraction_lost=None if report is None else report.fraction_lost / 256,
            jitter_s=None if report is None else report.jitter / self._clock_hz,
            round_trip_time_s=self.feedback.round_trip_s,
            pli_count=self._plis,
            nack_count=self._nacks,
            frame_width=width,
            frame_height=height,
        )


def attach(sender: RTCRtpSender, source: UnitSource, delivery: Delivery) -> Outbound:
    """Have ``sender`` send what ``source`` gives, as part of ``delivery``; to be called before the connection is up."""
    outbound = Outbound(sender, source, delivery)
    sender.send = outbound.start  # type: ignore[method-assign]  # the module says why
    sender.stop = outbound.stop  # type: ignore[method-assign]  # likewise
    return outbound
