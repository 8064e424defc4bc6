"""The shared port by itself: whose a datagram is, to whom an address belongs, and what waits for room.

Real sockets; the sessions are aioice's, with our own in front of them. Peers are bare sockets that know what they say.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aioice import stun

from tests.clients.server_process import free_udp_port
from tests.clients.waiting import until
from whep_server.rtc import shared_port
from whep_server.rtc.generation import Generation
from whep_server.rtc.ports import SharedPort
from whep_server.rtc.shared_port import MOST_ADDRESSES, SharedSocket

HOST = "127.0.0.1"
PASSWORD = "passwordpasswordpassword"
DTLS, RTP = bytes([22]) * 30, bytes([128]) * 30


@dataclass
class Session:
    """One connection of the server's, with its first ICE session."""

    ports: SharedPort
    inbox: list[bytes] = field(default_factory=list)
    generations: list[Generation] = field(default_factory=list)

    def deliver(self, data: bytes) -> None:
        self.inbox.append(data)

    async def begin(self) -> Generation:
        """A further ICE session, as after a restart."""
        generation = Generation(self.deliver, ice_controlling=False)
        generation.ports = self.ports
        generation.remote_username, generation.remote_password = "peer", PASSWORD
        await generation.gather_candidates()
        self.generations.append(generation)
        return generation

    def check(self, password: str | None = None, generation: int = 0) -> bytes:
        """What a peer asks it, knowing the password or another one."""
        asked = self.generations[generation]
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{asked.local_username}:peer"
        request.attributes["PRIORITY"] = 1
        request.add_message_integrity((password or asked.local_password).encode())
        return bytes(request)


@dataclass
class Peer:
    """A socket somewhere else, and the server's address."""

    socket: socket.socket
    server: tuple[str, int]

    @property
    def address(self) -> tuple[str, int]:
        return self.socket.getsockname()[:2]

    async def say(self, datagram: bytes) -> None:
        await asyncio.get_running_loop().sock_sendto(self.socket, datagram, self.server)

    async def hear(self) -> stun.Message:
        async with asyncio.timeout(10):
            return stun.parse_message(await asyncio.get_running_loop().sock_recv(self.socket, 2000))

    async def ask(self, datagram: bytes) -> stun.Class:
        """Send a request; the class of what is answered."""
        await self.say(datagram)
        return (await self.hear()).message_class


@dataclass
class Town:
    """A shared port and who is there."""

    ports: SharedPort
    number: int
    peers: list[Peer] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)

    @property
    def shared(self) -> SharedSocket:
        (shared,) = self.ports._sockets.values()
        return shared

    def peer(self) -> Peer:
        host, port = self.shared.address
        opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind((host, 0))
        self.peers.append(Peer(opened, (host, port)))
        return self.peers[-1]

    async def session(self) -> Session:
        self.sessions.append(Session(self.ports))
        await self.sessions[-1].begin()
        return self.sessions[-1]

    async def settle(self, peer: Peer, knows: Session) -> None:
        """All that was said before has been taken in: a check of somebody's is answered, who is last in the line."""
        assert await self.peer().ask(knows.check()) is stun.Class.RESPONSE


@asynccontextmanager
async def town(monkeypatch: pytest.MonkeyPatch, host: str = HOST) -> AsyncIterator[Town]:
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: [host])
    number = free_udp_port()
    made = Town(SharedPort(number), number)
    made.ports.take([host])
    try:
        yield made
    finally:
        for session in made.sessions:
            for generation in session.generations:
                await generation.close()
        for peer in made.peers:
            peer.socket.close()
        made.ports.close()


@pytest.mark.parametrize("host", [HOST, "::1"])
async def test_media_is_whose_address_was_proven_and_nobody_elses(monkeypatch, host):
    async with town(monkeypatch, host) as here:
        one, other = await here.session(), await here.session()
        ones, others, stranger = here.peer(), here.peer(), here.peer()
        await ones.say(DTLS)
        assert await ones.ask(one.check()) is stun.Class.RESPONSE
        assert await others.ask(other.check()) is stun.Class.RESPONSE
        for peer, media in ((stranger, DTLS), (ones, RTP), (others, DTLS), (stranger, RTP)):
            await peer.say(media)
        await here.settle(stranger, one)
        assert (one.inbox, other.inbox) == ([RTP], [DTLS])
        assert [each.port for each in one.generations[0].local_candidates] == [here.number]


async def test_who_knows_a_ufrag_alone_gets_an_error_and_nothing_else(monkeypatch):
    async with town(monkeypatch) as here:
        session = await here.session()
        peer, thief = here.peer(), here.peer()
        assert await peer.ask(session.check()) is stun.Class.RESPONSE
        assert await thief.ask(session.check(password="x" * 24)) is stun.Class.ERROR
        cut = session.check()[:-1]
        for datagram in (DTLS, cut, session.check().replace(b"peer", b"pear"), b"", b"\x00\x01" + bytes(18)):
            await thief.say(datagram)
        await peer.say(RTP)
        await here.settle(peer, session)
        assert session.inbox == [RTP] and thief.address not in here.shared._by_address


async def test_a_peer_that_moves_is_followed_and_forgotten_with_its_session(monkeypatch):
    async with town(monkeypatch) as here:
        session, witness = await here.session(), await here.session()
        before, after = here.peer(), here.peer()
        for peer in (before, after):
            assert await peer.ask(session.check()) is stun.Class.RESPONSE
            await peer.say(RTP)
        await here.settle(after, session)
        assert session.inbox == [RTP, RTP]
        await session.generations[0].close()
        for peer in (before, after):
            await peer.say(session.check())
            await peer.say(DTLS)
        await here.settle(after, witness)
        assert session.inbox == [RTP, RTP]
        addresses = {here.peers[-1].address}
        assert here.shared._by_address.keys() == addresses, "the witness's peer alone is known"
        assert here.shared._lodgers.keys() == {witness.deliver}


async def test_of_an_ice_restart_the_addresses_outlast_the_former_session(monkeypatch):
    async with town(monkeypatch) as here:
        session = await here.session()
        peer = here.peer()
        assert await peer.ask(session.check()) is stun.Class.RESPONSE
        await session.begin()
        assert await peer.ask(session.check(generation=1)) is stun.Class.RESPONSE
        await session.generations[0].close()
        await peer.say(RTP)
        assert await peer.ask(session.check(generation=1)) is stun.Class.RESPONSE
        assert session.inbox == [RTP]


async def test_the_address_of_a_living_session_changes_hands_for_an_answer_alone(monkeypatch):
    """A request may come under a false address; who answers from there, with the password, hears what is sent there."""
    async with town(monkeypatch) as here:
        holder, claimant = await here.session(), await here.session()
        peer = here.peer()
        assert await peer.ask(holder.check()) is stun.Class.RESPONSE
        assert await peer.ask(claimant.check()) is stun.Class.RESPONSE
        await peer.say(RTP)
        await here.settle(peer, holder)
        assert (holder.inbox, claimant.inbox) == ([RTP], [])
        connecting = asyncio.create_task(claimant.generations[0].connect())
        asked = await peer.hear()
        assert asked.message_class is stun.Class.REQUEST, "the claimant's own check of that address"
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, asked.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = peer.server
        response.add_message_integrity(b"w" * 24)
        await peer.say(bytes(response))  # discarded by aioice, as it lacks the password
        await here.settle(peer, holder)
        await peer.say(RTP)
        response.add_message_integrity(PASSWORD.encode())
        await peer.say(bytes(response))
        await until(lambda: here.shared._by_address.get(peer.address) == claimant.deliver, 10, "it changes hands")
        await peer.say(DTLS)
        await until(lambda: claimant.inbox == [DTLS], 10, "media of the new one")
        assert holder.inbox == [RTP, RTP]
        connecting.cancel()
        await asyncio.wait([connecting])


async def test_one_session_cannot_hold_any_number_of_addresses(monkeypatch):
    async with town(monkeypatch) as here:
        session = await here.session()
        for port in range(1, 3 * MOST_ADDRESSES):
            here.shared._take(session.check(), ("127.0.0.2", port))
        assert len(here.shared._by_address) == MOST_ADDRESSES
        assert ("127.0.0.2", 3 * MOST_ADDRESSES - 1) in here.shared._by_address


async def test_a_ufrag_that_is_taken_is_no_second_sessions(monkeypatch):
    async with town(monkeypatch) as here:
        session = await here.session()
        twin = Generation(session.deliver, ice_controlling=False, local_username=session.generations[0].local_username)
        twin.ports = here.ports
        await twin.gather_candidates()
        assert twin.local_candidates == []
        await twin.close()
        assert await here.peer().ask(session.check()) is stun.Class.RESPONSE


class Throttled:
    """A real socket that has no room until it is told that there is; which one over loopback always has."""

    def __init__(self, real: socket.socket) -> None:
        self._real, self.room = real, 0
        self.fileno, self.close, self.getsockname = real.fileno, real.close, real.getsockname

    def sendmsg(self, buffers, ancillary, flags, address):
        if not self.room:
            raise BlockingIOError
        self.room -= 1
        return self._real.sendmsg(buffers, ancillary, flags, address)

    def sendto(self, datagram, address):
        return self.sendmsg([datagram], [], 0, address)


async def test_what_there_is_no_room_for_waits_in_order_and_what_is_too_much_is_refused(monkeypatch):
    monkeypatch.setattr(shared_port, "WAITING_BYTES", 250)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind((HOST, 0))
        far.setblocking(False)
        throttled = Throttled(shared_port.bound(HOST, 0))
        throttled.room = 1
        shared = SharedSocket(throttled)
        there = far.getsockname()
        for at in range(3):
            shared.sendto(bytes([at]) * 100, there)
        with pytest.raises(BlockingIOError):
            shared.sendmsg([bytes([9]) * 60], (), 0, there)
        shared.sendto(bytes([3]) * 50, there)
        throttled.room = 100
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            came = [await loop.sock_recv(far, 1000) for _ in range(4)]
        assert [each[0] for each in came] == [0, 1, 2, 3]
        assert not shared._waiting and shared._waiting_bytes == 0
        shared.sendto(b"x", there)
        assert not shared._waiting, "there is room again"
        shared.close()
