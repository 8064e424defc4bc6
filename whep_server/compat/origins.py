"""Which paths speak as the original server did, refusals by the framework included, and its CORS there.

It let pages of any origin use any method and any header, with credentials. There are no cookies here to be misused; but
a proxy in front that asks for a login of its own had better decide on CORS itself.
"""

from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.exceptions import HTTPException
from litestar.response import Response
from litestar.types import Message, Scope

from whep_server.compat import dialect
from whep_server.web import problems
from whep_server.web.bodies import HttpRequest

PATHS: Final = frozenset(
    {"/", "/capabilities", "/chunks", "/generate", "/health", "/sessions", "/stats", "/ui", "/webrtc"}
)
PREFIXES: Final = ("/avatars/", "/chunks/", "/generate/", "/player/", "/sessions/", "/stats/", "/webrtc/")
METHODS: Final = "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def is_original(path: str) -> bool:
    """Whether a path is one of the original's, existing or not."""
    return path in PATHS or path.startswith(PREFIXES)


def refuse(request: HttpRequest, error: HTTPException) -> Response[None]:
    """What the framework refuses before a route is found: unknown paths and methods."""
    speak = dialect.from_framework if is_original(request.scope["path"]) else problems.from_framework
    return speak(request, error)


def can_be_echoed(value: str) -> bool:
    """Whether it is what a browser could have sent in a header."""
    return value.isascii() and value.isprintable()


async def open_to_all(message: Message, scope: Scope) -> None:
    """A ``before_send`` hook for after ours: what ``*`` does not allow, credentials and any header, is allowed."""
    if message["type"] != "http.response.start" or not is_original(scope["path"]):
        return
    asked = Headers.from_scope(scope)
    origin = asked.get("origin")
    if origin is None or not can_be_echoed(origin):
        return
    headers = MutableScopeHeaders.from_message(message)
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Allow-Methods"] = METHODS
    headers.add("Vary", "Origin")
    wanted = asked.get("access-control-request-headers")
    if wanted is not None and can_be_echoed(wanted):
        headers["Access-Control-Allow-Headers"] = wanted
