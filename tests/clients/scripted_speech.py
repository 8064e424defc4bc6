"""A speech endpoint as OpenAI's contract has it, on a free port of 127.0.0.1, which a test can make misbehave."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from tests.clients.waiting import until

Body = Iterable[bytes | asyncio.Event]
"""What is sent, piece by piece; it waits for each event."""


@dataclass
class Reply:
    """One answer."""

    body: Body = ()
    status: int = 200
    content_type: str | None = "audio/pcm"
    ends: bool = True
    """Else the connection is closed in the middle."""


@dataclass
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]


@dataclass
class ScriptedSpeech:
    """Answers with ``reply``; keeps what it was asked."""

    reply: Reply = field(default_factory=Reply)
    asked: list[Asked] = field(default_factory=list)
    sent: int = 0
    """Bytes of sound that were given to the network, of all answers."""
    answering: int = 0
    """Requests that are being answered."""
    gone: int = 0
    """Requests whose sender went away before the end of the answer."""
    url: str = ""

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        assert scope["type"] == "http"
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append(Asked(scope["path"], headers, json.loads(body or "{}")))
        self.answering += 1
        answer = asyncio.ensure_future(self._answer(self.reply, send))
        leaving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait({answer, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                answer.result()
            else:
                self.gone += 1
        finally:
            self.answering -= 1
            answer.cancel()
            leaving.cancel()

    async def _answer(self, reply: Reply, send: ASGISendCallable) -> None:
        kind = [(b"content-type", reply.content_type.encode())] if reply.content_type else []
        await send({"type": "http.response.start", "status": reply.status, "headers": kind})
        for piece in reply.body:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            self.sent += len(piece)
        if not reply.ends:
            raise ConnectionAbortedError  # the server closes the connection
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@asynccontextmanager
async def scripted_speech() -> AsyncIterator[ScriptedSpeech]:
    """A running endpoint; its ``url`` is what the settings want."""
    app = ScriptedSpeech()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=1))
    with server.config.bind_socket() as listener:
        app.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server._serve([listener]))  # serve() would take the signal handlers
            await until(lambda: server.started or running.done(), 10, "endpoint started")
            try:
                yield app
            finally:
                server.should_exit = True
