"""What is traced, and whose request began it; nothing of OpenTelemetry is loaded here.

A span is described when what it is about is over, by times of the event loop's clock: nothing is kept open, and what is
not traced costs nothing. Where an endpoint is configured ``otlp`` makes OpenTelemetry's of it.

The request that spoke is the parent (W3C Trace Context). Its headers are known to its task, and to tasks that this one
begins.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Protocol

HEADERS: Final = ("traceparent", "tracestate")
"""Of a request that is part of a trace."""

Carrier = Mapping[str, str]
"""Those of them that were sent, as they were sent."""

_ASKED_BY: Final[ContextVar[Carrier]] = ContextVar("asked_by", default=MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Span:
    """What took a while. Units: seconds of the event loop's clock."""

    name: str
    begins_s: float
    ends_s: float
    attributes: Mapping[str, str | float] = field(default_factory=dict)
    events: tuple[tuple[str, float], ...] = ()
    """What happened meanwhile, and when."""
    error: str | None = None
    """Why it failed; None where it did not."""
    parts: tuple["Span", ...] = ()


class Spans(Protocol):
    """Where they go."""

    def add(self, span: Span, parent: Carrier) -> None:
        """Take one with its parts; never waits. ``parent``: of the request that began it."""
        ...


class NoSpans:
    """Nowhere."""

    def add(self, span: Span, parent: Carrier) -> None:
        """Nothing."""


NO_SPANS: Final = NoSpans()


def begin(headers: Mapping[str, str]) -> None:
    """What all that is begun by this task from now on is asked by."""
    _ASKED_BY.set({name: headers[name] for name in HEADERS if name in headers})


@contextmanager
def asked_by(traceparent: str | None) -> Iterator[None]:
    """The same inside the block, of one who can send no header; None: as before."""
    token = _ASKED_BY.set(_ASKED_BY.get() if traceparent is None else {HEADERS[0]: traceparent})
    try:
        yield
    finally:
        _ASKED_BY.reset(token)


def parent() -> Carrier:
    """Of what is begun now."""
    return _ASKED_BY.get()
