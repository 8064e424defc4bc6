"""Many cheap viewers in one process: real WHEP, ICE and DTLS by aiortc, then packets are decrypted and counted.

Nothing is put in order, decoded or shown, so that hundreds fit beside the server they load. Reports go back once a
second as from any viewer. Commands come as JSON lines on standard input, each is answered by one line:

    {"join": 9}      nine more viewers; answered when media can flow to all
    {"count": 20}    what all viewers together received in so many seconds

Names of aiortc relied on, read at 1.16.0: RTCDtlsTransport._handle_rtp_data (replaced on the instance), _send_rtp.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast
from urllib.parse import urljoin

import httpx
import msgspec
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpReceiveParameters
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket
from aiortc.sdp import SessionDescription

from whep_server.rtc.ice import ice_policy
from whep_server.settings import Settings

JOIN_S: Final = 30.0
JOINS_AT_ONCE: Final = 4
"""Handshakes cost both ends; a crowd at once would time out on a small machine."""
REPORT_S: Final = 1.0


class Transport(Protocol):
    """What is used of aiortc's DTLS transport."""

    _handle_rtp_data: Callable[..., Awaitable[None]]
    """Called with a decrypted packet and the keyword ``arrival_time_ms``."""

    async def _send_rtp(self, data: bytes) -> None: ...


class Command(msgspec.Struct, forbid_unknown_fields=True):
    """One line of standard input."""

    join: int = 0
    count: float = 0


@dataclass(slots=True)
class Flow:
    """One RTP stream as its receiver counts it."""

    packets: int = 0
    frames: int = 0
    expected: int = 0
    sequence: int | None = None

    def take(self, packet: bytes) -> None:
        """Count a packet: a marker ends a picture (RFC 6184, RFC 7741)."""
        sequence = int.from_bytes(packet[2:4], "big")
        step = 1 if self.sequence is None else (sequence - self.sequence) & 0xFFFF
        self.packets += 1
        self.frames += packet[1] >> 7
        if step < 0x8000:
            self.expected += step
            self.sequence = sequence

    def restart(self) -> None:
        """Count from nothing; the next packet is still expected to follow the last one."""
        self.packets = self.frames = self.expected = 0


class LightViewer:
    """One viewer."""

    def __init__(
        self, kinds: Sequence[str] = ("audio", "video"), tap: Callable[[str, bytes], None] | None = None
    ) -> None:
        """``tap`` is given the kind and the bytes of every RTP packet, decrypted."""
        self._kinds = kinds
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._tap = tap
        self.video, self.audio = Flow(), Flow()
        self.session = ""
        self._flows: dict[int, Flow] = {}
        self._newest: dict[int, int] = {}
        """Highest sequence number by SSRC, for reports."""

    async def join(self, client: httpx.AsyncClient, endpoint: str, codec: str) -> None:
        """POST an offer and connect. Errors: httpx.HTTPStatusError, TimeoutError."""
        connected = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState == "connected":
                connected.set()

        self.connection.on("connectionstatechange", changed)
        for kind in self._kinds:
            transceiver = self.connection.addTransceiver(kind, direction="recvonly")
            transceiver.receiver.receive = _receive_nothing  # type: ignore[method-assign, assignment]  # no threads
            if kind == "video":
                transceiver.setCodecPreferences(_preferences(codec))
        async with asyncio.timeout(JOIN_S):
            await self.connection.setLocalDescription(await self.connection.createOffer())
            offer = self.connection.localDescription.sdp
            reply = await client.post(endpoint, content=offer, headers={"Content-Type": "application/sdp"})
            reply.raise_for_status()
            self.session = reply.headers.get("Location", "")
            for media in SessionDescription.parse(reply.text).media:
                flow = self.video if media.kind == "video" else self.audio
                self._flows |= {int(each.payloadType or 0): flow for each in media.rtp.codecs if each.name != "rtx"}
            await self.connection.setRemoteDescription(RTCSessionDescription(reply.text, "answer"))
            self._transport._handle_rtp_data = self._count
            await connected.wait()

    @property
    def _transport(self) -> Transport:
        return cast(Transport, self.connection.getTransceivers()[0].receiver.transport)

    async def _count(self, packet: bytes, arrival_time_ms: int) -> None:
        flow = self._flows.get(packet[1] & 0x7F)
        if flow is not None and self._tap is not None:
            self._tap("video" if flow is self.video else "audio", packet)
        if flow is not None:
            flow.take(packet)
            self._newest[int.from_bytes(packet[8:12], "big")] = flow.sequence or 0

    async def report(self) -> None:
        """A receiver report on each stream, as long as it is connected: all is well."""
        while True:
            await asyncio.sleep(REPORT_S)
            if self.connection.connectionState != "connected":
                return
            blocks = [
                RtcpReceiverInfo(
                    ssrc=ssrc, fraction_lost=0, packets_lost=0, highest_sequence=newest, jitter=0, lsr=0, dlsr=0
                )
                for ssrc, newest in self._newest.items()
            ]
            if blocks:
                await self._transport._send_rtp(bytes(RtcpRrPacket(ssrc=1, reports=blocks)))


def _preferences(codec: str) -> list[RTCRtpCodecCapability]:
    """What a viewer of one codec offers."""
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None, "video has codecs"
    wanted = (f"video/{codec}".lower(), "video/rtx")
    return [each for each in capabilities.codecs if each.mimeType.lower() in wanted]


async def _receive_nothing(_parameters: RTCRtpReceiveParameters) -> None:
    """In place of aiortc's receiver, which would start a thread that decodes."""


class Crowd:
    """All viewers of this process."""

    def __init__(self, endpoint: str, codec: str, client: httpx.AsyncClient, group: asyncio.TaskGroup) -> None:
        self._endpoint, self._codec, self._client, self._group = endpoint, codec, client, group
        self._viewers: list[LightViewer] = []
        self._reports: list[asyncio.Task[None]] = []
        self._gate = asyncio.Semaphore(JOINS_AT_ONCE)

    async def join(self, count: int) -> dict[str, float]:
        """So many more."""
        async with asyncio.TaskGroup() as joins:
            for _ in range(count):
                joins.create_task(self._one())
        return {"viewers": len(self._viewers)}

    async def _one(self) -> None:
        async with self._gate:
            viewer = LightViewer()
            self._viewers.append(viewer)
            await viewer.join(self._client, self._endpoint, self._codec)
            self._reports.append(self._group.create_task(viewer.report()))

    async def count(self, seconds: float) -> dict[str, float]:
        """What comes in so many seconds, to all viewers together."""
        flows = [flow for viewer in self._viewers for flow in (viewer.video, viewer.audio)]
        for flow in flows:
            flow.restart()
        await asyncio.sleep(seconds)
        return {
            "frames": sum(viewer.video.frames for viewer in self._viewers),
            "video_packets": sum(viewer.video.packets for viewer in self._viewers),
            "audio_packets": sum(viewer.audio.packets for viewer in self._viewers),
            "lost": sum(flow.expected - flow.packets for flow in flows),
        }

    async def leave(self) -> None:
        """End all sessions."""
        for report in self._reports:
            report.cancel()
        for viewer in self._viewers:
            if viewer.session:
                await self._client.delete(urljoin(self._endpoint, viewer.session))
            await viewer.connection.close()


async def serve(endpoint: str, codec: str) -> None:
    """Do what standard input says, until it ends."""
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with httpx.AsyncClient(timeout=JOIN_S, trust_env=False) as client, asyncio.TaskGroup() as group:
        crowd = Crowd(endpoint, codec, client, group)
        while line := await lines.readline():
            command = msgspec.json.decode(line, type=Command)
            answer = await (crowd.join(command.join) if command.join else crowd.count(command.count))
            sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
            sys.stdout.buffer.flush()
        await crowd.leave()


def start() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint", help="WHEP address of a stream")
    parser.add_argument("--codec", choices=("H264", "VP8"), default="H264")
    arguments = parser.parse_args()
    with ice_policy(Settings.model_validate({"host": "127.0.0.1"})):
        asyncio.run(serve(arguments.endpoint, arguments.codec))


if __name__ == "__main__":
    start()
