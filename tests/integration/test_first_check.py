"""Who checks first: the peer, who has just got our answer; we, if it does not (see FIRST_CHECK_S)."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aioice import Candidate, stun

from tests.clients.recording_viewer import loopback_candidates
from whep_server.rtc import generation as ours
from whep_server.rtc.generation import Generation

NEVER_S = 3600.0
PASSWORD = "passwordpasswordpassword"
DEADLINE_S = 10.0


@dataclass
class Silent:
    """A peer's bare socket, and our end, which is connecting to it."""

    peer: socket.socket
    generation: Generation
    connecting: "asyncio.Task[None]"

    async def received(self) -> stun.Message:
        """The next message that reaches the peer."""
        async with asyncio.timeout(DEADLINE_S):
            return stun.parse_message(await asyncio.get_running_loop().sock_recv(self.peer, 2000))

    async def check(self) -> None:
        """The peer's check."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self.generation.local_username}:peer"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        request.add_message_integrity(self.generation.local_password.encode())
        (candidate,) = self.generation.local_candidates
        await asyncio.get_running_loop().sock_sendto(self.peer, bytes(request), (candidate.host, candidate.port))


@asynccontextmanager
async def connecting_to_silence() -> AsyncIterator[Silent]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        generation = Generation(lambda data: None, ice_controlling=False)
        with loopback_candidates():
            await generation.gather_candidates()
        generation.remote_username, generation.remote_password = "peer", PASSWORD
        await generation.add_remote_candidate(Candidate("1", 1, "udp", 1, "127.0.0.1", peer.getsockname()[1], "host"))
        await generation.add_remote_candidate(None)
        connecting = asyncio.create_task(generation.connect())  # in no group: one test has it fail
        try:
            yield Silent(peer, generation, connecting)
        finally:
            connecting.cancel()
            await asyncio.wait([connecting])
            await generation.close()


async def test_the_peers_check_is_answered_before_we_send_one(monkeypatch):
    monkeypatch.setattr(ours, "FIRST_CHECK_S", NEVER_S)
    async with connecting_to_silence() as silent:
        await silent.check()
        assert (await silent.received()).message_class is stun.Class.RESPONSE
        assert (await silent.received()).message_class is stun.Class.REQUEST


async def test_a_peer_that_does_not_check_is_checked(monkeypatch):
    monkeypatch.setattr(ours, "FIRST_CHECK_S", 0.01)
    async with connecting_to_silence() as silent:
        assert (await silent.received()).message_class is stun.Class.REQUEST


async def test_a_connection_closed_before_any_check_fails_at_once(monkeypatch):
    monkeypatch.setattr(ours, "FIRST_CHECK_S", NEVER_S)
    async with connecting_to_silence() as silent:
        await asyncio.sleep(0)  # let it begin to wait
        await silent.generation.close()
        async with asyncio.timeout(DEADLINE_S):
            with pytest.raises(ConnectionError):
                await silent.connecting
