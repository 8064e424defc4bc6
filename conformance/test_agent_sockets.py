"""What the peer reads from descriptions, and its sockets on a real loopback."""

import socket

import pytest

from conformance.agent.agent import fingerprints, formats, mid_of, open_agent, usable_addresses
from conformance.agent.manner import Manner, NotConnected
from conformance.agent.received import Format
from conformance.agent.shell import UDP_TABLES, open_socket
from conformance.canned import make_offer
from conformance.description import parse, parse_fragment
from conformance.mock import answers
from conformance.mock.live_side import LiveSides
from conformance.mock.media import CannedSide

ANSWER = parse(answers.answer(parse(make_offer("whep").text), "whep", CannedSide()))
CANDIDATES = (
    "1 1 udp 100 192.0.2.1 1 typ srflx raddr 0.0.0.0 rport 0",
    "2 1 tcp 900 192.0.2.2 2 typ host tcptype passive",
    "3 2 udp 900 192.0.2.3 3 typ host",
    "4 1 udp 900 name.local 4 typ host",
    "5 1 UDP 200 192.0.2.5 5 typ host",
    "6 1 udp 300 2001:db8::6 6 typ host",
    "7 1 udp 50 192.0.2.5 5 typ host",
    "8 1 udp 300 192.0.2.8 99999 typ host",
)
REMOTE = parse_fragment("".join(f"a=candidate:{value}\r\n" for value in CANDIDATES))


def test_usable_candidates_are_tried_best_first_each_once() -> None:
    assert usable_addresses(REMOTE) == [("2001:db8::6", 6), ("192.0.2.5", 5), ("192.0.2.1", 1)]


def test_ffmpeg_takes_the_first_host_candidate_as_written() -> None:
    assert usable_addresses(REMOTE, first_host_only=True) == [("192.0.2.5", 5)]


def test_an_answer_says_certificate_codecs_and_mid() -> None:
    ((algorithm, digest),) = fingerprints(ANSWER)
    assert (algorithm, len(digest)) == ("sha-256", 95)
    assert formats(ANSWER.media) == {111: Format("audio", "opus"), 102: Format("video", "h264")}
    assert [mid_of(media) for media in ANSWER.media] == [((4, b"0"),), ((4, b"1"),)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_an_agent_connects_over_loopback_and_media_arrives(host: str) -> None:
    async with open_agent(host, 9, Manner()) as agent, LiveSides() as sides:
        offer = agent.offer(make_offer("whep"))
        side = await sides.open(parse(offer.text), "whep")
        agent.take_answer(parse(answers.answer(parse(offer.text), "whep", side)))
        await agent.connect(20)
        assert await agent.wait_for(lambda: agent.log.main("video") is not None, 20)
        assert await agent.still_answers(20)


async def test_an_agent_that_is_not_answered_says_so() -> None:
    async with open_agent("127.0.0.1", 9, Manner()) as agent:
        agent.take_answer(
            parse(answers.answer(parse(make_offer("whep").text), "whep", CannedSide(candidates=(NOBODY,))))
        )
        with pytest.raises(NotConnected, match="the server did not answer checks and did not send valid ones"):
            await agent.connect(0.2)


async def test_an_answer_without_candidates_is_refused() -> None:
    async with open_agent("127.0.0.1", 9, Manner()) as agent:
        with pytest.raises(NotConnected, match="no candidate"):
            agent.take_answer(parse(answers.answer(parse(make_offer("whep").text), "whep", CannedSide(candidates=()))))


NOBODY = "1 1 udp 1 127.0.0.1 9 typ host"


def test_a_socket_for_all_addresses_hears_ipv4() -> None:
    with open_socket(None) as opened, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        opened.settimeout(20)
        sender.sendto(b"x", ("127.0.0.1", opened.getsockname()[1]))
        assert opened.recv(10) == b"x"


@pytest.mark.skipif(not UDP_TABLES[0].exists(), reason="only Linux says how many datagrams a socket dropped")
async def test_what_the_kernel_throws_away_is_known() -> None:
    async with open_agent("127.0.0.1", 9, Manner()) as agent:
        port = int(agent.candidate.split()[5])
        assert agent.shell.dropped() == 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20_000):  # more than the buffer holds, while nobody reads
                sender.sendto(bytes(1200), ("127.0.0.1", port))
        assert agent.shell.dropped() > 0
