"""What aiortc lacks for WHIP and WHEP, and that our endpoints do it all the same: descriptions. ``a07``: gap A7.

Real ICE, DTLS and RTP over loopback. What is about ICE alone is in ``test_ice_gaps.py``.
"""

import asyncio
import gc
import re

import aioice.ice
import aiortc.rtcrtpsender
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from tests.aiortc_player import player
from tests.clients.waiting import until
from tests.integration.http_server import assert_problem
from tests.integration.joining import join, live_server, open_files, plays, post, sections_of, viewers
from tests.offers import offer, section
from tests.strategies import texts


def offered(client: str) -> str:
    return texts("*.sdp")[client]


# --- offers that aiortc does not read


def example_of_rfc_9725(text: str) -> str:
    """The second section as the RFC's own example has it: port 0, bundle-only, no transport."""
    head, first, second = sections_of(text)
    lean = re.sub(r"a=(ice-|fingerprint|setup|candidate|end-of|rtcp)\S*.*\r\n", "", second)
    return head + first + re.sub(r"^(m=\w+) \d+", r"\1 0", lean) + "a=bundle-only\r\n"


async def test_a06_a_bundle_only_section_without_transport_plays():
    async with live_server() as http, player() as peer:
        await join(http, peer, example_of_rfc_9725)
        await plays(peer)


async def test_a07_a_rejected_section_without_attributes_is_answered_in_its_place():
    def with_rejected(text: str) -> str:
        head, first, second = sections_of(text)
        return f"{head}{first}m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n{second}"

    def without_rejected(text: str) -> str:
        head, first, refused, second = sections_of(text)
        assert refused.startswith("m=audio 0 ")
        return head + first + second

    async with live_server() as http, player() as peer:
        await join(http, peer, with_rejected, without_rejected)
        await plays(peer)


def tasks_of_this_process() -> int:
    """Which is also the server's."""
    gc.collect()
    return len(asyncio.all_tasks())


REFUSED = {
    "a08 no fingerprint": (re.sub(r"a=fingerprint:.*\r\n", "", offer()), 400),
    "a08 no ice-ufrag": (re.sub(r"a=ice-ufrag:.*\r\n", "", offer()), 400),
    "a08 no ice-pwd": (re.sub(r"a=ice-pwd:.*\r\n", "", offer()), 400),
    "a09 inactive": (offer().replace("a=recvonly", "a=inactive"), 422),
    "a09 sendonly": (offer().replace("a=recvonly", "a=sendonly"), 422),
    "a14 H264 640c1f only": (
        re.sub(r"profile-level-id=\w+", "profile-level-id=640c1f", offer()).replace("VP8", "X"),
        422,
    ),
    "a14 packetization-mode 0 only": (
        offer().replace("packetization-mode=1", "packetization-mode=0").replace("VP8", "X"),
        422,
    ),
    "a14 Opus at 16 kHz": (offer().replace("opus/48000/2", "opus/16000"), 422),
    "a14 no rtcp-mux": (re.sub(r"a=(rtcp-mux|group:.*)\r\n", "", offer()), 422),
    "a14 holdconn": (offer().replace("actpass", "holdconn"), 400),
    "a14 mid twice": (offer().replace("a=mid:1", "a=mid:0"), 400),
    "a14 no media line": ("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n", 400),
    "a14 media line cut": (offer().replace("m=video 9 UDP/TLS/RTP/SAVPF", "m=video"), 400),
    "a14 port beyond": (offer().replace("m=video 9 ", "m=video 70000 "), 400),
}


async def test_a08_a09_a14_what_cannot_come_up_is_refused_at_once_and_leaves_nothing_open():
    """aiortc accepts some of these and never connects; of others it raises six kinds of error."""
    async with live_server() as http:
        assert_problem(await post(http, "x"), 400)
        tasks, files = tasks_of_this_process(), open_files()
        for name, (text, status) in REFUSED.items():
            assert (await post(http, text)).status_code == status, name
        assert await viewers(http) == 0
        await until(lambda: tasks_of_this_process() <= tasks, 10, f"{tasks} tasks, as before")
        await until(lambda: open_files() <= files, 10, f"{files} open files, as before")


async def test_a14_extension_ids_that_clash_do_not_bring_it_down():
    clash = offer().replace("a=mid:0", "a=mid:0\r\na=extmap:1 urn:a\r\na=extmap:1 urn:b\r\na=extmap:99 urn:c")
    async with live_server() as http:
        assert (await post(http, clash)).status_code in (201, 400, 422)


async def test_a10_sendrecv_is_answered_sendonly():
    async with live_server() as http, player() as peer:
        created = await join(http, peer, lambda text: text.replace("a=recvonly", "a=sendrecv"))
        assert set(re.findall(r"a=(sendonly|recvonly|sendrecv|inactive)", created.text)) == {"sendonly"}
        await plays(peer)


async def test_a11_a12_what_is_not_served_has_port_0_and_is_not_just_inactive():
    two = offer(sections=[section("video", "0"), section("video", "1"), section("audio", "2")])
    async with live_server() as http:
        for text, ports in ((two, [True, False, True]), (offer(bundle=""), [False, True])):
            created = await post(http, text)
            assert created.status_code == 201
            assert [int(port) > 0 for port in re.findall(r"(?m)^m=\w+ (\d+)", created.text)] == ports


async def test_a11_a12_a13_a_publisher_is_served_whole_or_not_at_all():
    unknown = re.sub(r"a=rtpmap:(\d+) (VP8|VP9|H264|H265|AV1)/", r"a=rtpmap:\1 X-NONE/", offered("obs-32-whip"))
    async with live_server() as http:
        for text in (unknown, offered("chromium-156-conference-whip"), offered("chromium-156-unbundled-whip")):
            refused = await post(http, text, "whip")
            assert_problem(refused, 422)
            assert "location" not in refused.headers


async def test_a13_without_bundle_one_section_plays_over_one_transport():
    def unbundled(text: str) -> str:
        return re.sub(r"a=group:BUNDLE.*\r\n", "", text)

    async with live_server() as http, player(kinds=("video",)) as peer:
        created = await join(http, peer, unbundled)
        assert len(set(re.findall(r"a=ice-ufrag:(\S+)", created.text))) == 1
        await plays(peer)


# --- the answer


async def test_a15_the_answer_says_what_aiortc_leaves_out():
    async with live_server() as http:
        answer = (await post(http, offer())).text
    assert answer.count("a=rtcp-mux-only\r\n") == answer.count("a=ice-options:trickle\r\n") == answer.count("m=") == 2
    assert len(set(re.findall(r"a=msid:(\S+) ", answer))) == 1
    assert set(re.findall(r"a=setup:(\w+)", answer)) == {"passive"}
    assert "a=end-of-candidates" in answer


async def test_a19_a20_nothing_is_encoded_by_aiortc(monkeypatch):
    """Its H.264 is level 3.1 whatever the size, its Opus stereo at 96 kb/s, and both for each viewer anew."""

    def never(*_: object) -> None:
        raise AssertionError("aiortc was to encode")

    monkeypatch.setattr(aiortc.rtcrtpsender, "get_encoder", never)
    async with live_server() as http, player() as peer:
        created = await join(http, peer)
        await plays(peer)
        assert "stereo" not in created.text
        (label,) = set(re.findall(r"profile-level-id=(\w+)", created.text))
        assert label.startswith("42e0") and int(label[4:], 16) < 0x1F  # true to pictures of 160x128


# --- what aiortc reads, and must go on reading


def session_level(text: str) -> str:
    """ICE and DTLS once for the session, as OBS 30.1 writes it."""
    head, first, second = sections_of(text)
    pattern = r"a=(?:ice-ufrag|ice-pwd|fingerprint|setup):.*\r\n"
    return head + "".join(re.findall(pattern, first)) + re.sub(pattern, "", first) + re.sub(pattern, "", second)


def with_data(text: str) -> str:
    mids = re.search(r"a=group:BUNDLE (.*)\r\n", text)
    assert mids is not None
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000\r\n"
    return text.replace(mids[0], f"a=group:BUNDLE {mids[1]} data\r\n") + data


def without_data(text: str) -> str:
    *kept, data = sections_of(text)
    assert data.startswith("m=application 0 ")
    return "".join(kept)


def bundle_only(text: str) -> str:
    head, first, second = sections_of(text)
    return head + first + re.sub(r"^(m=\w+) \d+", r"\1 0", second) + "a=bundle-only\r\n"


def named(text: str) -> str:
    return re.sub(r"a=mid:(\d)", r"a=mid:part-\1", re.sub(r"BUNDLE (\d) (\d)", r"BUNDLE part-\1 part-\2", text))


def unnamed(text: str) -> str:
    assert "a=mid:part-0" in text
    return text.replace("part-", "")


READ = {
    "bare LF": (lambda text: text.replace("\r\n", "\n"), lambda text: text),
    "mids that are no numbers": (named, unnamed),
    "transport at session level": (session_level, lambda text: text),
    "data channel": (with_data, without_data),
    "bundle-only with attributes": (bundle_only, lambda text: text),
}


@pytest.mark.parametrize("case", READ)
async def test_a22_other_ways_to_write_an_offer_play(case):
    change, read = READ[case]
    async with live_server() as http, player() as peer:
        await join(http, peer, change, read)
        await plays(peer)


async def test_a23_an_answer_stays_short_on_a_machine_with_many_addresses(monkeypatch):
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda *_: [f"127.0.1.{at}" for at in range(1, 41)])
    async with live_server(host="0.0.0.0") as http, player() as peer:
        created = await join(http, peer)
        assert len(created.content) < 8000
        await plays(peer)


async def bare_answer(text: str) -> str:
    """What aiortc alone answers."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        await connection.setRemoteDescription(RTCSessionDescription(text, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return str(connection.localDescription.sdp)
    finally:
        await connection.close()


async def test_a15_a23_the_bare_answer_is_as_short_of_words_as_it_was():
    """When this fails, aiortc has learned something, and ``negotiation.dress_answer`` can do less."""
    answer = await bare_answer(offer())
    for missing in ("a=rtcp-mux-only", "a=ice-options", "a=rtcp-rsize", "transport-cc", "stereo"):
        assert missing not in answer
    assert len(re.findall(r"a=fingerprint:", answer)) == 6  # three digests for each section
    assert set(re.findall(r"a=setup:(\w+)", answer)) == {"active"}
