"""WebSockets that are refused: with the status and the body that any other request gets.

A script in a browser learns neither; it may ask by a plain ``GET`` of the same URL, which is refused likewise.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from litestar.datastructures import Headers
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from whep_server.errors import ServerError
from whep_server.web.cors import Cors
from whep_server.web.problems import Problem, refuse_handshake

LINGER_S: Final = 1.0


async def refuse(send: Send, error: ServerError, headers: Mapping[str, str]) -> None:
    """Instead of accepting it. ``headers``: CORS's."""
    problem = Problem(error.title, error.status, error.detail, error.detail)
    await refuse_handshake(send, problem, {**headers, **error.headers})


def with_refusals(app: ASGIApp, cors: Cors) -> ASGIApp:
    """404 where no route takes a WebSocket: the framework would close it, which uvicorn makes a 403 of.

    It closes also what was refused before a handler was called; that has its answer already.
    """

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await app(scope, receive, send)
            return
        first = ""

        async def answer(message: Message) -> None:
            nonlocal first
            first, unanswered = first or message["type"], not first
            if message["type"] == "websocket.close" and unanswered:
                detail, status = "there is no WebSocket at this address", HTTPStatus.NOT_FOUND
                headers = cors.headers(Headers.from_scope(scope).get("origin"))
                await refuse_handshake(send, Problem(status.phrase.capitalize(), status, detail, detail), headers)
            elif message["type"] != "websocket.close" or first == "websocket.accept":
                await send(message)

        await app(scope, receive, answer)
        if first != "websocket.accept":
            await _until_closed(receive)

    return wrapped


async def _until_closed(receive: Receive) -> None:
    """Until a refused connection is closed: uvicorn 0.54 takes who returns before for one that gave no answer."""
    closes = 0
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while closes < 2:  # the refusal counts as one, the connection's end is another
                closes += (await receive())["type"] == "websocket.disconnect"
