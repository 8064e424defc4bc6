"""A WHEP viewer made of aiortc that keeps all it gets: packets, sender reports, decoded pictures and sound.

Everything is kept on the RTP clock of its track, unwrapped to plain growing numbers, so that a test measures on media
time and not on when this busy process happened to look.

    python -m tests.clients.recording_viewer WHEP_URL H264|VP8 PICTURES SECONDS

watches so many pictures and prints one JSON object.
"""

import asyncio
import json
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from unittest.mock import patch
from urllib.parse import urljoin

import httpx
import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtp import RtcpSrPacket
from av import AudioFrame, VideoFrame
from numpy.typing import NDArray

from tests.clients.waiting import until
from tests.greeting import GREETING_TICKS

VIDEO_HZ = 90_000
AUDIO_HZ = 48_000
CONNECT_S = 20.0
SO_RCVBUFFORCE = 33  # Linux; the socket module has no name for it
SOCKET_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Packet:
    """What of an RTP packet a test asks about."""

    sequence: int
    """Unwrapped."""
    rtp_time: int
    """Unwrapped."""
    keyframe: bool
    """It begins a picture that needs no other. Always False for VP8 and for sound."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture."""

    rtp_time: int
    frame: VideoFrame

    def i420(self) -> NDArray[np.uint8]:
        """Shapes: (height * 3 // 2, width), planar YUV 4:2:0."""
        return self.frame.to_ndarray(format="yuv420p")


@dataclass(slots=True)
class Track:
    """What came on one track."""

    rate_hz: int
    packets: list[Packet] = field(default_factory=list)
    reports: list[tuple[float, int]] = field(default_factory=list)
    """Sender reports: (NTP time in seconds, RTP time unwrapped)."""

    def unwrap(self, rtp_time: int) -> int:
        """The plain growing number of a 32-bit RTP time: the one nearest to the newest packet's."""
        if not self.packets:
            return rtp_time
        newest = self.packets[-1].rtp_time
        return newest + ((rtp_time - newest + (1 << 31)) % (1 << 32)) - (1 << 31)

    def add(self, sequence: int, rtp_time: int, keyframe: bool) -> None:
        """Note a packet."""
        if self.packets:
            newest = self.packets[-1].sequence
            sequence = newest + ((sequence - newest + (1 << 15)) % (1 << 16)) - (1 << 15)
        self.packets.append(Packet(sequence, self.unwrap(rtp_time), keyframe))

    def keyframe_times(self) -> list[int]:
        """RTP times of keyframes, in order."""
        return sorted({packet.rtp_time for packet in self.packets if packet.keyframe})

    def times(self) -> list[int]:
        """RTP times of pictures or sound packets, each once, in order."""
        return sorted({packet.rtp_time for packet in self.packets})

    def lost(self) -> int:
        """How many sequence numbers never came."""
        numbers = {packet.sequence for packet in self.packets}
        return max(numbers) - min(numbers) + 1 - len(numbers)

    def ntp_s(self, rtp_time: int) -> float:
        """The sender's wall clock at an RTP time, by the median of its reports."""
        offsets = [ntp - time / self.rate_hz for ntp, time in self.reports]
        return rtp_time / self.rate_hz + float(np.median(offsets))


@dataclass(slots=True)
class Viewer:
    """A connected viewer and what it has received so far."""

    connection: RTCPeerConnection
    location: str
    answer: str
    video: Track = field(default_factory=lambda: Track(VIDEO_HZ))
    audio: Track = field(default_factory=lambda: Track(AUDIO_HZ))
    pictures: list[Picture] = field(default_factory=list)
    sound: list[tuple[int, NDArray[np.int16]]] = field(default_factory=list)
    """(RTP time of the first sample, mono samples at 48 kHz)."""

    async def wait_pictures(self, count: int, seconds: float = 60.0) -> None:
        """Wait for so many more pictures than there are now."""
        wanted = len(self.pictures) + count
        await until(lambda: len(self.pictures) >= wanted, seconds, f"{count} more pictures")

    async def wait_video_time(self, rtp_time: int, seconds: float = 60.0) -> None:
        """Wait until a picture of that RTP time or later is decoded."""
        await until(
            lambda: bool(self.pictures) and self.pictures[-1].rtp_time >= rtp_time, seconds, f"video at {rtp_time}"
        )

    def samples(self) -> tuple[int, NDArray[np.float32]]:
        """The sound in one piece: (RTP time of its first sample, samples in [-1, 1])."""
        first = self.sound[0][0]
        last, tail = self.sound[-1]
        whole = np.zeros(last - first + len(tail), np.float32)
        for rtp_time, samples in self.sound:
            whole[rtp_time - first : rtp_time - first + len(samples)] = samples / 32768
        return first, whole


def begins_h264_keyframe(payload: bytes) -> bool:
    """Whether an RTP payload begins an IDR picture or the parameter sets before one (RFC 6184 sections 5.2 to 5.8)."""
    parameters_or_idr = {5, 7, 8}
    kind = payload[0] & 31
    if kind == 24 and len(payload) > 3:  # STAP-A: two bytes of length, then the first unit
        return payload[3] & 31 in parameters_or_idr
    if kind == 28 and len(payload) > 1:  # FU-A: its start bit, then the kind of what is cut up
        return bool(payload[1] & 128) and payload[1] & 31 in parameters_or_idr
    return kind in parameters_or_idr


def tap(receiver: RTCRtpReceiver, track: Track, h264: bool) -> None:
    """Note every packet before aiortc sees it. These two names of aiortc 1.16 are private; only tests use them."""
    handle_rtp, handle_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet
    sources: list[int] = []

    async def on_rtp(packet, arrival_time_ms):
        sources.append(packet.ssrc) if not sources else None
        if packet.ssrc == sources[0]:  # retransmissions come under another
            keyframe = h264 and begins_h264_keyframe(packet.payload)
            track.add(packet.sequence_number, packet.timestamp, keyframe)
        await handle_rtp(packet, arrival_time_ms=arrival_time_ms)

    async def on_rtcp(packet):
        if isinstance(packet, RtcpSrPacket) and track.packets:
            info = packet.sender_info
            track.reports.append((info.ntp_timestamp / 2**32, track.unwrap(info.rtp_timestamp)))
        await handle_rtcp(packet)

    receiver._handle_rtp_packet, receiver._handle_rtcp_packet = on_rtp, on_rtcp


async def keep_pictures(source: MediaStreamTrack, viewer: Viewer) -> None:
    """Collect decoded pictures until the track ends, from the first one on that was shown at its own time.

    aiortc counts their time from the first packet's.
    """
    try:
        while True:
            frame = await source.recv()
            assert isinstance(frame, VideoFrame) and frame.pts is not None
            picture = Picture(viewer.video.packets[0].rtp_time + frame.pts, frame)
            if viewer.pictures and picture.rtp_time - viewer.pictures[-1].rtp_time == GREETING_TICKS:
                viewer.pictures.pop()
            viewer.pictures.append(picture)
    except MediaStreamError:
        return


async def keep_sound(source: MediaStreamTrack, viewer: Viewer) -> None:
    """Collect decoded sound until the track ends."""
    try:
        while True:
            frame = await source.recv()
            assert isinstance(frame, AudioFrame) and frame.pts is not None
            channels = len(frame.layout.channels)
            samples = frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.int16)
            viewer.sound.append((viewer.audio.packets[0].rtp_time + frame.pts, samples))
    except MediaStreamError:
        return


def widen_sockets(connection: RTCPeerConnection) -> None:
    """Have the kernel hold seconds of packets, so that a stall of this busy process does not look like loss."""
    for transceiver in connection.getTransceivers():
        for protocol in transceiver.receiver.transport.transport._connection._protocols:
            opened = protocol.transport.get_extra_info("socket")
            with suppress(PermissionError):
                opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, SOCKET_BYTES)  # past the system's limit: root only


@contextmanager
def loopback_candidates() -> Iterator[None]:
    """aioice leaves 127.0.0.1 out; a machine without any network has nothing else."""
    with patch("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"]):
        yield


def prefer(connection: RTCPeerConnection, codec: str | None) -> None:
    """Offer one video codec, with its retransmission, or none; and sound."""
    if codec:
        capabilities = RTCRtpReceiver.getCapabilities("video").codecs
        kept = [one for one in capabilities if one.mimeType.lower() in {f"video/{codec.lower()}", "video/rtx"}]
        connection.addTransceiver("video", "recvonly").setCodecPreferences(kept)
    connection.addTransceiver("audio", "recvonly")


@asynccontextmanager
async def watching(whep: str, codec: str | None = "H264", *, leaves: bool = True) -> AsyncIterator[Viewer]:
    """A viewer that has its first picture; leaving the block deletes its session. With no codec it only listens.

    Where it never ``leaves``, it is the server that ends it.
    """
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    trusted = ssl.create_default_context()  # SSL_CERT_FILE names an authority of a test's own
    async with (
        httpx.AsyncClient(timeout=30, trust_env=False, verify=trusted) as client,
        asyncio.TaskGroup() as group,
    ):
        prefer(connection, codec)
        with loopback_candidates():
            await connection.setLocalDescription(await connection.createOffer())
        widen_sockets(connection)
        response = await client.post(
            whep, content=connection.localDescription.sdp, headers={"Content-Type": "application/sdp"}
        )
        assert response.status_code == 201, response.text
        viewer = Viewer(connection, urljoin(whep, response.headers["Location"]), response.text)
        receivers = {each.kind: each.receiver for each in connection.getTransceivers()}
        for kind, receiver in receivers.items():
            tap(receiver, viewer.video if kind == "video" else viewer.audio, kind == "video" and codec == "H264")
        try:
            await connection.setRemoteDescription(RTCSessionDescription(response.text, "answer"))
            if codec:
                group.create_task(keep_pictures(receivers["video"].track, viewer))
            group.create_task(keep_sound(receivers["audio"].track, viewer))
            await until(lambda: viewer.sound and (viewer.pictures or not codec), CONNECT_S, "first picture and sound")
            yield viewer
            if leaves:
                assert (await client.delete(viewer.location)).status_code == 200
        finally:
            await connection.close()


async def main(whep: str, codec: str, pictures: str, seconds: str) -> None:
    """Watch so many pictures and print one JSON object about it."""
    async with watching(whep, codec) as viewer:
        await viewer.wait_pictures(int(pictures), float(seconds))
        print(json.dumps({"client": f"aiortc {version('aiortc')}", "video": len(viewer.pictures)}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
