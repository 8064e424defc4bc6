"""Spans of utterances, as a collector gets them from the real server: whose they are, and what they never say."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass

import httpx
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from tests.audio_files import tone, wav
from tests.clients.event_log import EventLog, listening
from tests.clients.otlp_receiver import Receiver, attributes, events, receiving
from tests.clients.pcm_socket import pcm_socket
from tests.clients.recording_viewer import watching
from tests.clients.server_process import ROOT, Server, environment, free_port, running_server
from tests.clients.waiting import until


def listening_to(traced: "Traced") -> AbstractAsyncContextManager[EventLog]:
    """Its events; to watch is free."""
    return listening(traced.server.base)


SECRET = "speak-7d1f0c55e2"
BEARER = {"Authorization": f"Bearer {SECRET}"}
RATE = 24_000
ENDED_S = 20.0


@dataclass
class Traced:
    """A server, and where its spans go."""

    server: Server
    port: int
    receiver: Receiver
    listening: ExitStack

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.server.base, headers=BEARER, timeout=30, trust_env=False)

    async def speak(self, seconds: float = 0.3, **headers: str) -> str:
        async with self.client() as client:
            response = await client.post("/streams/demo/speech", content=wav(tone(seconds, 440)), headers=headers)
            assert response.status_code == 202, response.text
            return str(response.json()["utterance"])


@pytest.fixture(scope="module")
def traced() -> Iterator[Traced]:
    port = free_port()
    small = {"width": "512", "height": "512", "fps": "10", "publish_token": SECRET}
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}/")
        patch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=avatars")
        patch.setenv("OTEL_SERVICE_NAME", "talking head")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")  # ms; 5 s by default
        with running_server(log_name="traced", **small) as server:
            yield Traced(server, port, stack.enter_context(receiving(port)), stack)


def trace(last: int) -> tuple[str, bytes, bytes]:
    """A header of a sampled trace, its id, and that of the span that asks."""
    trace_id, span_id = bytes(range(1, 16)) + bytes([last]), bytes([9] * 7 + [last])
    return f"00-{trace_id.hex()}-{span_id.hex()}-01", trace_id, span_id


def assert_steps(span: Span, parts: dict[str, Span]) -> None:
    """From asked for to spoken, each step inside the whole, in order."""
    told = events(span)
    assert list(told) == sorted(told, key=told.__getitem__)
    assert span.start_time_unix_nano <= told["accepted"] <= told["heard"] <= span.end_time_unix_nano
    for part in parts.values():
        assert span.start_time_unix_nano <= part.start_time_unix_nano <= part.end_time_unix_nano
        assert part.end_time_unix_nano <= span.end_time_unix_nano
        assert part.trace_id == span.trace_id
    assert parts["wait"].end_time_unix_nano == parts["speak"].start_time_unix_nano == told["heard"]
    assert parts["speak"].end_time_unix_nano == span.end_time_unix_nano


async def test_a_file_that_is_spoken_is_a_span_of_the_trace_that_asks(traced: Traced):
    header, trace_id, asking = trace(1)
    async with watching(traced.server.whep()):
        utterance = await traced.speak(traceparent=header, tracestate="vendor=1")
        span = await traced.receiver.until(utterance)
    assert (span.name, span.trace_id, span.parent_span_id) == ("utterance", trace_id, asking)
    told = attributes(span)
    assert 0.25 < float(told.pop("whep_avatar.seconds")) < 0.4
    assert told == {
        "whep_avatar.stream": "demo",
        "whep_avatar.utterance": utterance,
        "whep_avatar.way": "spoken",
        "whep_avatar.state": "finished",
    }
    parts = traced.receiver.parts(span)
    assert set(parts) == {"upload", "decode", "wait", "first picture", "speak"}
    assert_steps(span, parts)
    assert list(events(span)) == ["accepted", "heard", "pictured", "finished"]
    assert span.status.code == Status.STATUS_CODE_UNSET
    (resource,) = {str(each.resource) for request in traced.receiver.requests() for each in request.resource_spans}
    assert "talking head" in resource and "service.version" in resource
    assert traced.receiver.headers[0]["x-tenant"] == "avatars"


async def test_each_utterance_of_a_websocket_may_be_of_another_trace(traced: Traced):
    header, trace_id, asking = trace(2)
    other, other_id, other_asking = trace(3)
    told = []
    async with pcm_socket(traced.server.base, additional_headers={**BEARER, "traceparent": header}) as socket:
        for own in ({}, {"traceparent": other}, {}, {"traceparent": "of no form that is known"}):
            begun = await socket.begin(RATE, **own)
            await socket.samples((tone(0.2, 440, RATE) * 32_767).astype("<i2").tobytes())
            await socket.say("commit")
            await socket.until("finished")
            told.append(await traced.receiver.until(begun["utterance"]))
    assert [(span.trace_id, span.parent_span_id) for span in told[:3]] == [
        (trace_id, asking),
        (other_id, other_asking),
        (trace_id, asking),
    ]
    assert told[3].parent_span_id == b"" and told[3].trace_id not in (trace_id, other_id)
    for span in told:
        assert attributes(span)["whep_avatar.way"] == "streamed"
        assert_steps(span, traced.receiver.parts(span))


async def test_what_is_interrupted_cancelled_or_refused_says_so(traced: Traced):
    async with listening_to(traced) as log, traced.client() as client:
        spoken = await traced.speak(20)
        await log.wait(ENDED_S, "speech", utterance=spoken, state="started")
        waiting = await traced.speak()
        assert (await client.post("/streams/demo/interrupt")).json()["dropped"] == [waiting]
        cut, dropped = await traced.receiver.until(spoken), await traced.receiver.until(waiting)
        assert "interrupted" in events(cut) and attributes(cut)["whep_avatar.state"] == "interrupted"
        assert cut.status.code == Status.STATUS_CODE_UNSET
        assert list(events(dropped)) == ["accepted", "cancelled"] and "speak" not in traced.receiver.parts(dropped)
        refused = await client.post("/streams/demo/speech", content=b"no sound of any kind", headers=BEARER)
        assert refused.status_code == 422

    def failed() -> list[Span]:
        return [span for span in traced.receiver.spans() if span.status.code == Status.STATUS_CODE_ERROR]

    (span,) = await until(failed, ENDED_S, "a span of what was refused")
    assert attributes(span)["whep_avatar.state"] == "refused" and span.status.message == refused.json()["detail"]


async def test_what_is_not_sampled_is_not_sent(traced: Traced):
    header, _, _ = trace(4)
    left_out = await traced.speak(traceparent=header[:-2] + "00")
    sent = await traced.speak()
    await traced.receiver.until(sent)
    assert traced.receiver.of(left_out) is None


async def test_an_endpoint_that_is_down_loses_no_speech_and_gets_spans_when_it_is_back(traced: Traced):
    traced.listening.close()
    async with listening_to(traced) as log:
        unseen = await traced.speak()
        await log.wait(ENDED_S, "speech", utterance=unseen, state="finished")
        with receiving(traced.port) as receiver:
            seen = await traced.speak()
            await log.wait(ENDED_S, "speech", utterance=seen, state="finished")
            await receiver.until(seen, 30)
    assert not [line for line in traced.server.log.read_text().splitlines() if "Traceback" in line]


def test_nothing_that_was_sent_is_a_secret(traced: Traced):
    sent = b"".join(traced.receiver.bodies)
    assert sent and not [word for word in (SECRET.encode(), b"Bearer", b"v=0", b"a=ice") if word in sent]


WITHOUT = "import sys; sys.modules['opentelemetry'] = None; from whep_server.__main__ import main; main()"


def test_an_endpoint_without_what_sends_ends_the_start_in_words():
    env = environment({"otlp_endpoint": "http://127.0.0.1:4318"})
    command = [sys.executable, "-c", WITHOUT, "serve", "--port", "0"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "pip install 'whep-avatar[tracing]'" in done.stderr
    assert "Traceback" not in done.stderr and not done.stdout
