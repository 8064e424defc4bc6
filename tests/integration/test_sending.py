"""What leaves the server arrives as it was made, on one clock, and is repaired where it is lost: by aiortc players."""

import asyncio
import logging
import re
import socket
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from struct import pack

import pytest
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtp import (
    RTCP_PSFB_FIR,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSrPacket,
    RtpPacket,
    is_rtcp,
)

from tests.aiortc_player import Player, eventually, player
from tests.fakes import LOOP_S, speech
from tests.greeting import without_greeting
from tests.integration.test_viewer import demo_of, once, steps
from whep_server.live.packetize import Packetised
from whep_server.live.session import Ending
from whep_server.live.stream import Stream
from whep_server.rtc.sender import Outbound
from whep_server.rtc.sender_reports import NTP_S, WALL_S

HZ = {"video": 90_000, "audio": 48_000}
CROWD = 30


class Tap:
    """What reaches one track of a player, before aiortc sees it."""

    def __init__(self, receiver: RTCRtpReceiver) -> None:
        self._take_rtp, self._take_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
        receiver._handle_rtp_packet, receiver._handle_rtcp_packet = self._on_rtp, self._on_rtcp
        self.all: list[RtpPacket] = []
        self.reports: list[tuple[int, RtcpSrPacket]] = []
        """With how many packets of the track came before."""

    @property
    def packets(self) -> list[RtpPacket]:
        """Those that were sent for the first time."""
        return [packet for packet in self.all if packet.ssrc == self.all[0].ssrc]

    @property
    def repeated(self) -> list[RtpPacket]:
        """Those that came as retransmissions (RFC 4588)."""
        return [packet for packet in self.all if packet.ssrc != self.all[0].ssrc]

    async def _on_rtp(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        self.all.append(packet)
        await self._take_rtp(packet, arrival_time_ms=arrival_time_ms)

    async def _on_rtcp(self, packet: object) -> None:
        if isinstance(packet, RtcpSrPacket):
            self.reports.append((len(self.packets), packet))
        await self._take_rtcp(packet)


def tapped(watching: Player) -> dict[str, Tap]:
    """A tap on each track of a player that is yet to watch."""
    return {each.kind: Tap(each.receiver) for each in watching.connection.getTransceivers()}


class Lossy:
    """A way to a player on which the first copy of every seventh packet of one source is lost, encrypted as it is."""

    def __init__(self, watching: Player) -> None:
        transport = watching.connection.getTransceivers()[0].receiver.transport.transport
        self._receive, transport._recv = transport._recv, self._recv
        self.ssrc = 0
        self.lost: list[int] = []

    async def _recv(self) -> bytes:
        while True:
            data = await self._receive()
            number, ssrc = int.from_bytes(data[2:4], "big"), int.from_bytes(data[8:12], "big")
            if is_rtcp(data) or ssrc != self.ssrc or number % 7 or number in self.lost:
                return data
            self.lost.append(number)


def outbound_of(stream: Stream, watching: Player, kind: str) -> Outbound:
    """The server's end of a track that is up."""
    viewer = stream._audience._viewers[watching.session.id]
    return (viewer.video if kind == "video" else viewer.audio)._outlet


async def send_rtcp(watching: Player, packet: object) -> None:
    """From the player to the server."""
    await watching.connection.getTransceivers()[0].receiver.transport._send_rtp(bytes(packet))


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_every_payload_of_every_unit_arrives_in_order_and_at_its_time(on_air, codec):
    async with on_air() as (registry, _), player(codec=codec) as watching:
        stream, taps = await demo_of(registry), tapped(watching)
        await watching.watch(stream)
        viewer = stream._audience._viewers[watching.session.id]
        given: dict[str, list[Packetised]] = {"video": [], "audio": []}
        for kind, feed in (("video", viewer.video), ("audio", viewer.audio)):

            def push(unit: Packetised, kind: str = kind, push: Callable[[Packetised], bool] = feed.push) -> bool:
                given[kind].append(unit)
                return push(unit)

            feed.push = push
        await watching.until(lambda: len(watching.pictures) > 5)
        await stream.speak(once(speech(frames=30)))
        await watching.until(lambda: sum(seen.live for seen in watching.pictures) > 25)
        for kind, units in given.items():
            sent = [(payload, unit.rtp_time) for unit in units for payload in unit.payloads]
            came = taps[kind].packets
            assert len(came) > 30
            assert [packet.payload for packet in came] == [payload for payload, _ in sent][: len(came)]
            origins = {(packet.timestamp - at) % 2**32 for packet, (_, at) in zip(came, sent, strict=False)}
            assert origins == {outbound_of(stream, watching, kind).origin}
            assert steps([packet.sequence_number for packet in came], 1 << 16) == {1}
            ends = [packet.marker for packet in came]
            last_of = [at == len(unit.payloads) - 1 for unit in units for at in range(len(unit.payloads))][: len(came)]
            assert ends == [int(last and kind == "video") for last in last_of]


async def test_reports_of_both_tracks_say_the_same_of_the_clock_from_the_first_unit_on(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream, taps = await demo_of(registry), tapped(watching)
        await watching.watch(stream)
        await watching.until(lambda: all(len(tap.reports) > 2 for tap in taps.values()))
        began = []
        for kind, tap in taps.items():
            origin = outbound_of(stream, watching, kind).origin
            assert tap.reports[0][0] == sum(packet.timestamp == tap.packets[0].timestamp for packet in tap.packets)
            octets = [0]
            for packet in tap.packets:
                octets.append(octets[-1] + len(packet.payload))
            for before, report in tap.reports:
                info = report.sender_info
                assert (info.packet_count, info.octet_count) == (before, octets[before])
                media_s = (info.rtp_timestamp - origin) % 2**32 / HZ[kind]
                began.append(info.ntp_timestamp / 2**32 - NTP_S - media_s)
        assert max(began) - min(began) < 0.001
        assert abs(began[0] - (stream._air.clock.started_s + WALL_S)) < 0.001


def without_rtx(watching: Player) -> None:
    """Have the player offer its picture codec alone."""
    for transceiver in watching.connection.getTransceivers():
        if transceiver.kind == "video":
            codecs = RTCRtpReceiver.getCapabilities("video").codecs
            transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "video/VP8"])


@pytest.mark.parametrize("rtx", [True, False])
async def test_lost_packets_are_sent_again_before_anybody_notices(on_air, rtx):
    """One packet in seven does not arrive, and yet no picture is missing."""
    async with on_air() as (registry, _), player(codec="VP8") as watching:
        if not rtx:
            without_rtx(watching)
        stream, taps, road = await demo_of(registry), tapped(watching), Lossy(watching)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 5)
        road.ssrc = outbound_of(stream, watching, "video")._ssrc
        await watching.until(lambda: len(watching.pictures) > 80)
        assert len(road.lost) > 8 and steps(watching.shown, LOOP_S * 25) == {1}
        pictures = watching.session.stats().video
        assert pictures.pli_count == 0 and pictures.nack_count > 0
        assert pictures.retransmitted_packets_sent >= len(road.lost) - 1
        assert ("rtx" in watching.session.answer) == rtx == bool(taps["video"].repeated)
        repaired = {int.from_bytes(packet.payload[:2], "big") for packet in taps["video"].repeated}
        assert repaired >= set(road.lost[:-1]) or not rtx


async def test_what_the_viewer_reports_is_told_to_who_chooses_the_rate(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        assert "goog-remb" in watching.session.answer and "abs-send-time" in watching.session.answer
        assert "transport-cc" not in watching.session.answer
        feed = stream._audience._viewers[watching.session.id].video
        await eventually(lambda: feed.feedback.remb_bps and feed.feedback.round_trip_s and feed.feedback.sent_bps)
        assert feed.feedback.reports > 1
        assert feed.feedback.fraction_lost == 0.0 and 0 < feed.feedback.round_trip_s < 1
        stats = watching.session.stats().video
        assert (stats.packets_lost, stats.round_trip_time_s) == (0, feed.feedback.round_trip_s)
        outbound = outbound_of(stream, watching, "video")
        before = feed.feedback.reports
        about = [
            RtcpReceiverInfo(outbound._ssrc, 64, 9, 0, 900, 0, 0),
            RtcpReceiverInfo(outbound._rtx_ssrc, 1, 1, 0, 1, 0, 0),
        ]
        await send_rtcp(watching, RtcpRrPacket(ssrc=1, reports=about))
        await eventually(lambda: feed.feedback.reports > before)
        await eventually(lambda: feed.feedback.fraction_lost == 0.25)
        assert watching.session.stats().video.packets_lost == 9


async def test_a_full_intra_request_that_is_repeated_counts_once(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        ssrc = outbound_of(stream, watching, "video")._ssrc
        for number in (1, 1, 1, 2):
            fci = pack("!IB3x", ssrc, number)
            await send_rtcp(watching, RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=5, media_ssrc=0, fci=fci))
        await send_rtcp(watching, RtcpPsfbPacket(fmt=RTCP_PSFB_FIR, ssrc=5, media_ssrc=0, fci=fci[:4]))  # cut short
        await eventually(lambda: watching.session.stats().video.pli_count == 2)
        seen = len(watching.pictures)
        await watching.until(lambda: len(watching.pictures) > seen + 5)
        assert watching.session.stats().video.pli_count == 2


class Listener:
    """A player that decodes nothing and notes the number of each packet."""

    def __init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.numbers: dict[int, list[int]] = {}
        self.markers = 0
        for kind in ("video", "audio"):
            receiver = self.connection.addTransceiver(kind, direction="recvonly").receiver
            receiver.transport._handle_rtp_data = self._note

    async def _note(self, data: bytes, arrival_time_ms: int) -> None:
        packet = RtpPacket.parse(data)
        self.numbers.setdefault(packet.ssrc, []).append(packet.sequence_number)
        self.markers += packet.marker

    async def watch(self, stream: Stream) -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        session = await stream.open_viewer(self.connection.localDescription.sdp)
        await self.connection.setRemoteDescription(RTCSessionDescription(session.answer, "answer"))


async def test_thirty_viewers_who_come_at_once_all_get_everything(on_air):
    async with on_air(max_viewers=CROWD) as (registry, _), AsyncExitStack() as stack:
        stream, crowd = await demo_of(registry), [Listener() for _ in range(CROWD)]
        for listener in crowd:
            stack.push_async_callback(listener.connection.close)
        await asyncio.gather(*(listener.watch(stream) for listener in crowd))
        await eventually(lambda: all(listener.markers > 25 for listener in crowd), 60)
        for listener in crowd:
            assert len(listener.numbers) == 2
            for numbers in listener.numbers.values():
                assert steps(numbers, 1 << 16) == {1}


async def test_a_full_socket_costs_packets_that_are_repaired_and_nobody_else_notices(on_air, tmp_path):
    """A Unix socket that nobody reads takes the place of the viewer's for a while: UDP over loopback is never full."""
    async with on_air() as (registry, _), player(codec="VP8") as blocked, player(codec="VP8") as other:
        stream = await demo_of(registry)
        await blocked.watch(stream)
        await other.watch(stream)
        await blocked.until(lambda: len(blocked.pictures) > 5 and len(other.pictures) > 5)
        path = outbound_of(stream, blocked, "video")._delivery._path
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far,
        ):
            full.setblocking(False)
            far.bind(str(tmp_path / "far"))
            kept = path._socket, path._address
            path._socket, path._address = full, str(tmp_path / "far")
            await eventually(lambda: blocked.session.stats().video.packets_discarded_on_send > 3)
            path._socket, path._address = kept
        seen = len(blocked.pictures)
        await blocked.until(lambda: len(blocked.pictures) > seen + 10)
        assert blocked.session.stats().video.retransmitted_packets_sent > 0
        assert other.session.stats().video.packets_discarded_on_send == 0
        times = [packet.time for packet in other.packets["video"] if packet.marker]
        assert {(after - before) % 2**32 for before, after in pairwise(without_greeting(times))} == {3600}


async def test_where_the_way_is_full_pictures_are_left_out_up_to_a_keyframe(on_air):
    async with on_air() as (registry, opener), player(codec="VP8") as slow, player(codec="VP8") as other:
        stream = await demo_of(registry)
        await slow.watch(stream)
        await other.watch(stream)
        await slow.until(lambda: len(slow.pictures) > 5 and len(other.pictures) > 5)
        path = outbound_of(stream, slow, "video")._delivery._path
        path.congested = True  # as a relay's is
        await eventually(lambda: slow.session.stats().video.frames_dropped > 5)
        path.congested = False
        seen, dropped = len(slow.pictures), slow.session.stats().video.frames_dropped
        await slow.until(lambda: len(slow.pictures) > seen + 10)
        assert slow.session.stats().video.frames_dropped - dropped <= 5, "the next keyframe is never far"
        assert steps([packet.sequence for packet in slow.packets["video"]], 1 << 16) == {1}
        assert slow.session.stats().video.pli_count == 0
        times = [packet.time for packet in other.packets["video"] if packet.marker]
        assert {(after - before) % 2**32 for before, after in pairwise(without_greeting(times))} == {3600}
        assert not [message for message in opener.worker.sent if type(message).__name__ == "ForceKeyframe"]


async def test_a_viewer_that_cannot_be_sent_to_ends_as_failed_and_says_why(on_air, monkeypatch, caplog):
    def gone(*_: object) -> None:
        raise AttributeError("_register_rtp_sender")

    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        monkeypatch.setattr(RTCDtlsTransport, "_register_rtp_sender", gone)
        with caplog.at_level(logging.ERROR):
            await watching.watch(stream)
            await eventually(lambda: stream.viewer_count == 0)
        assert watching.session.ending is Ending.FAILED
        assert re.search("a session failed", caplog.text) and "AttributeError: _register_rtp_sender" in caplog.text
