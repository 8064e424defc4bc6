"""Samples in the body of a request, spoken while they arrive, over a real socket, above a fake live layer."""

import asyncio
import logging
from array import array
from collections.abc import AsyncIterator

import pytest

from tests.clients.waiting import until
from tests.integration.http_server import assert_problem
from tests.integration.pcm_server import heard, samples
from whep_server.errors import AlreadySpeaking
from whep_server.web.pcm_messages import PIECE_BYTES

pytestmark = pytest.mark.asyncio(loop_scope="module")
PATH = "/streams/demo/pcm"
NATIVE = {"Content-Type": "audio/pcm;rate=24000;channels=1"}


def swapped(data: bytes) -> bytes:
    found = array("h", data)
    found.byteswap()
    return found.tobytes()


@pytest.mark.parametrize(
    ("content_type", "query", "big_endian", "form"),
    [
        ("audio/L16;rate=24000;channels=1", "", True, (24_000, 1)),
        ("AUDIO/l16; rate=16000; channels=2", "", True, (16_000, 2)),
        ("audio/L16;rate=44100", "", True, (44_100, 1)),
        ("audio/pcm;rate=24000;channels=1", "", False, (24_000, 1)),
        ("audio/pcm", "?sample_rate=8000&channels=2", False, (8_000, 2)),
        ("audio/pcm;rate=24000", "?sample_rate=8000", False, (24_000, 1)),
        ("application/octet-stream", "?sample_rate=96000", False, (96_000, 1)),
        ("application/x-www-form-urlencoded", "?sample_rate=48000", False, (48_000, 1)),
        (None, "?sample_rate=48000&start_ms=40", False, (48_000, 1)),
    ],
)
async def test_samples_are_what_their_type_says(pcm_server, voice, content_type, query, big_endian, form):
    sent = samples(4800)
    headers = {"Content-Type": content_type} if content_type else {}
    body = swapped(sent) if big_endian else sent
    response = await pcm_server.http.post(PATH + query, content=body, headers=headers)
    assert response.status_code == 202, response.text
    seconds = 4800 / 2 / form[1] / form[0]
    assert response.json() == {"utterance": "u1", "seconds": round(seconds, 3)}
    speech = voice.made[0]
    assert (speech.heard, speech.committed, speech.broken_off) == (sent, True, None)
    assert (speech.sample_rate, speech.channels, speech.start_ms) == (*form, 40 if "start_ms" in query else None)


async def test_it_is_spoken_while_it_arrives_in_pieces_cut_anywhere(pcm_server, voice):
    sent = samples(3 * 401)[: 3 * 400]

    async def slowly() -> AsyncIterator[bytes]:
        for at in range(0, len(sent), 7):
            yield swapped(sent)[at : at + 7]
            if at == 700:
                await heard(voice.made[0], 700)
                voice.made[0].tell("started")

    response = await pcm_server.http.post(PATH, content=slowly(), headers={"Content-Type": "audio/L16;rate=16000"})
    assert response.status_code == 202
    assert voice.made[0].heard == sent


async def test_a_body_is_read_no_faster_than_it_is_spoken(pcm_server, voice):
    voice.window = 32 * 1024
    size = 200 * 1024

    async with asyncio.TaskGroup() as group:
        request = group.create_task(pcm_server.http.post(PATH, content=samples(size), headers=NATIVE))
        await heard(voice_made := await until(lambda: voice.made and voice.made[0], 5, "begun"), voice.window)
        while not voice_made.committed:
            assert not request.done()
            voice_made.play()
            await asyncio.sleep(0)
    assert (await request).status_code == 202
    assert voice_made.heard == samples(size)
    assert voice_made.most_unplayed <= voice.window


async def test_bad_bodies_are_refused_and_nothing_is_spoken(pcm_server, voice):
    post = pcm_server.http.post
    for content_type in (
        "audio/wav",
        "audio/mpeg",
        "text/plain",
        "multipart/form-data; boundary=x",
        "audio/L24;rate=8000",
    ):
        assert_problem(await post(PATH, content=samples(960), headers={"Content-Type": content_type}), 415)
    for query in ("", "?sample_rate=7999", "?sample_rate=96001", "?sample_rate=x", "?sample_rate=24000&channels=3"):
        problem = assert_problem(await post(PATH + query, content=samples(960)), 400)
        assert str(problem["detail"]).startswith(("sample_rate", "channels"))
    for content_type in ("audio/L16", "audio/L16;rate=0", "audio/pcm;rate=24000;channels=9"):
        assert_problem(await post(PATH, content=samples(960), headers={"Content-Type": content_type}), 400)
    for start_ms in ("19", "1001", "soon"):
        assert_problem(await post(f"{PATH}?sample_rate=8000&start_ms={start_ms}", content=samples(960)), 400)
    assert_problem(await post(PATH, content=b"", headers=NATIVE), 422)
    assert_problem(await post("/streams/nobody/pcm", content=b"\0\0", headers=NATIVE), 404)
    assert voice.made == []
    voice.fault = AlreadySpeaking("somebody streams speech in already")
    assert_problem(await post(PATH, content=samples(200_000), headers=NATIVE), 409)


async def nothing() -> AsyncIterator[bytes]:
    for piece in ():
        yield piece


async def test_a_body_without_a_sample_or_with_half_of_one(pcm_server, voice):
    assert_problem(await pcm_server.http.post(PATH, content=nothing(), headers=NATIVE), 422)
    assert_problem(await pcm_server.http.post(PATH, content=b"\0", headers=NATIVE), 422)
    assert [speech.end for speech in voice.made] == ["failed", "failed"]
    problem = assert_problem(await pcm_server.http.post(PATH, content=samples(961), headers=NATIVE), 400)
    assert "cut in two" in str(problem["detail"])
    assert voice.made[2].heard == samples(960) and voice.made[2].committed


async def test_a_body_that_is_too_long_is_spoken_up_to_the_limit(pcm_server, voice):
    async def lengthy() -> AsyncIterator[bytes]:
        for _ in range(32):
            yield samples(PIECE_BYTES)
            if voice.made:
                voice.made[0].play()

    assert_problem(await pcm_server.http.post(PATH, content=lengthy(), headers=NATIVE), 413)
    assert voice.made[0].broken_off and len(voice.made[0].heard) >= 128 * 1024


async def raw(pcm_server, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection(pcm_server.http.base_url.host, pcm_server.http.base_url.port)
    writer.write(b"POST /streams/demo/pcm HTTP/1.1\r\nHost: x\r\nContent-Type: audio/pcm;rate=24000\r\n" + request)
    return reader, writer


async def test_a_body_that_stops_coming_is_spoken_as_far_as_it_came(pcm_server, voice):
    reader, writer = await raw(pcm_server, b"Transfer-Encoding: chunked\r\n\r\n3c0\r\n" + samples(960) + b"\r\n")
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 408 ")
    writer.close()
    assert voice.made[0].heard == samples(960) and voice.made[0].broken_off


async def test_a_sender_that_dies_in_mid_word_leaves_what_it_said(pcm_server, voice, caplog):
    _, writer = await raw(pcm_server, b"Content-Length: 100000\r\n\r\n" + samples(961))
    await until(lambda: voice.made and voice.made[0].heard, 5, "something arrived")
    writer.transport.abort()
    await until(lambda: voice.made[0].committed, 5, "broken off")
    assert voice.made[0].heard == samples(960) and voice.made[0].broken_off
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_one_that_is_interrupted_is_told_so(pcm_server, voice):
    voice.window = 4096

    async with asyncio.TaskGroup() as group:
        request = group.create_task(pcm_server.http.post(PATH, content=samples(100_000), headers=NATIVE))
        await until(lambda: voice.made and voice.made[0].heard, 5, "begun")
        assert (await pcm_server.http.post("/streams/demo/interrupt")).json()["utterance"] == "u1"
    assert_problem(await request, 409)
