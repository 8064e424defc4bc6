"""WebSockets that are refused: with the status and the body that any other request gets.

A script in a browser learns neither; it may ask by a plain ``GET`` of the same URL, which is refused likewise.
"""

from http import HTTPStatus

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from whep_server.errors import ServerError
from whep_server.web.cors import HEADERS
from whep_server.web.problems import Problem, refuse_handshake


async def refuse(send: Send, error: ServerError) -> None:
    """Instead of accepting it."""
    problem = Problem(error.title, error.status, error.detail, error.detail)
    await refuse_handshake(send, problem, {**HEADERS, **error.headers})


def refuse_unknown(app: ASGIApp) -> ASGIApp:
    """404 where no route takes a WebSocket: the framework would close it, which uvicorn makes a 403 of."""

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.WEBSOCKET:
            await app(scope, receive, send)
            return
        answered = False

        async def answer(message: Message) -> None:
            nonlocal answered
            if message["type"] == "websocket.close" and not answered:
                detail, status = "there is no WebSocket at this address", HTTPStatus.NOT_FOUND
                await refuse_handshake(send, Problem(status.phrase.capitalize(), status, detail, detail), HEADERS)
            else:
                await send(message)
            answered = True

        await app(scope, receive, answer)

    return wrapped
