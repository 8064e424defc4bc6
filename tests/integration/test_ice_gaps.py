"""What aioice lacks for WHIP and WHEP, and that our endpoints do it all the same. ``a05``: gap A5.

Peers are aiortc's, and bare sockets that speak STUN where aioice at both ends would hide a fault.
"""

import asyncio
import re

import aioice.ice
import pytest
from aioice import stun
from aiortc import RTCIceGatherer

from tests.aiortc_player import player
from tests.clients.waiting import until
from tests.integration.joining import (
    DTLS_HANDSHAKE,
    Answered,
    candidate_lines,
    join,
    live_server,
    offer_of,
    open_files,
    plays,
    post,
    sections_of,
    stun_agent,
    take,
    trickle,
    until_viewers,
    vanish,
    without_candidates,
)
from tests.offers import offer
from tests.strategies import texts
from whep_server.rtc import ice
from whep_server.rtc.connection import RestartableConnection
from whep_server.settings import Settings
from whep_server.signaling.sdpfrag import Credentials


def offered(client: str) -> str:
    return texts("*.sdp")[client]


# --- candidates

ONLY = {
    "none": "",
    "mdns": "a=candidate:0 1 udp 2122252543 c1b46c0e-0a53-4b0b-9df8-5e0c7fa51d33.local 47005 typ host\r\n",
    "tcp": "a=candidate:1 1 tcp 2105524479 127.0.0.1 9 typ host tcptype active\r\n",
}


async def test_a01_an_offer_without_candidates_connects():
    async with live_server() as http, player() as peer:
        await join(http, peer, without_candidates)
        await plays(peer)


@pytest.mark.parametrize("kind", ONLY)
async def test_a02_the_end_of_useless_candidates_is_not_the_end(kind):
    """Bare aiortc fails for good here, though the peer's checks arrive."""

    def useless(text: str) -> str:
        head, *rest = sections_of(without_candidates(text))
        return head + "".join(f"{each}{ONLY[kind]}a=end-of-candidates\r\n" for each in rest)

    async with live_server() as http, player() as peer:
        await join(http, peer, useless)
        await plays(peer)


async def test_a03_a_name_of_multicast_dns_is_never_looked_up(monkeypatch):
    async def never() -> None:
        raise AssertionError("a name of multicast DNS was looked up")

    monkeypatch.setattr(aioice.ice.mdns, "create_mdns_protocol", never)
    async with live_server() as http:
        created = await post(http, offered("safari-17-whep"))
        assert created.status_code == 201
        fragment = f"a=ice-ufrag:+pXq\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n{ONLY['mdns']}"
        assert (await trickle(http, created.headers["location"], fragment)).status_code == 204


async def test_a04_a_trickled_candidate_of_component_0_connects():
    async with live_server() as http, player() as peer:
        created = await post(http, without_candidates(await offer_of(peer)))
        lines = [re.sub(r"^(a=candidate:\S+) 1 ", r"\1 0 ", line) for line in candidate_lines(peer)]
        assert lines and all(" 0 udp " in line for line in lines)
        fragment = "\r\n".join(["m=audio 9 RTP/AVP 0", "a=mid:0", *lines, ""])
        assert (await trickle(http, created.headers["location"], fragment)).status_code == 204
        await take(peer, created.text)
        await plays(peer)


@pytest.mark.parametrize("protocol", ["whip", "whep"])
async def test_a05_q06_checks_without_priority_as_ffmpeg_8_0_sends_them_are_answered(protocol):
    """USERNAME, USE-CANDIDATE, integrity, and nothing else. Then our DTLS comes, as its offer is passive."""
    text = offered("ffmpeg-8.0-whip")
    text = text if protocol == "whip" else text.replace("a=sendonly", "a=recvonly")
    async with live_server() as http, stun_agent(text) as agent:
        created = await post(http, text, protocol)
        assert created.status_code == 201, created.text
        server = Answered.read(created.text)
        assert await agent.answered(agent.check(server)) is stun.Class.RESPONSE
        await agent.until(lambda: DTLS_HANDSHAKE in agent.first_bytes)


@pytest.mark.parametrize("protocol", ["whep", "whip"])
async def test_an_offer_is_refused_where_no_port_is_free(protocol, monkeypatch):
    """aioice passes over addresses it cannot bind to; the answer would name none, and the peer wait in vain."""
    client = {"whep": "aiortc-1.16.0-h264-whep", "whip": "aiortc-1.16.0-whip"}[protocol]
    async with live_server() as http:
        monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["198.51.100.1"])  # nobody's
        refused = await post(http, offered(client), protocol)
        assert refused.status_code == 503, refused.text
        assert "retry-after" in refused.headers
        assert "port" in refused.json()["detail"]


# --- restart


async def test_a16_an_ice_restart_is_answered_and_the_old_session_stays_until_the_new_one_is_up():
    """Told by the credentials; the peer's new agent is another socket, as after a change of network."""
    text = offered("ffmpeg-8.0-whip").replace("a=sendonly", "a=recvonly")
    fragment = f"a=ice-ufrag:9c3e77aa\r\na=ice-pwd:{'n' * 32}\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
    async with live_server() as http, stun_agent(text) as old, stun_agent(fragment) as new:
        created = await post(http, text)
        first = Answered.read(created.text)
        assert await old.answered(old.check(first)) is stun.Class.RESPONSE
        restarted = await trickle(http, created.headers["location"], fragment, If_Match="*")
        assert restarted.status_code == 200
        second = Answered.read(restarted.text)
        assert {second.ufrag, second.password}.isdisjoint({first.ufrag, first.password})
        assert await old.answered(old.check(first)) is stun.Class.RESPONSE
        assert await new.answered(new.check(second)) is stun.Class.RESPONSE
        await new.until(lambda: DTLS_HANDSHAKE in new.first_bytes)


async def test_a16_a_restart_that_cannot_be_leaves_all_as_it_was():
    async with live_server() as http, player() as peer:
        created = await join(http, peer)
        await plays(peer)
        refused = await trickle(http, created.headers["location"], "a=ice-ufrag:9c3e77aa\r\n", If_Match="*")
        assert 400 <= refused.status_code < 500
        await plays(peer, pictures=10)


@pytest.mark.parametrize("timeout_s", [0, 5])
@pytest.mark.parametrize("turns", range(12))
async def test_a16_a_session_may_end_at_any_moment_of_a_restart(timeout_s, turns):
    """Found by the ten thousand garbage requests: sockets stayed open, or the session's end was cut short."""
    before = open_files()
    connection = RestartableConnection(ice_controlling=False)
    await connection.gather_candidates()
    await connection.restart(Credentials("wxyz", "q" * 24), timeout_s)
    for _ in range(turns):
        await asyncio.sleep(0)
    await connection.close()
    await until(lambda: open_files() <= before, 5, "sockets closed")
    assert connection._current._closed


# --- addresses and servers


async def test_a17_the_addresses_that_are_offered_are_ours_to_choose(monkeypatch):
    def found(_ipv4: bool, _ipv6: bool) -> list[str]:
        return ["fe80::1", "::1", "127.0.0.7", "127.0.0.8"]

    monkeypatch.setattr(aioice.ice, "get_host_addresses", found)
    candidate = re.compile(r"a=candidate:\S+ 1 udp \d+ (\S+) \d+ typ host")
    async with live_server() as http:
        assert set(candidate.findall((await post(http, offer())).text)) == {"127.0.0.1"}
    async with live_server(host="0.0.0.0") as http:
        addresses = list(dict.fromkeys(candidate.findall((await post(http, offer())).text)))
    assert addresses[:2] == ["127.0.0.7", "127.0.0.8"] and "fe80::1" not in addresses


def test_a18_no_public_server_is_asked_unless_one_is_configured():
    """aiortc asks Google's where it is given no list."""
    assert RTCIceGatherer.getDefaultIceServers()
    assert ice.configuration(Settings()).iceServers == []
    assert [each.urls for each in ice.configuration(Settings(stun_urls="stun:192.0.2.1:9")).iceServers] == [
        "stun:192.0.2.1:9"
    ]


# --- the end


async def test_a21_a_peer_that_vanishes_is_given_up_and_one_that_says_goodbye_at_once(monkeypatch):
    """Bare aiortc sends to a vanished peer for half a minute."""
    monkeypatch.setattr(ice, "CONSENT_INTERVAL_S", 0.2)
    async with live_server() as http, player() as gone, player() as polite:
        for peer in (gone, polite):
            await join(http, peer)
            await plays(peer)
        await polite.connection.close()
        await until_viewers(http, 1)
        vanish(gone)
        await until_viewers(http, 0)
