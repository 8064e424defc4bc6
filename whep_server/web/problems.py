"""Every error as problem details (RFC 9457), with one more member, ``error``, which one family of players reads.

[I-EP-02]

Nothing else in the server writes a status of 4xx or 5xx into a response. Unexpected errors are logged here, once, with
their traceback; the caller learns nothing of them.
"""

import http
import logging
from collections.abc import Mapping
from typing import Final, cast

import msgspec
from litestar import Response
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse
from litestar.types import ExceptionHandlersMap, Message, Send

from whep_server.errors import ServerError
from whep_server.web.bodies import EarlyResponse, HttpRequest, Upload

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
PASSED_ON: Final = frozenset({"allow", "retry-after", "www-authenticate"})
"""Headers of the framework's own errors that mean something to the caller."""


class Problem(msgspec.Struct, frozen=True, omit_defaults=False):
    """The body of an error."""

    title: str
    status: int
    detail: str
    error: str
    type: str = "about:blank"


class ErrorResponse(Response[None]):
    """An error's JSON; made an early response where the request's body is still coming."""

    def __init__(self, status: int, error: object, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(None, status_code=status, headers=dict(headers), media_type=media_type)
        self.error = error

    def to_asgi_response(self, *_: object, request: HttpRequest, **__: object) -> ASGIResponse:  # type: ignore[override]  # what the framework would resolve is not wanted here
        """The bytes to send."""
        head = request.method == "HEAD"
        upload = request.scope["state"].get("upload")
        early = isinstance(upload, Upload) and not upload.complete
        response = (EarlyResponse if early else ASGIResponse)(
            body=b"" if head else msgspec.json.encode(self.error),
            status_code=self.status_code,
            headers=self.headers | ({"Connection": "close"} if early else {}),
            media_type=self.media_type,
            is_head_response=head,
        )
        if isinstance(response, EarlyResponse) and isinstance(upload, Upload):
            response.upload = upload
        return response


def problem(status: int, title: str, detail: str, headers: Mapping[str, str]) -> ErrorResponse:
    """The response that tells a problem."""
    return ErrorResponse(status, Problem(title, status, detail, detail), headers, MEDIA_TYPE)


def from_server_error(_: HttpRequest, error: ServerError) -> ErrorResponse:
    """Errors of ours know their answer."""
    if error.status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return from_unexpected(_, error)
    return problem(error.status, error.title, error.detail, error.headers)


def from_framework(_: HttpRequest, error: HTTPException) -> ErrorResponse:
    """Unknown paths and methods, and whatever else the framework refuses."""
    if error.status_code >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return from_unexpected(_, error)
    title = http.HTTPStatus(error.status_code).phrase.capitalize()
    headers = {name: value for name, value in (error.headers or {}).items() if name.lower() in PASSED_ON}
    return problem(error.status_code, title, error.detail or title, headers)


def from_unexpected(request: HttpRequest, error: Exception) -> ErrorResponse:
    """A fault of ours."""
    log_fault(request, error)
    return problem(500, ServerError.title, "the server made a mistake; its log says more", {})


async def refuse_handshake(send: Send, refusal: Problem, headers: Mapping[str, str]) -> None:
    """Answer what asks for a WebSocket as any other request is answered (ASGI's Websocket Denial Response)."""
    lines = [(name.encode(), value.encode()) for name, value in {**headers, "Content-Type": MEDIA_TYPE}.items()]
    start = {"type": "websocket.http.response.start", "status": refusal.status, "headers": lines}
    body = {"type": "websocket.http.response.body", "body": msgspec.json.encode(refusal)}
    for message in (start, body):
        await send(cast(Message, message))  # the framework's types know no such messages


def log_fault(request: HttpRequest, error: Exception) -> None:
    """Once, with its traceback."""
    route = request.scope.get("path_template", "?")  # never the path: it may hold a session's capability
    logger.error("%s %s failed", request.method, route, exc_info=error)


HANDLERS: Final[ExceptionHandlersMap] = {
    ServerError: from_server_error,
    HTTPException: from_framework,
    Exception: from_unexpected,
}
