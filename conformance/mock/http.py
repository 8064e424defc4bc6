"""Requests and replies as data, and the ASGI shell around a handler of them."""

from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

Scope = MutableMapping[str, Any]  # ASGI's own types, which are as loose
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent."""

    method: str
    path: str
    """As sent, still percent-encoded."""
    headers: Lines
    body: bytes

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def media_type(self) -> str:
        """Of ``Content-Type``, without parameters; empty where there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server says."""

    status: int
    headers: Lines = ()
    body: bytes = b""
    stream: AsyncIterator[bytes] | None = None
    """Instead of a body: what is sent bit by bit until it ends."""

    def header(self, name: str) -> str | None:
        """The first value of a header."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


Handler = Callable[[Request], Awaitable[Reply]]


class Application:
    """The ASGI application of a handler."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection's request; lifespan events are ignored."""
        if scope["type"] != "http":
            return
        raw = scope.get("raw_path") or scope["path"].encode()
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
        path = raw.decode("latin-1").partition("?")[0]
        reply = await self.handler(Request(scope["method"], path, headers, await _read(receive)))
        await _write(reply, send, head=scope["method"] == "HEAD")


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


async def _write(reply: Reply, send: Send, *, head: bool) -> None:
    lines = list(reply.headers)
    if reply.stream is None and reply.status != 204:
        lines.append(("Content-Length", str(len(reply.body))))
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    await send({"type": "http.response.start", "status": reply.status, "headers": encoded})
    if reply.stream is not None and not head:
        async with aclosing(reply.stream) as chunks:  # type: ignore[type-var]  # generators all, which have aclose
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b"" if head else reply.body, "more_body": False})
