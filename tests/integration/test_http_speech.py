"""Uploads and event streams over a real socket, above a fake live layer."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.clients.waiting import until
from tests.fake_live import FakeEvent
from tests.integration.http_server import CORS_NAMES, assert_problem, serving


async def raw(http: httpx.AsyncClient, request: bytes, *, end: bool = False) -> tuple[bytes, asyncio.StreamWriter]:
    """What the server sends back on a connection of its own to ``request``, up to the end of its headers."""
    reader, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(request)
    if end:
        writer.write_eof()
    async with asyncio.timeout(10):
        head = await reader.readuntil(b"\r\n\r\n")
    return head, writer


async def test_speech_as_body_or_form_is_the_same_bytes(http, live):
    audio = bytes(range(256)) * 16
    for request in (
        {"content": audio},
        {"content": audio, "headers": {"Content-Type": "audio/wav"}},
        {"content": audio, "headers": {"Content-Type": "application/x-www-form-urlencoded"}},
        {"files": {"file": ("hello.wav", audio, "audio/wav")}},
        {"files": {"audio": ("hello.wav", audio)}, "data": {"note": "passed over"}},
    ):
        response = await http.post("/streams/demo/speech", **request)
        assert response.status_code == 202, response.text
        assert response.json() == {"utterance": "u1", "seconds": None, "queued": 0}
    assert live.stream("demo").spoken == [audio] * 5


async def test_an_upload_is_passed_on_while_it_arrives(http, live):
    going_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b"first"
        await until(lambda: live.stream("demo").pieces == 1, 5, "first piece passed on")
        going_on.set()
        yield b"second"

    response = await http.post("/streams/demo/speech", content=slowly())
    assert going_on.is_set() and response.status_code == 202
    assert live.stream("demo").spoken == [b"firstsecond"]


async def test_bad_speech_is_refused(http, live):
    assert_problem(await http.post("/streams/demo/speech", content=b""), 422)
    assert_problem(await http.post("/streams/demo/speech", content=b"junk" * 9), 422)
    assert_problem(await http.post("/streams/nobody/speech", content=b"x"), 404)
    two = [("file", ("a", b"x")), ("file", ("b", b"y"))]
    assert_problem(await http.post("/streams/demo/speech", files=two), 400)
    assert_problem(await http.post("/streams/demo/speech", files={"file": ("a", b"")}), 422)
    form = {"Content-Type": "multipart/form-data"}
    assert_problem(await http.post("/streams/demo/speech", content=b"x", headers=form), 400)
    form = {"Content-Type": "multipart/form-data; boundary=abc"}
    assert_problem(await http.post("/streams/demo/speech", content=b"no form at all", headers=form), 400)
    broken = b'--abc\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nhalf'
    assert_problem(await http.post("/streams/demo/speech", content=broken, headers=form), 400)
    assert live.stream("demo").spoken == []
    assert (await http.post("/streams/demo/speech", content=b"good")).status_code == 202


@pytest.mark.parametrize(("size", "status"), [(64 * 1024 - 1, 202), (64 * 1024, 202), (64 * 1024 + 1, 413)])
async def test_the_limit_of_an_upload_with_and_without_content_length(http, live, size, status):
    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, size, 4096):
            yield bytes(min(4096, size - start))

    for body in (bytes(size), chunks()):
        response = await http.post("/streams/demo/speech", content=body)
        assert response.status_code == status, response.text
    assert len(live.stream("demo").spoken) == (2 if status == 202 else 0)


async def test_two_gigabytes_are_refused_before_a_byte_is_read(http, live):
    head, writer = await raw(
        http,
        b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\nExpect: 100-continue\r\n\r\n",
    )
    writer.close()
    assert head.startswith(b"HTTP/1.1 413 ") and b"connection: close" in head.lower()
    assert live.stream("demo").began == 0


async def test_the_sender_of_too_much_reads_the_refusal(http):
    """Not only a connection reset, however much it was in the middle of sending."""
    response = await http.post("/streams/demo/speech", content=bytes(3 * 1024 * 1024))
    assert_problem(response, 413)


async def test_an_upload_that_stops_coming_is_408(http, live):
    head, writer = await raw(http, b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
    writer.close()
    assert head.startswith(b"HTTP/1.1 408 ")
    assert live.stream("demo").spoken == []


async def test_a_sender_that_goes_away_leaves_nothing(http, live, caplog):
    _, writer = await asyncio.open_connection(http.base_url.host, http.base_url.port)
    writer.write(b"POST /streams/demo/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome")
    await until(lambda: live.stream("demo").pieces, 5, "upload begun")
    writer.close()
    assert (await http.post("/streams/demo/speech", content=b"another")).status_code == 202
    assert live.stream("demo").spoken == [b"another"]
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


# --- events


async def read_until(lines: AsyncIterator[str], text: str) -> list[str]:
    seen: list[str] = []
    async with asyncio.timeout(5):
        async for line in lines:
            seen.append(line)
            if text in line:
                return seen
    return seen


async def test_events_are_heard_until_the_stream_is_taken_off_air(http, live):
    stream = live.stream("demo")
    async with http.stream("GET", "/streams/demo/events") as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers.keys() >= CORS_NAMES
        lines = response.aiter_lines()
        assert 'data: {"state":"idle"}' in await read_until(lines, '"state"')
        await read_until(lines, '"viewers"')
        stream.listeners[0].waiting.put_nowait(FakeEvent("speech", {"utterance": "u\n1", "state": "started"}))
        seen = await read_until(lines, "utterance")
        assert "event: speech" in seen
        assert json.loads(seen[-1].removeprefix("data: ")) == {"utterance": "u\n1", "state": "started"}
        await http.delete("/streams/demo")
        assert await read_until(lines, "never") is not None
    assert stream.listeners == []
    assert_problem(await http.get("/streams/demo/events"), 404)


async def test_a_listener_that_goes_away_is_forgotten(http, live):
    async with http.stream("GET", "/streams/demo/events") as response:
        await read_until(response.aiter_lines(), '"state"')
        assert len(live.stream("demo").listeners) == 1
    await until(lambda: not live.stream("demo").listeners, 5, "listener forgotten")


async def test_a_server_told_to_stop_ends_its_listeners_and_its_live_layer(live, settings):
    async with serving(settings, live.open) as http, http.stream("GET", "/streams/demo/events") as response:
        await read_until(response.aiter_lines(), '"state"')
        assert not live.closed
        # leaving the block tells the server to stop while the listener is connected; it must end, and soon
    assert live.closed and live.stream("demo").listeners == []
