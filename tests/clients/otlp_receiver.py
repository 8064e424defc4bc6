"""What spans are sent to: takes OTLP over HTTP as a collector does, and keeps what it is sent."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.clients.waiting import until


@dataclass
class Receiver:
    """See the module."""

    port: int = 0
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[ExportTraceServiceRequest]:
        return [ExportTraceServiceRequest.FromString(body) for body in list(self.bodies)]

    def spans(self) -> list[Span]:
        """All that came."""
        resources = [each for request in self.requests() for each in request.resource_spans]
        return [span for each in resources for scope in each.scope_spans for span in scope.spans]

    def of(self, utterance: str) -> Span | None:
        """The span of an utterance, as soon as it is there."""
        found = [span for span in self.spans() if attributes(span).get("whep_avatar.utterance") == utterance]
        return found[0] if found else None

    async def until(self, utterance: str, seconds: float = 20.0) -> Span:
        """The same, waited for."""
        return await until(lambda: self.of(utterance), seconds, f"the span of {utterance}")

    def parts(self, span: Span) -> dict[str, Span]:
        """Its children, by name."""
        return {each.name: each for each in self.spans() if each.parent_span_id == span.span_id}


def attributes(span: Span) -> dict[str, str | float]:
    """As plain values."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in span.attributes}


def events(span: Span) -> dict[str, int]:
    """Names, and nanoseconds since 1970."""
    return {each.name: each.time_unix_nano for each in span.events}


def handler(receiver: Receiver, path: str) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            right = self.path == path and self.headers["Content-Type"] == "application/x-protobuf"
            if right:
                receiver.headers.append(dict(self.headers))
                receiver.bodies.append(body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200 if right else 404)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  as the base class has it
            pass

    return Handler


@contextmanager
def receiving(port: int = 0, path: str = "/v1/traces") -> Iterator[Receiver]:
    """One that listens until the block is left."""
    receiver = Receiver()
    with ThreadingHTTPServer(("127.0.0.1", port), handler(receiver, path)) as server:
        receiver.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
