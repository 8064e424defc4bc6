"""Takes a publisher's RTP payloads out of aiortc's receivers as they come: no jitter buffer, no decoder, no thread.

Everything of aiortc's that is private stands in this file. Relied on, read at aiortc 1.16.0 and used nowhere else:

    RTCRtpReceiver.receive              replaced on the instance: starts all but the decoder
    RTCRtpReceiver._handle_rtp_packet   replaced on the instance: the packets the transport routes here
    RTCRtpReceiver._run_rtcp            sends a receiver report about each of ``__remote_streams``; unchanged
    RTCRtpReceiver.stop                 ends that and leaves the transport; unchanged
    RTCRtpReceiver.__started, __transport, __rtcp_task, __remote_streams, __lsr, __lsr_time, _enabled
    RTCDtlsTransport._register_rtp_receiver, _rtp_router
    RtpRouter.ssrc_table                which receiver a source was routed to; aiortc never forgets one
    aiortc.rtp.RtpPacket

A receiver has one source at a time (RFC 3550: SSRC). Another one takes its place with its second packet, where none of
the first's came in between: an encoder that started anew is followed at once, and two that send at the same time, which
nobody does in good faith, are not mixed. Whatever a sender does, no more than one source is remembered.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtp import RtpPacket

from avatar.messages import AUDIO_HZ
from whep_server.metrics.facts import MediaStats
from whep_server.rtc.reception import Reception

OnPacket = Callable[[int, int, bytes], None]
"""Called on the event loop with extended sequence number, extended RTP time and payload; must not block.

They come as they came: lost, doubled, late. A source that takes another's place starts far above it in both numbers.
"""

CODEC: Final = "audio/opus"
PRIVATE: Final = "_RTCRtpReceiver__"
"""What Python puts before the names of that class that begin with two underscores."""


def attach_receiver(receiver: RTCRtpReceiver, on_packet: OnPacket) -> "Inbound":
    """Make ``receiver`` hand out Opus packets instead of decoding them; what it counts meanwhile.

    To be called before the connection is up.
    """
    intake = Inbound(receiver, on_packet)
    receiver.receive = intake.receive  # type: ignore[method-assign]  # the module says why
    receiver._handle_rtp_packet = intake.handle_rtp_packet  # type: ignore[method-assign]  # likewise
    return intake


class Inbound:
    """What takes the place of a receiver's insides."""

    def __init__(self, receiver: RTCRtpReceiver, on_packet: OnPacket) -> None:
        self._receiver, self._on_packet = receiver, on_packet
        self._codecs: dict[int, RTCRtpCodecParameters] = {}
        self._ssrc: int | None = None
        self._reception = Reception(1)
        self._newcomer: RtpPacket | None = None
        self._packets = self._bytes = 0
        self._lost_before = 0  # of sources that others took the place of

    def stats(self) -> MediaStats:
        """As of now."""
        return MediaStats(
            CODEC.removeprefix("audio/"),
            packets_received=self._packets,
            bytes_received=self._bytes,
            packets_lost=self._lost_before + self._reception.packets_lost,
            jitter_s=self._reception.jitter / AUDIO_HZ,
        )

    def _private(self, name: str) -> Any:
        return getattr(self._receiver, PRIVATE + name)

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        """Start as aiortc does, without the thread."""
        if self._private("started"):
            return
        for codec in parameters.codecs:
            if codec.payloadType is not None and codec.mimeType.lower() == CODEC:
                self._codecs[codec.payloadType] = codec
        self._private("transport")._register_rtp_receiver(self._receiver, parameters)
        setattr(self._receiver, PRIVATE + "rtcp_task", asyncio.ensure_future(self._receiver._run_rtcp()))
        setattr(self._receiver, PRIVATE + "started", True)

    async def handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        """Count a packet and hand it on. Called for every one: a few microseconds."""
        codec = self._codecs.get(packet.payload_type)
        if packet.ssrc == self._ssrc:
            self._newcomer = None
            self._hand_on(packet, codec)
        elif codec is not None and self._receiver._enabled and self._follow(packet, codec):
            newcomer, self._newcomer = self._newcomer, None
            if newcomer is not None:
                self._hand_on(newcomer, codec)
            self._hand_on(packet, codec)
        else:
            self._forget(packet.ssrc)

    def _hand_on(self, packet: RtpPacket, codec: RTCRtpCodecParameters | None) -> None:
        if not self._receiver._enabled:
            return
        self._packets += 1
        self._bytes += len(packet.payload)
        sequence, rtp_time = self._reception.add(packet.sequence_number, packet.timestamp, time.monotonic())
        if codec is not None and packet.payload:  # what is in no known codec counts; empty ones probe the bandwidth
            self._on_packet(sequence, rtp_time, packet.payload)

    def _follow(self, packet: RtpPacket, codec: RTCRtpCodecParameters) -> bool:
        """Whether the source of ``packet`` is the receiver's from now on."""
        if self._ssrc is None:
            self._reception = Reception(codec.clockRate)
        elif self._newcomer is not None and self._newcomer.ssrc == packet.ssrc:
            self._forget(self._ssrc)
            self._lost_before += self._reception.packets_lost
            self._reception = Reception(codec.clockRate, self._reception)
        else:
            self._newcomer = packet
            return False
        self._ssrc = packet.ssrc
        self._private("remote_streams")[packet.ssrc] = cast(Any, self._reception)
        return True

    def _forget(self, ssrc: int) -> None:
        """Leave no trace of a source that is not, or no longer, the receiver's."""
        for name in ("remote_streams", "lsr", "lsr_time"):
            self._private(name).pop(ssrc, None)
        self._private("transport")._rtp_router.ssrc_table.pop(ssrc, None)
