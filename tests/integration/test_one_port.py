"""Media of everybody over one UDP port, and the other ways there are to take ports: real aiortc peers over loopback.

``isolated`` has a server on one port, too: there Chromium, Firefox and GStreamer play over it, and Chromium moves to
another network.
"""

import asyncio
import os
import random
import re
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from aioice import stun
from aiortc import RTCPeerConnection

from tests.aiortc_player import Player, eventually, player
from tests.clients.recording_viewer import loopback_candidates
from tests.clients.server_process import free_udp_port
from tests.clients.turn_server import PASSWORD, USER, turn_server
from tests.integration.joining import (
    DTLS_HANDSHAKE,
    Answered,
    StunAgent,
    join,
    live_server,
    offer_of,
    plays,
    post,
    stun_agent,
    take,
)
from tests.integration.test_publisher import publisher
from tests.integration.test_restart import ours_of, restarting
from tests.strategies import texts
from whep_server.live.registry import Registry
from whep_server.rtc.connection import connection_of
from whep_server.rtc.shared_port import SharedSocket

CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ (\w+)")


def udp_sockets() -> dict[int, int]:
    """UDP sockets of this process, which is the server's and its peers': how many, by port."""
    opened: dict[int, int] = {}
    for path in list(Path("/proc/self/fd").iterdir()):
        try:
            with socket.socket(fileno=os.dup(int(path.name))) as each:
                if each.type == socket.SOCK_DGRAM and each.family in (socket.AF_INET, socket.AF_INET6):
                    port = each.getsockname()[1]
                    opened[port] = opened.get(port, 0) + 1
        except OSError:
            continue  # no socket, or gone
    return opened


def ports_of(connections: Iterable[RTCPeerConnection]) -> set[int]:
    """Those that peers have."""
    found: set[int] = set()
    for connection in connections:
        for transceiver in connection.getTransceivers():
            media = transceiver.receiver if transceiver.direction == "recvonly" else transceiver.sender
            ice = connection_of(media)
            generations = [ice._current, *([ice._attempt.fresh] if ice._attempt else [])]
            found |= {each.port for generation in generations for each in generation.local_candidates}
    return found


def shared_of(registry: Registry) -> SharedSocket:
    (shared,) = registry._ports._sockets.values()
    return shared


async def more(watching: Iterable[Player], pictures: int = 5) -> None:
    counts = {id(each): len(each.pictures) for each in watching}
    await eventually(lambda: all(len(each.pictures) > counts[id(each)] + pictures for each in watching))


async def test_viewers_and_a_publisher_share_it_while_one_leaves_and_one_restarts(on_air):
    number = free_udp_port()
    async with AsyncExitStack() as stack:
        registry, opener = await stack.enter_async_context(on_air(udp_port=number))
        await eventually(lambda: registry.ready)
        stream, before = registry.stream("demo"), set(udp_sockets())
        watching = [await stack.enter_async_context(player(codec=codec)) for codec in ("H264", "VP8", "H264")]
        said = await stack.enter_async_context(publisher(video=True))
        for each in watching:
            await each.watch(stream)
        await said.publish(stream)
        await more(watching)
        await eventually(lambda: len(opener.worker.heard) > 20)
        answers = [each.session.answer for each in (*watching, said)]
        assert {(host, int(port)) for text in answers for host, port, _ in CANDIDATE.findall(text)} == {
            ("127.0.0.1", number)
        }
        peers = [*(each.connection for each in watching), said.connection]
        opened = udp_sockets()
        assert set(opened) - before - ports_of(peers) == set() and opened[number] == 1

        leaving, restarted, staying = watching
        await leaving.connection.close()
        theirs = await restarting(restarted)
        former = ours_of(restarted)._current
        reply = await restarted.session.patch(theirs.fragment)
        assert {int(port) for _, port, _ in CANDIDATE.findall(reply.fragment)} == {number}
        await theirs.take(reply)
        await eventually(lambda: theirs.done and ours_of(restarted)._current is not former)
        await eventually(lambda: not former._protocols and stream.viewer_count == 2)
        await more([restarted, staying])
        heard = len(opener.worker.heard)
        await eventually(lambda: len(opener.worker.heard) > heard + 20)
        for each in (restarted, staying):
            sequence = [packet.sequence for packet in each.packets["video"]]
            assert {(after - before) % 65536 for before, after in pairwise(sequence)} == {1}
        assert udp_sockets()[number] == 1

        shared = shared_of(registry)
        for connection in peers[1:]:
            await connection.close()
        await eventually(lambda: not stream.viewer_count and not stream.publisher and not shared._lodgers)
        assert not shared._by_address and not shared._by_ufrag and not shared._by_transaction
    assert number not in udp_sockets()


async def test_garbage_is_nobodys(on_air):
    """From strangers, in the name of a session, and from the viewer's own address: not a packet of media is missed."""
    number, chance = free_udp_port(), random.Random(8)
    async with on_air(udp_port=number) as (registry, _), player() as watching:
        await eventually(lambda: registry.ready)
        await watching.watch(registry.stream("demo"))
        await more([watching])
        shared, ice = shared_of(registry), ours_of(watching)
        own = next(iter(shared._by_address))
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{ice.local_username}:{ice.remote_username}"
        request.attributes["PRIORITY"] = 1
        request.add_message_integrity(b"nonsense" * 3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.0.1", 0))
            for at in range(2000):
                spoiled = bytearray(bytes(request) if at % 2 else chance.randbytes(chance.randrange(1, 1500)))
                for _ in range(chance.randrange(4)):
                    spoiled[chance.randrange(len(spoiled))] = chance.randrange(256)
                stranger.sendto(spoiled, ("127.0.0.1", number))
                shared._take(bytes(spoiled), own)
                if at % 50 == 0:
                    await asyncio.sleep(0)
            assert stranger.getsockname() not in shared._by_address
        await eventually(lambda: registry.ledger.strays["nothing"] > 500 and registry.ledger.strays["media"] > 200)
        await more([watching])
        sequence = [packet.sequence for packet in watching.packets["video"]]
        assert {(after - before) % 65536 for before, after in pairwise(sequence)} == {1}


def offered(**replaced: str) -> str:
    text = texts("*.sdp")["ffmpeg-8.0-whip"].replace("a=sendonly", "a=recvonly")
    for name, value in replaced.items():
        text = re.sub(rf"a=ice-{name}:\S+", f"a=ice-{name}:{value}", text)
    return text


async def nominated(agent: StunAgent, server: Answered) -> None:
    """Wait for what is sent over a nominated pair and no other."""
    assert await agent.answered(agent.check(server)) is stun.Class.RESPONSE
    await agent.until(lambda: DTLS_HANDSHAKE in agent.first_bytes)


async def test_a_spoofed_ufrag_gets_nothing_and_a_changed_address_is_followed():
    """A NAT that forgets gives the same agent another address: what is sent goes there, once its check is in order."""
    text = offered()
    async with (
        live_server(udp_port=free_udp_port()) as http,
        stun_agent(text) as agent,
        stun_agent(text) as thief,
        stun_agent(text) as moved,
    ):
        server = Answered.read((await post(http, text)).text)
        await nominated(agent, server)
        guess = Answered(server.ufrag, "x" * len(server.password), server.address)
        assert await thief.answered(thief.check(guess)) is stun.Class.ERROR
        await nominated(moved, server)
        assert thief.first_bytes <= {0, 1} and not any(
            each.message_class is stun.Class.REQUEST for each in thief.messages
        )


class StunServer(asyncio.DatagramProtocol):
    """Tells everybody of the one address; real but for that."""

    seen = ("203.0.113.77", 4711)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id)
        response.attributes["XOR-MAPPED-ADDRESS"] = self.seen
        self._transport.sendto(bytes(response), address)


@asynccontextmanager
async def stun_server() -> AsyncIterator[str]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(StunServer, local_addr=("127.0.0.1", 0))
    try:
        yield "stun:{}:{}".format(*transport.get_extra_info("sockname"))
    finally:
        transport.close()


@pytest.mark.parametrize("shared", [False, True])
async def test_a_stun_server_is_asked_on_either_way(shared):
    ports = {"udp_port": free_udp_port()} if shared else {}
    async with stun_server() as url, live_server(stun_urls=url, **ports) as http, player() as peer:
        created = await join(http, peer)
        assert {kind: (host, int(port)) for host, port, kind in CANDIDATE.findall(created.text)}[
            "srflx"
        ] == StunServer.seen
        await plays(peer)


@pytest.mark.parametrize("shared", [False, True])
async def test_a_relay_carries_media_on_either_way(shared):
    """A server that offers none of its own addresses, so that there is no other way."""
    settings = {"ice_loopback": False, "ice_interfaces": "nothing0", "turn_user": USER, "turn_pass": PASSWORD}
    settings |= {"udp_port": free_udp_port()} if shared else {}
    async with turn_server() as (turn, url), player() as peer:
        with loopback_candidates():
            offer = await offer_of(peer)  # before the server is there, whose policy would be the peer's as well
        async with live_server(turn_urls=url, **settings) as http:
            created = await post(http, offer)
            assert {kind for *_, kind in CANDIDATE.findall(created.text)} == {"relay"}
            await take(peer, created.text)
            await plays(peer)
            assert turn.relayed > 0
            await peer.connection.close()
            await eventually(lambda: not turn.allocations)


async def test_ports_are_of_the_range_and_an_offer_beyond_it_is_refused():
    first = free_udp_port() // 8 * 8
    async with live_server(udp_port_range=f"{first}-{first + 7}") as http, player() as peer:
        created = await join(http, peer)
        taken = {int(port) for _, port, _ in CANDIDATE.findall(created.text)}
        await plays(peer)
        while (created := await post(http, offered(ufrag=f"more{len(taken)}"))).status_code == 201:
            (port,) = {int(port) for _, port, _ in CANDIDATE.findall(created.text)}
            assert port not in taken
            taken.add(port)
        assert created.status_code == 503 and "port" in created.json()["detail"]
        assert taken <= set(range(first, first + 8)) and len(taken) > 1


class Nat(asyncio.DatagramProtocol):
    """One-to-one NAT: what comes to its address and port goes on to the server's, and back."""

    def __init__(self, server: tuple[str, int]) -> None:
        self._server = server
        self._insides: dict[tuple[str, int], asyncio.DatagramTransport] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._outside = transport

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if address not in self._insides:
            self._insides[address] = Inside.opened(self._server, lambda back: self._outside.sendto(back, address))
        self._insides[address].send(data)

    def close(self) -> None:
        self._outside.close()
        for inside in self._insides.values():
            inside.close()


class Inside:
    """A peer of the NAT's as the server sees it."""

    def __init__(self, opened: socket.socket, server: tuple[str, int], back) -> None:
        self._socket, self._server, self._back = opened, server, back
        asyncio.get_running_loop().add_reader(opened.fileno(), self._read)

    @classmethod
    def opened(cls, server: tuple[str, int], back) -> "Inside":
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.setblocking(False)
        opened.bind(("127.0.0.1", 0))
        return cls(opened, server, back)

    def send(self, data: bytes) -> None:
        self._socket.sendto(data, self._server)

    def _read(self) -> None:
        self._back(self._socket.recv(65536))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()


async def test_a_viewer_beyond_a_nat_comes_by_the_public_address(monkeypatch):
    """All that it is told of is the first candidate, as some players read no other."""
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    number, public = free_udp_port(), "127.0.0.77"

    def first_alone(answer: str) -> str:
        (first, *_) = CANDIDATE.findall(answer)
        assert first == (public, str(number), "host")
        return re.sub(rf"a=candidate:\S+ 1 udp \d+ (?!{re.escape(public)} ).*\r\n", "", answer)

    nat = Nat(("127.0.0.1", number))
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: nat, local_addr=(public, number))
    try:
        async with live_server(udp_port=number, public_ip=public) as http, player() as peer:
            await join(http, peer, answer=first_alone)
            await plays(peer)
            ice = connection_of(peer.connection.getTransceivers()[0].receiver)
            assert ice.nominated.remote_addr == (public, number)
    finally:
        nat.close()


@pytest.mark.parametrize(
    ("settings", "level", "fix"),
    [
        ({"host": "0.0.0.0"}, "WARNING", "WEBRTC_PUBLIC_IP"),
        ({"host": "0.0.0.0", "public_ip": "10.9.0.1"}, "INFO", "viewers on these networks"),
        ({}, "INFO", "WHEP_AVATAR_HOST"),
    ],
)
async def test_the_start_tells_an_operator_who_could_come(on_air, caplog, monkeypatch, settings, level, fix):
    monkeypatch.setattr("aioice.ice.get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])
    caplog.set_level("INFO")
    async with on_air(**settings):
        (told,) = [each for each in caplog.records if each.name == "whep_server.rtc.ice"]
    assert told.levelname == level and "127.0.0.1 (loopback)" in told.message and fix in told.message
