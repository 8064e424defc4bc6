"""Requests whose head does not come: a connection has so long for it, is told so (408) and closed.

Uvicorn waits for ever for the rest of a head, and each such connection is an open file ("Slowloris"). A body has
patience of its own (``web/bodies.py``), a connection between two requests has uvicorn's. Relied on, read at uvicorn
0.54: that ``data_received`` parses, that the parser's callbacks are methods here, and what ``cycle`` is.
"""

import asyncio
from typing import Final

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from whep_server.errors import TooSlow
from whep_server.web.problems import MEDIA_TYPE, Problem

HEAD_S: Final = 10.0
"""From the connection, or from the first byte after a response; a head is one packet, or a few."""
GOODBYE_S: Final = 0.5
"""What who is idle at the server's end has to answer TLS's goodbye."""


class PatientProtocol(HttpToolsProtocol):
    """One connection; see the module."""

    _deadline: asyncio.TimerHandle | None = None
    _begun = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """The head of its first request is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """What comes while nothing is being answered is a further request's."""
        if self.cycle is not None and self.cycle.response_complete:
            self._await_head()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Its first byte has come."""
        self._begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._stop_waiting()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """The server ends. TLS says goodbye both ways, and a client that reads nothing just now does not answer."""
        super().shutdown()
        if self.transport.is_closing() and self.transport.get_extra_info("sslcontext") is not None:
            self.loop.call_later(GOODBYE_S, self._go_without)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _go_without(self) -> None:
        if not self.transport.get_write_buffer_size():
            self.transport.abort()

    def _await_head(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_S, self._give_up)

    def _stop_waiting(self) -> None:
        self._begun = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        if self._begun and not self.transport.is_closing():
            self.transport.write(_refusal())
        self.transport.close()


def _refusal() -> bytes:
    error = TooSlow("the rest of the request's head did not come")
    body = msgspec.json.encode(Problem(error.title, error.status, error.detail, error.detail))
    lines = (f"HTTP/1.1 {error.status} {error.title}", f"Content-Type: {MEDIA_TYPE}", f"Content-Length: {len(body)}")
    return "\r\n".join((*lines, "Connection: close", "", "")).encode() + body
