"""How the original server speaks: parameters in the query or the form, 200 for every success, errors as ``detail``.

Numbers that it never checked are clamped to what makes sense (``Params`` subclasses say how); what is no number at all
is 422 with a list of what is wrong with which parameter, in the form that its framework uses.
"""

import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Final, TypeVar

import msgspec
import pydantic
from litestar.exceptions import HTTPException
from litestar.response.base import ASGIResponse
from litestar.types import ExceptionHandlersMap

from whep_server.errors import ServerError
from whep_server.web.bodies import HttpRequest
from whep_server.web.problems import ErrorResponse, log_fault
from whep_server.web.replies import json_reply

AVATAR_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
"""What an avatar may be called, in a path or a file's name."""
REQUEST_ID: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}_(?:req|webrtc)_[0-9a-f]{8}")
"""A request to speak; the original's chunk routes took only lower-case avatar ids, its users' ids have more."""

TAGS: Final = ("Original: service", "Original: avatars", "Original: chunks", "Original: WebRTC")
"""Groups of routes in the API's description (``web/describe.py``)."""
SERVICE, AVATARS, CHUNKS, WEBRTC = TAGS
MOST_BATCH: Final = 64
CHUNK_S: Final = (0.5, 30.0)

Model = TypeVar("Model", bound="Params")


def _clamp_batch(size: int) -> int:
    return min(max(size, 1), MOST_BATCH)


def _clamp_chunk(seconds: float) -> int | float:
    held = min(max(seconds, CHUNK_S[0]), CHUNK_S[1])
    return int(held) if held == int(held) else held


FrameRate = Annotated[
    int, pydantic.Field(gt=0, description="Frames a second; the nearest of 10, 15, 20, 25 and 30 is served")
]
BatchSize = Annotated[
    int,
    pydantic.AfterValidator(_clamp_batch),
    pydantic.Field(description=f"Held to 1 to {MOST_BATCH}, told back, and of no effect"),
]
ChunkSeconds = Annotated[
    float,
    pydantic.Field(allow_inf_nan=False, description=f"Seconds in a chunk, held to {CHUNK_S[0]} to {CHUNK_S[1]}"),
    pydantic.AfterValidator(_clamp_chunk),
]
"""A whole number of seconds is an integer; halves, which the original's own page offers and it refused, are taken."""


class Params(pydantic.BaseModel):
    """Parameters of a route: scalars of the query or the form. Names that are not known are ignored."""

    model_config = pydantic.ConfigDict(extra="ignore", frozen=True)


class Deleted(msgspec.Struct, frozen=True):
    """The session is no more."""

    session_id: str
    status: str = "deleted"


class Invalid(ServerError):
    """Parameters that are missing or not what they should be; told one by one."""

    status, title = 422, "Invalid parameters"

    def __init__(self, items: list[dict[str, object]]) -> None:
        super().__init__("; ".join(f"{item['loc']}: {item['msg']}" for item in items))
        self.items = items


def missing(where: str, name: str) -> Invalid:
    """A parameter that has to be there and is not; ``where`` is query, path or body."""
    return Invalid([{"type": "missing", "loc": [where, name], "msg": "Field required", "input": None}])


def read_params(model: type[Model], request: HttpRequest, form: Mapping[str, str] | None = None) -> Model:
    """The parameters of a request: those of the query count before those of the form. Errors: Invalid."""
    query: Mapping[str, str] = request.query_params
    try:
        return model.model_validate({**(form or {}), **query})
    except pydantic.ValidationError as error:
        raise Invalid(_items(error, "query")) from None


def parse_json(model: type[Model], body: bytes) -> Model:
    """A JSON body. Errors: Invalid."""
    try:
        return model.model_validate_json(body)
    except pydantic.ValidationError as error:
        raise Invalid(_items(error, "body")) from None


def _items(error: pydantic.ValidationError, where: str) -> list[dict[str, object]]:
    found = error.errors(include_url=False, include_context=False)
    return [{"type": item["type"], "loc": [where, *item["loc"]], "msg": item["msg"]} for item in found]


def new_id(prefix: str) -> str:
    """``prefix`` and 8 hexadecimal digits."""
    return f"{prefix}{secrets.token_hex(4)}"


def ok(request: HttpRequest, content: object, headers: Mapping[str, str] | None = None) -> ASGIResponse:
    """A success: 200, JSON."""
    return json_reply(request, content, headers=list((headers or {}).items()))


def detailed(status: int, detail: object, headers: Mapping[str, str]) -> ErrorResponse:
    """An error: ``detail`` and nothing beside it."""
    return ErrorResponse(status, {"detail": detail}, headers, "application/json")


def from_server_error(request: HttpRequest, error: ServerError) -> ErrorResponse:
    """Errors of ours know their answer."""
    if isinstance(error, Invalid):
        return detailed(error.status, error.items, error.headers)
    if type(error) is ServerError:
        return from_unexpected(request, error)
    return detailed(error.status, error.detail, error.headers)


def from_framework(request: HttpRequest, error: HTTPException) -> ErrorResponse:
    """What the framework refuses."""
    if error.status_code >= 500:
        return from_unexpected(request, error)
    return detailed(error.status_code, error.detail, error.headers or {})


def from_unexpected(request: HttpRequest, error: Exception) -> ErrorResponse:
    """A fault of ours."""
    log_fault(request, error)
    return detailed(500, "Internal Server Error", {})


HANDLERS: Final[ExceptionHandlersMap] = {
    ServerError: from_server_error,
    HTTPException: from_framework,
    Exception: from_unexpected,
}
"""For the router that all routes of this package hang on."""
