"""Quirks of clients in joining, in what they read of an answer, and in leaving. ``q27`` in a name: quirk Q27."""

import re

import aioice.ice
import pytest

from avatar.messages import Codec
from tests.aiortc_player import player
from tests.fakes import FakeOpener
from tests.integration.http_server import assert_problem, until_answer
from tests.integration.joining import (
    SDP,
    candidate_lines,
    join,
    live_server,
    offer_of,
    plays,
    post,
    take,
    trickle,
    until_viewers,
    vanish,
    viewers,
    without_candidates,
)
from tests.strategies import protocol_of, texts
from whep_server.rtc import ice


def offered(client: str) -> str:
    return texts("*.sdp")[client]


def trickled(client: str) -> str:
    return texts("*.sdpfrag")[client]


# --- candidates


async def test_q01_who_never_names_a_candidate_connects():
    """As OBS 32 and FFmpeg 8."""
    async with live_server() as http, player() as peer:
        created = await join(http, peer, without_candidates)
        assert re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 \d+ typ host", created.text)
        await plays(peer)


async def test_q02_medooze_whip_whep_1_2_0_trickles_at_once():
    async with live_server() as http, player() as peer:
        created = await post(http, without_candidates(await offer_of(peer)))
        head = ["m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0"]
        fragment = "\r\n".join([*head, *candidate_lines(peer), ""])
        patched = await trickle(http, created.headers["location"], fragment)
        assert (patched.status_code, patched.content) == (204, b"")
        await take(peer, created.text)
        await plays(peer)


def gathered_by_firefox(offer: str) -> str:
    """Its candidates as Firefox 153 writes them: names only its own host could resolve, and no more to come."""
    hidden = re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 c1b46c0e-0a53-4b0b-9df8-5e0c7fa51d33.local", offer)
    assert "a=end-of-candidates" in hidden and not re.search(r"a=candidate:.*127\.0\.0\.1", hidden)
    return hidden


async def test_q03_q04_firefox_153_with_gathered_names_connects_and_nobody_looks_them_up(monkeypatch):
    async def never() -> None:
        raise AssertionError("a name of multicast DNS was looked up")

    monkeypatch.setattr(aioice.ice.mdns, "create_mdns_protocol", never)
    async with live_server() as http, player() as peer:
        created = await join(http, peer, gathered_by_firefox)
        patched = await trickle(http, created.headers["location"], trickled("chromium-156-whip-whep-1.2.0-whep"))
        assert patched.status_code in (200, 204)
        await plays(peer)


# --- the answer


def many_addresses(_ipv4: bool, _ipv6: bool) -> list[str]:
    """A machine with container bridges; the one IPv6 address comes first."""
    return ["::1", *(f"127.0.0.{at}" for at in range(2, 22))]


@pytest.mark.parametrize("client", ["ffmpeg-8.0-whip", "mediamtx-reader-2026-08-whep"])
async def test_q27_q28_ffmpeg_8_0_reads_the_answer_and_its_first_candidate_is_ipv4(client, monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", many_addresses)
    async with live_server(host="0.0.0.0") as http:
        created = await post(http, offered(client), protocol_of(offered(client)))
        assert created.status_code == 201, created.text
        assert created.text.startswith("v=") and len(created.content) < 8000
        assert created.headers["content-length"] == str(len(created.content))
        assert "transfer-encoding" not in created.headers
        candidates = re.findall(r"a=candidate:(\S+ 1 udp \d+ \S+ \d+ typ \w+)", created.text)
        assert re.fullmatch(r"\S+ 1 udp \d+ 127\.0\.0\.\d+ \d+ typ host", candidates[0])
        assert len(candidates) >= 2


async def test_q29_ffmpeg_8_0_and_obs_32_are_answered_before_the_avatar_is_warm():
    opener = FakeOpener()
    opener.codecs_held = {Codec.H264, Codec.VP8}
    async with live_server(opener) as http:
        assert (await http.get("/streams/demo")).json()["state"] == "preparing"
        for client in ("ffmpeg-8.0-whip", "safari-17-whep"):
            assert (await post(http, offered(client), protocol_of(offered(client)))).status_code == 201


@pytest.mark.parametrize("protocol", ["whep", "whip"])
async def test_q32_an_empty_offer_is_400_because_we_make_no_offers(protocol):
    """Eyevinn webrtc-player 0.13.0 tries this after a 400: it must not be led to believe that it works."""
    async with live_server() as http:
        assert_problem(await post(http, "", protocol), 400)


# --- those who never give up, and those who never say goodbye


async def test_q33_who_asks_again_for_ever_is_told_when_to_come_back():
    """MediaMTX's reader every 2 s, Cloudflare's sample every 5 s; here all at once."""
    async with live_server(offers_per_s=0.5, offer_burst=5) as http:
        answers = [
            await http.post("/whep/nobody", content=offered("mediamtx-reader-2026-08-whep"), headers=SDP)
            for _ in range(7)
        ]
        assert [each.status_code for each in answers] == [404] * 5 + [429] * 2
        assert all(1 <= int(each.headers["retry-after"]) <= 5 for each in answers[5:])
        assert "retry-after" in answers[-1].headers["access-control-expose-headers"].lower()
        assert_problem(answers[-1], 429)


async def test_q34_a_tab_that_is_closed_without_delete_is_gone_when_its_consent_is(monkeypatch):
    monkeypatch.setattr(ice, "CONSENT_INTERVAL_S", 0.2)
    async with live_server() as http, player() as peer:
        created = await join(http, peer)
        await plays(peer)
        vanish(peer)
        await until_viewers(http, 0)
        assert_problem(await http.get(created.headers["location"]), 404)


async def test_q34_a_tab_that_is_closed_before_it_connected_is_gone_after_the_join_timeout():
    async with live_server(join_timeout_s=0.3) as http:
        created = await post(http, offered("chromium-156-whip-whep-1.2.0-whep"))
        assert created.status_code == 201
        await until_answer(http, created.headers["location"], lambda answer: answer.status_code == 404)
        assert await viewers(http) == 0


async def test_q35_conferencing_code_gets_the_first_usable_of_each_kind_and_only_hears():
    async with live_server() as http:
        created = await post(http, offered("chromium-156-conference-whep"))
        assert created.status_code == 201
        ports = [int(port) > 0 for port in re.findall(r"(?m)^m=\w+ (\d+)", created.text)]
        assert ports == [True, True, False, False, False]
        assert set(re.findall(r"a=(sendonly|recvonly|sendrecv)", created.text)) == {"sendonly"}
        assert_problem(await post(http, offered("chromium-156-conference-whip"), "whip"), 422)
