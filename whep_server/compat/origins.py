"""Which paths speak as the original server did, refusals by the framework included, and its CORS there.

It let pages of any origin use any method and any header, with credentials. So do we, but for credentials: a proxy in
front may have a login of its own, by cookie, which no page that we do not know may use. Origins that are named in the
settings may.
"""

from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.exceptions import HTTPException
from litestar.response import Response
from litestar.types import BeforeMessageSendHookHandler, Message, Scope

from whep_server.compat import dialect
from whep_server.web import problems
from whep_server.web.bodies import HttpRequest
from whep_server.web.cors import Cors

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


def opened(cors: Cors) -> BeforeMessageSendHookHandler:
    """A ``before_send`` hook for after ours: any header is allowed, and credentials to origins that are named."""

    async def add(message: Message, scope: Scope) -> None:
        asked = Headers.from_scope(scope)
        origin = asked.get("origin")
        known = cors.origins is None or cors.allows(origin)
        if message["type"] != "http.response.start" or not is_original(scope["path"]) or origin is None or not known:
            return
        headers = MutableScopeHeaders.from_message(message)
        headers["Access-Control-Allow-Methods"] = METHODS
        if cors.allows(origin):
            headers["Access-Control-Allow-Credentials"] = "true"
        wanted = asked.get("access-control-request-headers")
        if wanted is not None and can_be_echoed(wanted):
            headers["Access-Control-Allow-Headers"] = wanted

    return add
