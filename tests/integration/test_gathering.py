"""What STUN and TURN servers cost that do not answer: they take whatever they are sent, and say nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.aiortc_player import eventually, player
from tests.integration.joining import join, live_server, plays
from tests.integration.test_one_port import CANDIDATE
from whep_server.metrics.facts import IceFailure


@dataclass
class Silent(asyncio.DatagramProtocol):
    """A server that is sent datagrams or called over TCP."""

    called: list[int] = field(default_factory=list)
    """The sizes of what came; 0 for a call."""

    def datagram_received(self, data: bytes, _: object) -> None:
        self.called.append(len(data))

    async def take_call(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called.append(0)
        while await reader.read(4096):
            pass
        writer.close()


@asynccontextmanager
async def silent_servers() -> AsyncIterator[tuple[Silent, Silent, str, str]]:
    """One over UDP and one over TCP, with their addresses."""
    datagrams, calls = Silent(), Silent()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: datagrams, local_addr=("127.0.0.1", 0)
    )
    server = await asyncio.start_server(calls.take_call, "127.0.0.1", 0)
    try:
        own = transport.get_extra_info("sockname"), server.sockets[0].getsockname()
        yield datagrams, calls, "{}:{}".format(*own[0]), "{}:{}".format(*own[1])
    finally:
        transport.close()
        server.close()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_silent_servers_are_waited_for_once(on_air, transport, caplog):
    """The first viewer is answered without them, and nobody asks them after it."""
    async with silent_servers() as (datagrams, calls, udp, tcp):
        turn = f"turn:{udp if transport == 'udp' else tcp}?transport={transport}"
        login = {"turn_user": "user", "turn_pass": "password"}
        async with on_air(stun_urls=f"stun:{udp}", turn_urls=turn, **login) as (registry, _), player() as first:
            await eventually(lambda: registry.ready)
            await first.watch(registry.stream("demo"))
            await first.until(lambda: len(first.pictures) > 5)
            assert {kind for *_, kind in CANDIDATE.findall(first.session.answer)} == {"host"}
            assert registry.ledger.silences == {f"stun:{udp}": 1, turn: 1}
            assert sum("is silent" in each.message for each in caplog.records) == 2
            asked = len(datagrams.called), len(calls.called)
            assert asked[0] > 0 and (asked[1] > 0) == (transport == "tcp")
            async with player() as second:
                await second.watch(registry.stream("demo"))
                await second.until(lambda: len(second.pictures) > 5)
            assert (len(datagrams.called), len(calls.called)) == asked
            assert registry.ledger.silences == {f"stun:{udp}": 1, turn: 1}
            assert registry.ledger.ice_failures[IceFailure.GATHERING] == 0


async def test_servers_that_are_for_peers_alone_are_told_and_not_asked():
    async with silent_servers() as (datagrams, calls, udp, tcp):
        settings = {"stun_urls": f"stun:{udp}", "turn_urls": f"turn:{tcp}?transport=tcp", "turn_secret": "word"}
        async with live_server(use_ice_servers=False, **settings) as http, player() as peer:
            created = await join(http, peer)
            links = created.headers["Link"]
            assert f"<stun:{udp}>" in links and f"<turn:{tcp}?transport=tcp>" in links
            assert {kind for *_, kind in CANDIDATE.findall(created.text)} == {"host"}
            await plays(peer)
        assert not datagrams.called and not calls.called
