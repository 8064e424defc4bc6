"""Two real peer connections: what an encoder sends comes out as it went in, and the reports about it are true."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import RtcpRrPacket, RtpPacket, is_rtcp

from bench.opus_publisher import Encoder, opus_packets
from tests.clients.waiting import until
from whep_server.rtc.receiver import attach_receiver

DEADLINE_S = 20.0
LOST = 7
"""One packet in so many does not arrive."""


@dataclass
class Link:
    """A publisher and whoever receives it."""

    encoder: Encoder
    publisher: RTCPeerConnection
    receiver: RTCPeerConnection
    heard: list[tuple[int, int, bytes]] = field(default_factory=list)
    reports: list[RtcpRrPacket] = field(default_factory=list)

    @property
    def sender(self) -> RTCRtpSender:
        return self.publisher.getSenders()[0]

    def note_reports(self) -> None:
        """Keep every receiver report that reaches the sender."""
        handle = self.sender._handle_rtcp_packet

        async def noting(packet: object) -> None:
            if isinstance(packet, RtcpRrPacket):
                self.reports.append(packet)
            await handle(packet)  # type: ignore[arg-type]

        self.sender._handle_rtcp_packet = noting  # type: ignore[method-assign]

    def lose(self, every: int) -> None:
        """Let one packet in so many not arrive."""
        send, count = self.sender.transport._send_rtp, 0

        async def losing(data: bytes) -> None:
            nonlocal count
            count += not is_rtcp(data)
            if is_rtcp(data) or count % every:
                await send(data)

        self.sender.transport._send_rtp = losing  # type: ignore[method-assign]

    async def deliver(self, packet: RtpPacket) -> None:
        """A packet of whatever kind reaches the receiving end's router."""
        transport = self.receiver.getReceivers()[0].transport
        await transport._handle_rtp_data(packet.serialize(transport._rtp_header_extensions_map), 0)


@asynccontextmanager
async def linked(seconds: float) -> AsyncIterator[Link]:
    """A connection over 127.0.0.1 with a sound of that length ready to be sent."""
    noise = np.random.default_rng(5).integers(-9000, 9000, (int(seconds * 48_000), 1)).astype(np.int16)
    configuration = RTCConfiguration(iceServers=[])
    link = Link(Encoder(opus_packets(noise)), RTCPeerConnection(configuration), RTCPeerConnection(configuration))
    link.publisher.addTransceiver(link.encoder, direction="sendonly")
    receiver = link.receiver.addTransceiver("audio", direction="recvonly").receiver
    attach_receiver(receiver, lambda *packet: link.heard.append(packet))
    try:
        await link.publisher.setLocalDescription(await link.publisher.createOffer())
        await link.receiver.setRemoteDescription(link.publisher.localDescription)
        await link.receiver.setLocalDescription(await link.receiver.createAnswer())
        await link.publisher.setRemoteDescription(link.receiver.localDescription)
        connections = (link.publisher, link.receiver)
        await until(lambda: all(c.connectionState == "connected" for c in connections), DEADLINE_S, "connected")
        yield link
    finally:
        await link.publisher.close()
        async with asyncio.timeout(DEADLINE_S):
            await link.receiver.close()


async def test_packets_come_out_as_they_went_in_and_no_thread_decodes_them():
    threads = set(threading.enumerate())
    async with linked(1.0) as link:
        link.encoder.start(time.monotonic())
        await until(lambda: len(link.heard) == len(link.encoder.packets), DEADLINE_S, "all packets")
        new = {thread.name for thread in set(threading.enumerate()) - threads}
        assert not {name for name in new if "decoder" in name}, "aiortc calls its own audio-decoder"
        assert [payload for _, _, payload in link.heard] == link.encoder.packets
        first_sequence, first_time, _ = link.heard[0]
        places = [(sequence - first_sequence, rtp_time - first_time) for sequence, rtp_time, _ in link.heard]
        assert places == [(n, 960 * n) for n in range(len(places))]
    assert not {thread for thread in set(threading.enumerate()) - threads if "decoder" in thread.name}


async def test_the_sender_is_told_how_much_arrives():
    async with linked(6.0) as link:
        link.note_reports()
        link.lose(LOST)
        link.encoder.start(time.monotonic())
        told = lambda: [each for packet in link.reports for each in packet.reports if each.packets_lost > 8]  # noqa: E731
        (report, *_) = await until(told, DEADLINE_S, "reports of losses")
        assert report.ssrc == link.sender._ssrc
        received = [sequence for sequence, _, _ in link.heard]
        assert report.highest_sequence in received
        expected = report.highest_sequence - received[0] + 1
        assert report.packets_lost == expected - sum(each <= report.highest_sequence for each in received)
        assert 256 // LOST // 2 < report.fraction_lost < 256 // LOST * 2
        assert report.jitter < 48_000 // 10
        with_round_trip = lambda: [each for packet in link.reports for each in packet.reports if each.lsr and each.dlsr]  # noqa: E731
        await until(with_round_trip, DEADLINE_S, "a report that tells the round trip time")


async def test_closing_ends_the_reports():
    async with linked(0.2) as link:
        link.encoder.start(time.monotonic())
        await until(lambda: link.heard, DEADLINE_S, "a packet")
        tasks = asyncio.all_tasks()
        async with asyncio.timeout(DEADLINE_S):
            await link.receiver.close()
        (receiver,) = link.receiver.getReceivers()
        assert not [task for task in tasks & asyncio.all_tasks() if "RTCRtpReceiver" in repr(task.get_coro())]
        await receiver.stop()


async def test_a_source_that_takes_anothers_place_is_followed_and_the_other_forgotten():
    async with linked(0.1) as link:
        link.encoder.start(time.monotonic())
        await until(lambda: len(link.heard) == len(link.encoder.packets), DEADLINE_S, "all packets")
        (receiver,) = link.receiver.getReceivers()
        (codec, *_) = link.receiver.getTransceivers()[0]._codecs
        before = link.heard[-1]
        link.heard.clear()

        async def send(ssrc: int, sequence: int, payload: bytes = b"x", payload_type: int = codec.payloadType) -> None:
            await link.deliver(RtpPacket(payload_type, 0, sequence, 960 * sequence, ssrc, payload))

        await send(77, 10)
        assert not link.heard, "one packet may be a stray"
        await send(77, 11)
        await send(77, 12)
        assert [(sequence % 65_536, rtp_time % (1 << 32)) for sequence, rtp_time, _ in link.heard] == [
            (10, 9600),
            (11, 10_560),
            (12, 11_520),
        ]
        assert link.heard[0][0] > before[0] and link.heard[0][1] > before[1]
        await send(link.sender._ssrc, before[0] + 1)
        await send(77, 13)
        await send(link.sender._ssrc, before[0] + 2)
        await send(77, 14, b"")
        await send(77, 15, payload_type=111 if codec.payloadType != 111 else 112)
        assert [sequence % 65_536 for sequence, _, _ in link.heard] == [10, 11, 12, 13], "not mixed, not empty"
        stats = await receiver.getStats()
        inbound = next(each for each in stats.values() if each.type == "inbound-rtp")
        assert (inbound.ssrc, inbound.packetsReceived, inbound.packetsLost) == (77, 5, 0)


async def test_however_many_sources_a_sender_makes_up_one_is_remembered():
    async with linked(0.1) as link:
        (codec, *_) = link.receiver.getTransceivers()[0]._codecs
        (receiver,) = link.receiver.getReceivers()
        for ssrc in range(1000, 3000):
            await link.deliver(RtpPacket(codec.payloadType, 0, 5, 0, ssrc, b"x"))
            if ssrc % 3 == 0:
                await link.deliver(RtpPacket(codec.payloadType, 0, 6, 960, ssrc, b"x"))
        assert len(receiver._RTCRtpReceiver__remote_streams) == 1  # type: ignore[attr-defined]
        assert len(receiver.transport._rtp_router.ssrc_table) <= 2
