"""Connections that speech is streamed through: held up, cut off, broken off, refused."""

import asyncio
import logging
import socket as socket_module
from contextlib import AsyncExitStack

import pytest
from websockets.exceptions import ConnectionClosed

from tests.clients.pcm_socket import PcmSocket, pcm_socket
from tests.clients.waiting import until
from tests.integration.pcm_server import PcmServer, heard, pcm_serving, samples
from whep_server.command import serve
from whep_server.web import pcm
from whep_server.web.pcm_messages import AHEAD_BYTES, MAX_MESSAGE_BYTES, PIECE_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")

# --- flow control


async def test_a_producer_far_ahead_is_held_and_heard_when_it_cancels(pcm_server, voice):
    """Ten times as fast as it is played: no more is taken than the window and what is read ahead."""
    voice.window = 32 * 1024
    async with pcm_socket(pcm_server.base, write_limit=1024) as socket:
        await socket.begin()
        sent = samples(4800)
        flood = asyncio.create_task(_flood(socket, sent))
        assert await socket.error() == "credit-exceeded"
        speech = voice.made[0]
        for _ in range(20):  # it is played for a while
            played = len(speech.heard)
            speech.play()
            await heard(speech, played + voice.window - PIECE_BYTES)
        assert speech.most_unplayed <= voice.window
        assert [event["type"] for event in socket.told].count("error") == 1
        assert (await pcm_server.http.post("/streams/demo/interrupt")).json()["utterance"] == "u1"
        assert (await socket.until("interrupted"))["utterance"] == "u1"
        flood.cancel()
        assert bytes(speech.heard) == (sent * (len(speech.heard) // len(sent) + 1))[: len(speech.heard)]
        assert (await socket.begin())["utterance"] == "u2"


async def _flood(socket: PcmSocket, data: bytes) -> None:
    while True:
        await socket.samples(data)


async def test_a_cancel_behind_what_is_read_ahead_is_found_at_once(socket, voice):
    voice.window = 4096
    await socket.begin()
    for _ in range(8):
        await socket.samples(bytes(AHEAD_BYTES // 8 - 1024))
    await socket.say("cancel")
    assert (await socket.until("interrupted"))["played_samples"] == 0
    assert len(voice.made[0].heard) <= 4096 + PIECE_BYTES


async def test_a_client_that_does_not_read_is_cut_off_and_its_speech_goes_on(pcm_server, voice, monkeypatch):
    monkeypatch.setattr(pcm, "WRITE_S", 0.2)
    async with pcm_socket(pcm_server.base, sock=narrow_socket(pcm_server), max_queue=1) as deaf:
        await deaf.begin()
        await deaf.samples(samples(960))
        await heard(voice.made[0], 960)
        for _ in range(100):
            voice.made[0].tell("underrun", detail="." * 100_000)
        await until(lambda: voice.made[0].committed, 10, "cut off")
        deaf.socket.transport.abort()
    assert voice.made[0].heard == samples(960)


def narrow_socket(pcm_server: PcmServer) -> socket_module.socket:
    """One that holds little of what its owner does not read."""
    made = socket_module.socket()
    made.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_RCVBUF, 4096)
    made.connect((pcm_server.http.base_url.host, pcm_server.http.base_url.port))
    made.setblocking(False)
    return made


async def test_ten_thousand_marks(socket, voice):
    await socket.begin()
    await socket.samples(samples(960))

    async def set_marks() -> None:
        for index in range(10_000):
            await socket.say("mark", name=str(index))
        await socket.say("commit")

    async with asyncio.TaskGroup() as group:
        group.create_task(set_marks())
        refused = [await socket.error() for _ in range(10_000 - 64)]
    assert set(refused) == {"too-many"}
    await until(lambda: voice.made[0].committed, 5, "committed")
    voice.made[0].play()
    await socket.until("finished")
    assert [event["name"] for event in socket.told if event["type"] == "mark"] == [str(index) for index in range(64)]


@pytest.mark.parametrize("size", [MAX_MESSAGE_BYTES + 2, 6 * MAX_MESSAGE_BYTES])
async def test_a_huge_message_ends_the_connection_and_nothing_else(pcm_server, voice, size):
    async with pcm_socket(pcm_server.base) as socket:
        await socket.begin()
        await socket.samples(samples(960))
        await heard(voice.made[0], 960)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.samples(bytes(size))
            while True:
                await socket.event()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
        if size < 4 * MAX_MESSAGE_BYTES:
            assert socket.told[-1]["error"] == "too-large" and socket.told[-1]["fatal"]
    await until(lambda: voice.made[0].committed, 5, "spoken as far as it came")
    assert voice.made[0].heard == samples(960)


# --- the end of a connection


async def test_a_socket_that_dies_in_mid_word_leaves_what_it_said(pcm_server, voice):
    async with pcm_socket(pcm_server.base) as socket:
        await socket.begin()
        await socket.samples(samples(960))
        await heard(voice.made[0], 960)
        socket.socket.transport.abort()
    await until(lambda: voice.made[0].committed, 5, "committed as it stands")
    assert voice.made[0].broken_off
    async with pcm_socket(pcm_server.base) as another:
        assert (await another.begin())["utterance"] == "u2"
    await until(lambda: voice.made[1].end, 5, "what had no sample never was")


async def test_what_was_read_ahead_is_spoken_after_the_connection(pcm_server, voice):
    voice.window = 4096
    async with pcm_socket(pcm_server.base) as socket:
        await socket.begin()
        await socket.samples(samples(100_000))
    speech = voice.made[0]
    await until(lambda: speech.play() or speech.committed, 10, "all of it handed on")
    assert speech.heard == samples(100_000) and speech.broken_off


async def test_a_silence_of_minutes_is_bridged_by_pings(monkeypatch, caplog):
    monkeypatch.setattr(serve, "PING_S", 0.02)
    caplog.set_level(logging.DEBUG, "client")
    async with pcm_serving() as server, pcm_socket(server.base, logger=logging.getLogger("client")) as socket:
        await socket.begin()
        await until(lambda: caplog.text.count("< PING") > 5 and caplog.text.count("> PONG") > 5, 5, "pings")
        await socket.samples(samples(960))
        assert (await socket.until("started"))["utterance"] == "u1"


async def test_a_server_that_ends_waits_for_nobody_who_is_gone(caplog):
    async with pcm_serving() as ending:
        voice = ending.registry.stream("demo").pcm
        voice.window = 4096
        async with pcm_socket(ending.base) as socket:
            await socket.begin()
            await socket.samples(samples(100_000))  # more than is ever played
        await heard(voice.made[0], 4096)
    assert voice.made[0].broken_off
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]  # nothing was cancelled


async def test_a_server_that_ends_says_goodbye():
    async with AsyncExitStack() as connected:
        async with pcm_serving() as ending:
            socket = await connected.enter_async_context(pcm_socket(ending.base))
            await socket.begin()
            await socket.samples(samples(960))
            await heard(ending.registry.stream("demo").pcm.made[0], 960)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.until("nothing")
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1001
    assert ending.registry.closed
