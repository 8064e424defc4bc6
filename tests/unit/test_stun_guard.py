"""A port of a session's own, and strangers who find it."""

import asyncio
import logging
import socket

import pytest

from tests.clients.waiting import until
from whep_server.rtc.generation import Generation
from whep_server.rtc.ports import EachItsOwn

HEAD = b"\x00\x01\x00\x04" + bytes.fromhex("2112a442") + b"t" * 12
CUT = HEAD + b"\x00\x24\x00\x00"
"""A binding request with PRIORITY, of which there is nothing."""
MEDIA = b"\x80" * 30


async def test_stun_that_is_cut_short_is_passed_over_and_the_port_stays_open(caplog: pytest.LogCaptureFixture):
    heard: list[bytes] = []
    session = Generation(heard.append, ice_controlling=False)
    session.ports = EachItsOwn()
    session.data_received = lambda data, component: heard.append(data)  # type: ignore[method-assign]  # before a pair
    (candidate,) = await session.get_component_candidates(1, ["127.0.0.1"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger, caplog.at_level(logging.DEBUG, "asyncio"):
        for datagram in (CUT, CUT, MEDIA):
            await asyncio.get_running_loop().sock_sendto(stranger, datagram, (candidate.host, candidate.port))
        await until(lambda: heard == [MEDIA], 5, "what came after it")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    await session.close()
