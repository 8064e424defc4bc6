"""Joining over HTTP as a client would: the real live layer behind a real socket, only the worker is a fake.

Peers are aiortc's, their offers changed into what other clients write, or a bare UDP socket that speaks STUN.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import httpx
from aioice import stun
from aiortc import RTCSessionDescription
from aiortc.sdp import candidate_to_sdp

from tests.aiortc_player import Player
from tests.fakes import SIZE, FakeOpener
from tests.integration.http_server import serving, until_answer
from whep_server.live.registry import Registry, open_registry
from whep_server.settings import Settings

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
DEADLINE_S = 20.0
DTLS_HANDSHAKE = 22
"""First byte of a DTLS handshake record (RFC 7983 section 7)."""

Change = Callable[[str], str]


@asynccontextmanager
async def live_server(opener: FakeOpener | None = None, **changes: object) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with ``demo`` on air; ``changes`` are settings."""
    opener = opener or FakeOpener()

    @asynccontextmanager
    async def open_live(settings: Settings) -> AsyncIterator[Registry]:
        async with open_registry(settings, opener) as registry:
            yield registry

    settings = Settings(**{"width": SIZE[0], "height": SIZE[1], "udp_port": 0, **changes})  # type: ignore[arg-type]
    async with serving(settings, open_live) as http:
        await until_answer(http, "/streams/demo", lambda answer: answer.status_code == 200)
        yield http


def open_files() -> int:
    """How many files and sockets this process has open; it is also the server's."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def post(http: httpx.AsyncClient, offer: str, protocol: str = "whep", **headers: str) -> httpx.Response:
    """An offer to the endpoint of ``demo``; underscores in names of headers are dashes."""
    lines = SDP | {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.post(f"/{protocol}/demo", content=offer, headers=lines)


async def trickle(http: httpx.AsyncClient, location: str, fragment: str, **headers: str) -> httpx.Response:
    """A fragment to a session."""
    lines = FRAGMENT | {name.replace("_", "-"): value for name, value in headers.items()}
    return await http.patch(location, content=fragment, headers=lines)


async def viewers(http: httpx.AsyncClient) -> int:
    """How many sessions of players ``demo`` has."""
    return int((await http.get("/streams/demo")).json()["viewers"])


async def until_viewers(http: httpx.AsyncClient, count: int) -> None:
    """Wait until ``demo`` has so many sessions of players."""
    await until_answer(http, "/streams/demo", lambda answer: answer.json()["viewers"] == count)


# --- aiortc as a player


def sections_of(text: str) -> list[str]:
    """The head of a description, then its sections."""
    return re.split(r"(?m)^(?=m=)", text)


def same(text: str) -> str:
    """No change."""
    return text


def without_candidates(offer: str) -> str:
    """As OBS and FFmpeg write it."""
    return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)


async def offer_of(peer: Player) -> str:
    """A complete offer."""
    await peer.connection.setLocalDescription(await peer.connection.createOffer())
    return str(peer.connection.localDescription.sdp)


def candidate_lines(peer: Player) -> list[str]:
    """The peer's candidates, as lines of a fragment."""
    transceiver = peer.connection.getTransceivers()[0]
    gatherer = transceiver.receiver.transport.transport.iceGatherer
    return [f"a=candidate:{candidate_to_sdp(each)}" for each in gatherer.getLocalCandidates()]


async def join(
    http: httpx.AsyncClient, peer: Player, offer: Change = same, answer: Change = same, **headers: str
) -> httpx.Response:
    """Exchange descriptions over WHEP; ``offer`` and ``answer`` rewrite what is sent and what is read."""
    created = await post(http, offer(await offer_of(peer)), **headers)
    assert created.status_code == 201, created.text
    await take(peer, answer(created.text))
    return created


async def take(peer: Player, answer: str) -> None:
    """Read an answer."""
    await peer.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))


def vanish(peer: Player) -> None:
    """Pull the peer's cable: nothing leaves it any more, and nothing arrives."""
    ice = peer.connection.getTransceivers()[0].receiver.transport.transport._connection
    for protocol in ice._protocols:
        protocol.datagram_received = lambda *_: None
        protocol.send_stun = lambda *_: None
        protocol.transport.sendto = lambda *_: None  # what aiortc sends data with


async def plays(peer: Player, pictures: int = 3) -> None:
    """Wait until pictures, and sound where it was asked for, have come."""
    kinds = {transceiver.kind for transceiver in peer.connection.getTransceivers()}
    before, heard = len(peer.pictures), peer.sounds
    await peer.until(lambda: "video" not in kinds or len(peer.pictures) >= before + pictures)
    await peer.until(lambda: "audio" not in kinds or peer.sounds > heard)


# --- a bare socket that speaks STUN


@dataclass(frozen=True, slots=True)
class Answered:
    """What a STUN agent reads in an answer or in the reply to an ICE restart."""

    ufrag: str
    password: str
    address: tuple[str, int]

    @classmethod
    def read(cls, text: str) -> "Answered":
        """As FFmpeg reads it: the first of each, and the first UDP host candidate."""
        ufrag, password = (re.findall(rf"a=ice-{name}:(\S+)", text)[0] for name in ("ufrag", "pwd"))
        host, port = re.findall(r"a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host", text)[0]
        return cls(ufrag, password, (host, int(port)))


@dataclass
class StunAgent(asyncio.DatagramProtocol):
    """Answers checks, sends those that a test makes it send, and keeps what comes."""

    ufrag: str
    password: str
    """Its own, as its offer says."""
    transport: asyncio.DatagramTransport | None = None
    messages: list[stun.Message] = field(default_factory=list)
    first_bytes: set[int] = field(default_factory=set)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.first_bytes.add(data[0])
        if data[0] < 4:  # RFC 7983: STUN
            message = stun.parse_message(data)
            self.messages.append(message)
            if message.message_class is stun.Class.REQUEST:
                self._answer(message, address)
        self.arrived.set()

    def _answer(self, request: stun.Message, address: tuple[str, int]) -> None:
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = address
        response.add_message_integrity(self.password.encode())
        self._send(response, address)

    def _send(self, message: stun.Message, address: tuple[str, int]) -> None:
        assert self.transport is not None
        self.transport.sendto(bytes(message), address)

    def error_received(self, _: Exception) -> None:
        """ICMP: nobody there. The test waits for what does not come, under its deadline."""

    def check(self, server: Answered) -> bytes:
        """Send a connectivity check without PRIORITY and role, as FFmpeg before 8.1; gives its transaction id."""
        message = stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
        message.attributes["USERNAME"] = f"{server.ufrag}:{self.ufrag}"
        message.attributes["USE-CANDIDATE"] = None
        message.add_message_integrity(server.password.encode())
        self._send(message, server.address)
        return message.transaction_id

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition on what came."""
        async with asyncio.timeout(DEADLINE_S):
            while not condition():
                self.arrived.clear()
                await self.arrived.wait()

    async def answered(self, transaction_id: bytes) -> stun.Class:
        """Class of the answer to a check."""

        def replies() -> list[stun.Message]:
            classes = (stun.Class.RESPONSE, stun.Class.ERROR)
            return [
                each
                for each in self.messages
                if each.transaction_id == transaction_id and each.message_class in classes
            ]

        await self.until(lambda: bool(replies()))
        return replies()[0].message_class


@asynccontextmanager
async def stun_agent(offer: str) -> AsyncIterator[StunAgent]:
    """An agent on a free UDP port of 127.0.0.1, with the credentials of an offer or a fragment."""
    made = StunAgent(*(re.findall(rf"a=ice-{name}:(\S+)", offer)[0] for name in ("ufrag", "pwd")))
    loop = asyncio.get_running_loop()
    transport, agent = await loop.create_datagram_endpoint(lambda: made, local_addr=("127.0.0.1", 0))
    try:
        yield agent
    finally:
        transport.close()
