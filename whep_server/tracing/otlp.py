"""Spans by OTLP over HTTP, as OpenTelemetry's SDK sends them. Loaded where an endpoint is configured, never else.

A thread of the SDK's sends them in batches. An endpoint that does not answer costs spans alone: so many wait, the
oldest are lost first, and the log says so. Other variables of OpenTelemetry (``OTEL_EXPORTER_OTLP_HEADERS``,
``OTEL_TRACES_SAMPLER``, ``OTEL_BSP_…``, ``OTEL_RESOURCE_ATTRIBUTES``) are read by the SDK.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status, StatusCode, Tracer, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from whep_server import __version__
from whep_server.tracing.spans import Carrier, Span

logger = logging.getLogger(__name__)

PATH: Final = "/v1/traces"
"""Of the endpoint (OpenTelemetry Protocol Exporter, "Endpoint URLs for OTLP/HTTP")."""
CLOSE_S: Final = 3.0
"""What is not sent when the server ends has so long."""


class OtlpSpans:
    """As ``Spans``."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()
        self._time = asyncio.get_running_loop().time

    def add(self, span: Span, parent: Carrier) -> None:
        """As ``Spans.add``. A parent that cannot be read is none (W3C Trace Context section 4.3)."""
        self._add(span, self._propagator.extract(parent, Context()), time.time() - self._time())

    def _add(self, span: Span, context: Context, offset_s: float) -> None:
        begun = self._tracer.start_span(
            span.name,
            context,
            attributes=span.attributes,
            start_time=_nanoseconds(span.begins_s + offset_s),
        )
        for name, at_s in span.events:
            begun.add_event(name, timestamp=_nanoseconds(at_s + offset_s))
        if span.error is not None:
            begun.set_status(Status(StatusCode.ERROR, span.error))
        for part in span.parts:
            self._add(part, set_span_in_context(begun, context), offset_s)
        begun.end(_nanoseconds(span.ends_s + offset_s))


def _nanoseconds(at_s: float) -> int:
    return round(at_s * 1e9)


@asynccontextmanager
async def exporting(endpoint: str, service_name: str) -> AsyncIterator[OtlpSpans]:
    """Spans that are sent to ``endpoint``, which is without the path for traces."""
    logging.getLogger("opentelemetry.exporter").setLevel(logging.ERROR)  # below: each try again, every second or two
    resource = Resource.create({SERVICE_NAME: service_name, SERVICE_VERSION: __version__})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint.rstrip("/") + PATH)))
    try:
        yield OtlpSpans(provider.get_tracer("whep_server", __version__))
    finally:
        await _shut_down(provider)


async def _shut_down(provider: TracerProvider) -> None:
    """Send what is left. In a thread that nothing waits for at the process's end: an endpoint may keep it for long."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def send() -> None:
        provider.shutdown()
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=send, name="otlp-shutdown", daemon=True).start()
    try:
        async with asyncio.timeout(CLOSE_S):
            await done.wait()
    except TimeoutError:
        logger.warning("the last spans were not sent within %g s", CLOSE_S)
