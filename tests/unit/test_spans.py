"""Spans: whose request began them, and an endpoint that swallows or refuses holds up nothing."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.clients.otlp_receiver import receiving
from tests.clients.server_process import free_port
from whep_server.settings import Settings
from whep_server.tracing.endpoint import open_spans
from whep_server.tracing.otlp import CLOSE_S
from whep_server.tracing.spans import NoSpans, Span, asked_by, begin, parent

HEADER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_a_task_and_what_it_begins_know_who_asked():
    async def asked(headers: dict[str, str]) -> tuple[object, object, object]:
        begin(headers)
        async with asyncio.TaskGroup() as group:
            within = group.create_task(asyncio.to_thread(parent))
        with asked_by("another"):
            inside = parent()
        return dict(parent()), dict(within.result()), dict(inside)

    async with asyncio.TaskGroup() as group:
        first = group.create_task(asked({"traceparent": HEADER, "tracestate": "a=1", "authorization": "secret"}))
        second = group.create_task(asked({}))
    whole = {"traceparent": HEADER, "tracestate": "a=1"}
    assert first.result() == (whole, whole, {"traceparent": "another"})
    assert second.result() == ({}, {}, {"traceparent": "another"})
    assert parent() == {}


async def test_without_an_endpoint_there_is_nothing():
    async with open_spans(Settings()) as spans:
        assert isinstance(spans, NoSpans)


@pytest.fixture(params=["closed", "silent", "wrong"])
def endpoint(request: pytest.FixtureRequest) -> Iterator[str]:
    """Nobody listens; somebody listens and never answers; it is no collector."""
    if request.param == "closed":
        yield f"http://127.0.0.1:{free_port()}"
    elif request.param == "wrong":
        with receiving(path="/elsewhere") as receiver:
            yield receiver.url
    else:
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            yield f"http://127.0.0.1:{silent.getsockname()[1]}"


async def test_more_than_fits_is_lost_and_the_end_is_bounded(endpoint: str, caplog: pytest.LogCaptureFixture):
    """More than wait at most (2048) are thrown away, at once; the last ones have a moment."""
    async with asyncio.timeout(60):
        async with open_spans(Settings(otlp_endpoint=endpoint)) as spans:
            now_s = asyncio.get_running_loop().time()
            for number in range(5000):
                spans.add(Span("utterance", now_s - 1, now_s, {"number": number}), {})
            left_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - left_s < 4 * CLOSE_S
    assert any("not sent" in each.message or "Failed to export" in each.message for each in caplog.records)
