"""An observer: a WHEP viewer for measuring. ICE, DTLS and SRTP are aiortc's; packets are taken at the socket, timed.

Nothing is put in order, decoded or shown here: what came is handed to a tap, and looked at after the run, so that
looking does not disturb when things come. Reports go back once a second as from any viewer, lost pictures are asked for
again (NACK, then PLI), and a network that loses packets can be imitated: some are dropped as if they had not come.

Names of aiortc and aioice relied on, read at 1.16.0 and 0.13.0: RTCDtlsTransport._rx_srtp, _send_rtp;
RTCIceTransport._connection; aioice.Connection._protocols; StunProtocol.datagram_received (replaced on the instance);
aioice.ice.get_host_addresses.
"""

import asyncio
import random
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, cast
from urllib.parse import urljoin

import aioice.ice
import httpx
import pylibsrtp
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription
from aiortc.rtcrtpparameters import RTCRtpCodecCapability, RTCRtpReceiveParameters
from aiortc.rtp import RtcpPacket, RtcpSrPacket
from aiortc.sdp import SessionDescription

from bench.flows import Flow, feedback, restored

JOIN_S: Final = 30.0
TURN_S: Final = 0.02
"""How often a viewer looks whether something is lost."""
REPORT_S: Final = 1.0
NTP_SECOND: Final = 1 << 32


class Tap(Protocol):
    """Who is given what comes."""

    def take(self, kind: str, at_s: float, packet: bytes) -> None:
        """An RTP packet of ``audio`` or ``video``, and when it was read off the socket (monotonic clock)."""
        ...

    def report(self, kind: str, ntp_s: float, rtp_time: int) -> None:
        """A sender report: the sender's clock at an RTP time."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an offer."""

    sdp: str
    session: str
    """What is deleted to leave; empty where there is nothing of the kind."""


class Signaling(Protocol):
    """How a server is asked for media."""

    async def offer(self, sdp: str) -> Answer:
        """Errors: httpx.HTTPStatusError."""
        ...

    async def leave(self, session: str) -> None:
        """Nobody watches any more."""
        ...


@dataclass(frozen=True, slots=True)
class Whep:
    """By WHEP."""

    client: httpx.AsyncClient
    endpoint: str

    async def offer(self, sdp: str) -> Answer:
        """As ``Signaling``."""
        reply = await self.client.post(self.endpoint, content=sdp, headers={"Content-Type": "application/sdp"})
        reply.raise_for_status()
        return Answer(reply.text, reply.headers.get("Location", ""))

    async def leave(self, session: str) -> None:
        """As ``Signaling``."""
        await self.client.delete(urljoin(self.endpoint, session))


@dataclass(frozen=True, slots=True)
class JsonOffer:
    """By a JSON object with the offer, answered by one: how fastrtc and pipecat are asked."""

    client: httpx.AsyncClient
    endpoint: str

    async def offer(self, sdp: str) -> Answer:
        """As ``Signaling``."""
        offer = {"sdp": sdp, "type": "offer", "webrtc_id": uuid.uuid4().hex}
        reply = await self.client.post(self.endpoint, json=offer)
        reply.raise_for_status()
        return Answer(str(reply.json()["sdp"]), "")

    async def leave(self, session: str) -> None:
        """The connection is closed, and that is all."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What a viewer asks for, and what becomes of it on the way."""

    kinds: Sequence[str] = ("audio", "video")
    codec: str = "H264"
    loss: float = 0.0
    """The part of the packets that never come."""
    decrypt_every: int = 1
    """1: the tap is given packets decrypted. n: as they came, headers clear, and every n-th is only tried."""
    conversation: bool = False
    """Offer to send, too, and a data channel: servers for conversations wait for both."""


class Transport(Protocol):
    """What is used of aiortc's DTLS transport."""

    _rx_srtp: pylibsrtp.Session | None

    async def _send_rtp(self, data: bytes) -> None: ...


class Socket(Protocol):
    """What is used of aioice's protocol of one socket."""

    datagram_received: Callable[[bytes, tuple[str, int]], None]


class Observer:
    """One such viewer. ``join``, then ``run`` in a task of the owner's, then ``leave``."""

    def __init__(self, tap: Tap, wish: Wish) -> None:
        self._tap, self._wish = tap, wish
        self._chance = random.Random(0)
        self._counted = 0
        self._flows: dict[int, Flow] = {}
        self._by_kind: dict[str, Flow] = {}
        self._repairs: dict[int, int] = {}
        """Payload type of what is sent again -> that of the original."""
        self._transport: Transport | None = None
        self._answer: Answer | None = None
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.rejected = 0
        """Packets that did not pass the keys."""
        self.verified = 0

    @property
    def flows(self) -> list[Flow]:
        """Sound and pictures."""
        return list(self._by_kind.values())

    def flow(self, kind: str) -> Flow:
        """``audio`` or ``video``."""
        return self._by_kind[kind]

    async def join(self, signaling: Signaling) -> None:
        """Offer, and connect. Errors: httpx.HTTPStatusError, TimeoutError."""
        connected = asyncio.Event()

        def changed() -> None:
            if self.connection.connectionState == "connected":
                connected.set()

        self.connection.on("connectionstatechange", changed)
        for kind in self._wish.kinds:
            direction = "sendrecv" if self._wish.conversation else "recvonly"
            transceiver = self.connection.addTransceiver(kind, direction=direction)
            transceiver.receiver.receive = _receive_nothing  # type: ignore[method-assign, assignment]  # no threads
            if kind == "video":
                transceiver.setCodecPreferences(_preferences(self._wish.codec))
        if self._wish.conversation:
            self.connection.createDataChannel("conversation")
        async with asyncio.timeout(JOIN_S):
            await self.connection.setLocalDescription(await self.connection.createOffer())
            self._listen()
            self._answer = await signaling.offer(self.connection.localDescription.sdp)
            self._read_answer(self._answer.sdp)
            await self.connection.setRemoteDescription(RTCSessionDescription(self._answer.sdp, "answer"))
            await connected.wait()

    def _listen(self) -> None:
        """Take what is SRTP before aioice queues it; the rest is handed on."""
        dtls = self.connection.getTransceivers()[0].receiver.transport
        self._transport = cast(Transport, dtls)
        for each in dtls.transport._connection._protocols:
            protocol = cast(Socket, each)
            protocol.datagram_received = self._taker(protocol.datagram_received)

    def _taker(self, hand_on: Callable[[bytes, tuple[str, int]], None]) -> Callable[[bytes, tuple[str, int]], None]:
        transport, clock = self._transport, time.monotonic
        assert transport is not None

        def take(data: bytes, address: tuple[str, int]) -> None:
            if not 127 < data[0] < 192 or transport._rx_srtp is None:  # RFC 7983: STUN or DTLS
                hand_on(data, address)
            elif 191 < data[1] < 224:  # RFC 5761 section 4
                self._take_rtcp(transport._rx_srtp, data)
            else:
                self._take_rtp(transport._rx_srtp, data, clock())

        return take

    def _read_answer(self, sdp: str) -> None:
        for media in SessionDescription.parse(sdp).media:
            flow = self._by_kind[media.kind] = Flow(media.kind)
            for codec in media.rtp.codecs:
                number = int(codec.payloadType or 0)
                if codec.name == "rtx":
                    self._repairs[number] = int(codec.parameters["apt"] or 0)
                else:
                    self._flows[number] = flow

    def _take_rtp(self, keys: pylibsrtp.Session, data: bytes, at_s: float) -> None:
        if self._wish.loss and self._chance.random() < self._wish.loss:
            return
        flow = self._flows.get(data[1] & 0x7F)
        self._counted += 1
        if flow is None or self._counted % self._wish.decrypt_every == 0:
            try:
                plain = keys.unprotect(data)
            except pylibsrtp.Error:
                self.rejected += 1
                return
            self.verified += 1
            if flow is None:
                self._take_repair(plain, at_s)
                return
            data = plain if self._wish.decrypt_every == 1 else data
        flow.take(data, at_s)
        self._tap.take(flow.kind, at_s, data)

    def _take_repair(self, packet: bytes, at_s: float) -> None:
        original = self._repairs.get(packet[1] & 0x7F)
        flow = self._flows.get(original or 0)
        if original is None or flow is None:
            return
        packet = restored(packet, original, flow.ssrc)
        if flow.repair(packet):
            self._tap.take(flow.kind, at_s, packet)

    def _take_rtcp(self, keys: pylibsrtp.Session, data: bytes) -> None:
        try:
            packets = RtcpPacket.parse(keys.unprotect_rtcp(data))
        except (pylibsrtp.Error, ValueError):
            self.rejected += 1
            return
        for packet in packets:
            if not isinstance(packet, RtcpSrPacket):
                continue
            flow = next((each for each in self.flows if each.ssrc == packet.ssrc), None)
            if flow is not None:
                info = packet.sender_info
                flow.note_report(info.ntp_timestamp, time.monotonic())
                self._tap.report(flow.kind, info.ntp_timestamp / NTP_SECOND, info.rtp_timestamp)

    async def run(self) -> None:
        """Reports, and requests for what was lost, as long as it is connected."""
        assert self._transport is not None
        turn_s = TURN_S if self._wish.loss else REPORT_S
        due_s = time.monotonic() + REPORT_S * self._chance.random()
        while self.connection.connectionState == "connected":
            await asyncio.sleep(turn_s)
            now_s = time.monotonic()
            packets = feedback(self.flows, now_s, reports=now_s >= due_s)
            due_s = now_s + REPORT_S if now_s >= due_s else due_s
            try:
                for packet in packets:
                    await self._transport._send_rtp(packet)
            except ConnectionError:
                return

    async def leave(self, signaling: Signaling) -> None:
        """End the session."""
        if self._answer is not None and self._answer.session:
            await signaling.leave(self._answer.session)
        await self.connection.close()


def _preferences(codec: str) -> list[RTCRtpCodecCapability]:
    """What a viewer of one codec offers."""
    capabilities = RTCRtpReceiver.getCapabilities("video")
    assert capabilities is not None, "video has codecs"
    wanted = (f"video/{codec}".lower(), "video/rtx")
    return [each for each in capabilities.codecs if each.mimeType.lower() in wanted]


async def _receive_nothing(_parameters: RTCRtpReceiveParameters) -> None:
    """In place of aiortc's receiver, which would start a thread that decodes."""


@contextmanager
def on_loopback() -> Iterator[None]:
    """Viewers made inside offer 127.0.0.1, which aioice leaves out, and nothing else."""
    found = aioice.ice.get_host_addresses
    aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = found
