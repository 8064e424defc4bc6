"""Packets that no honest peer sends, and datagrams of strangers: the session and its pictures go on."""

import re
import socket

import pytest

from tests.aiortc_player import Player, player
from tests.integration.joining import join, live_server, plays

RTCP = {
    "estimate of more sources than it names": "8fce0005 00000001 00000000 52454d42 17000000 00000000",
    "request for one picture, cut short": "84ce0003 00000001 00000000 00000001",
    "report without its block": "81c90001 00000001",
    "description that ends in its first item": "81ca0001 00000001",
    "goodbye of more than it names": "9fcb0001 00000001",
}
RTP = {
    "a time of two bytes in a header extension": "90600001 00000001 00000001 bede0001 21ffff00",
    "padding longer than the packet": "a0600001 00000001 00000001 000000ff",
}


def transport_of(peer: Player):
    return peer.connection.getTransceivers()[0].receiver.transport


@pytest.mark.parametrize("packet", RTCP.values(), ids=RTCP)
async def test_a_viewer_that_reports_nonsense_goes_on_playing(packet: str):
    async with live_server() as http, player() as peer:
        await join(http, peer)
        await plays(peer)
        transport = transport_of(peer)
        ssrc = next(iter(transport._rtp_router.ssrc_table))  # media of ours that it is about
        data = bytearray.fromhex(packet)
        if len(data) >= 12:
            data[8:12] = ssrc.to_bytes(4, "big")
        await transport.transport._send(transport._tx_srtp.protect_rtcp(bytes(data)))
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) >= seen + 10)


@pytest.mark.parametrize("packet", RTP.values(), ids=RTP)
async def test_a_viewer_that_sends_media_that_cannot_be_read_goes_on_playing(packet: str):
    async with live_server() as http, player() as peer:
        await join(http, peer)
        await plays(peer)
        transport = transport_of(peer)
        await transport.transport._send(transport._tx_srtp.protect(bytes.fromhex(packet)))
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) >= seen + 10)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x16", b"\xff" * 1500, b"\x16\xfe\xfd" + bytes(10), b"\x80\xc9"])
async def test_datagrams_from_anywhere_do_not_end_a_session(data: bytes):
    async with live_server() as http, player() as peer:
        answer = (await join(http, peer)).text
        await plays(peer)
        port = int(re.search(r"a=candidate:\S+ 1 udp \d+ 127\.0\.0\.1 (\d+)", answer)[1])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            for _ in range(3):
                stranger.sendto(data, ("127.0.0.1", port))
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) >= seen + 10)
        own = transport_of(peer).transport._connection
        await own.send(data)
        seen = len(peer.pictures)
        await peer.until(lambda: len(peer.pictures) >= seen + 10)
