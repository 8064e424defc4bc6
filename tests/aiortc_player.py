"""A WHEP player on aiortc, without HTTP: gives an offer, takes an answer, decodes what comes and notes every packet."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from aiortc.rtp import RtpPacket

from tests.fakes import read
from whep_server.live.session import Session
from whep_server.live.stream import Stream

DEADLINE_S = 20.0
LOUD = 1000
"""Of 16 bit samples; the pretended worker's tone is ten times as loud."""


@dataclass
class Packet:
    """What a test needs of an RTP packet."""

    sequence: int
    time: int
    marker: bool


@dataclass
class Seen:
    """One decoded picture."""

    number: int
    """The frame number that is painted in it: its place in the idle loop."""
    live: bool
    speaking: bool
    pts: int


@dataclass
class Player:
    """A player's end of a session, and what it received."""

    connection: RTCPeerConnection
    pictures: list[Seen] = field(default_factory=list)
    sounds: int = 0
    loud: list[bool] = field(default_factory=list)
    """For each 20 ms of sound: whether anything is heard."""
    packets: dict[str, list[Packet]] = field(default_factory=lambda: {"audio": [], "video": []})
    session: Session | None = None

    async def until(self, condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
        """Wait for a condition on what was received."""
        await eventually(condition, deadline_s)

    async def watch(self, stream: Stream, change: Callable[[str], str] = lambda offer: offer) -> None:
        """Exchange descriptions with a stream."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        self.session = await stream.open_viewer(change(self.connection.localDescription.sdp))
        await self.connection.setRemoteDescription(RTCSessionDescription(self.session.answer, "answer"))

    async def ask_for_keyframe(self) -> None:
        """Send a picture loss indication."""
        receiver = next(r for r in self.connection.getReceivers() if r.track.kind == "video")
        ssrc = receiver._RTCRtpReceiver__remote_streams and next(iter(receiver._RTCRtpReceiver__remote_streams))
        await receiver._send_rtcp_pli(ssrc)

    @property
    def shown(self) -> list[int]:
        """The painted numbers, in order of decoding."""
        return [seen.number for seen in self.pictures]


async def eventually(condition: Callable[[], bool], deadline_s: float = DEADLINE_S) -> None:
    """Wait for a condition under a deadline."""
    async with asyncio.timeout(deadline_s):
        while not condition():  # noqa: ASYNC110  # the condition may be about anything
            await asyncio.sleep(0.01)


def note_packets(receiver: RTCRtpReceiver, packets: list[Packet]) -> None:
    """Note every RTP packet before aiortc sees it."""
    handle = receiver._handle_rtp_packet

    async def noted(packet: RtpPacket, arrival_time_ms: int) -> None:
        packets.append(Packet(packet.sequence_number, packet.timestamp, bool(packet.marker)))
        await handle(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = noted


async def consume(track: MediaStreamTrack, player: Player) -> None:
    """Decode until the track ends."""
    with suppress(MediaStreamError):
        while True:
            frame = await track.recv()
            if track.kind == "video":
                number, live, speaking = read(frame.to_ndarray()[: frame.height, : frame.width])
                player.pictures.append(Seen(number, live, speaking, frame.pts))
            else:
                player.sounds += 1
                player.loud.append(bool(abs(frame.to_ndarray()).max() > LOUD))


def prefer(connection: RTCPeerConnection, codec: str | None) -> None:
    """Offer one picture codec alone."""
    if codec is None:
        return
    for transceiver in connection.getTransceivers():
        if transceiver.kind == "video":
            capabilities = RTCRtpReceiver.getCapabilities("video").codecs
            chosen = [each for each in capabilities if each.mimeType.lower() in (f"video/{codec.lower()}", "video/rtx")]
            transceiver.setCodecPreferences(chosen)


@asynccontextmanager
async def player(kinds: tuple[str, ...] = ("video", "audio"), codec: str | None = None) -> AsyncIterator[Player]:
    """A player that asks to receive ``kinds``."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    made = Player(connection)
    for kind in kinds:
        transceiver = connection.addTransceiver(kind, direction="recvonly")
        note_packets(transceiver.receiver, made.packets[kind])
    prefer(connection, codec)
    async with asyncio.TaskGroup() as group:
        consumers: list[asyncio.Task[None]] = []
        connection.on("track", lambda track: consumers.append(group.create_task(consume(track, made))))
        try:
            yield made
        finally:
            await connection.close()
            for consumer in consumers:  # a track whose connection never came up does not end by itself
                consumer.cancel()
