"""Where spans go: to the endpoint that is configured, or nowhere; OpenTelemetry is loaded for the first alone."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

from whep_server.settings import Settings
from whep_server.tracing.spans import NO_SPANS, Spans


class TracingMissing(Exception):
    """An endpoint is configured, and what sends spans is not installed."""


def check_installed(settings: Settings) -> None:
    """Errors: TracingMissing."""
    if not settings.otlp_endpoint:
        return
    try:
        import_module("whep_server.tracing.otlp")
    except ImportError as error:
        raise TracingMissing(
            f"OTEL_EXPORTER_OTLP_ENDPOINT is set, and what sends spans there is not installed ({error.name}):\n"
            "pip install 'whep-avatar[tracing]', or unset it"
        ) from error


@asynccontextmanager
async def open_spans(settings: Settings) -> AsyncIterator[Spans]:
    """Where spans go; what is not sent when the block is left has a moment for that.

    Errors: ImportError, see ``check_installed``.
    """
    if not settings.otlp_endpoint:
        yield NO_SPANS
        return
    from whep_server.tracing.otlp import exporting

    async with exporting(settings.otlp_endpoint, settings.otlp_service_name) as spans:
        yield spans
