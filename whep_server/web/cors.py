"""CORS on every reply, errors and event streams included: players run on other people's pages.

``*`` and never credentials: what protects a session is the capability in its URL. Litestar's own CORS middleware is not
used, because it answers OPTIONS before a handler can say ``Accept-Post``, and speaks only to requests with an Origin.
"""

from typing import Final

from litestar.datastructures import MutableScopeHeaders
from litestar.types import Message, Scope

ALLOW_METHODS: Final = "POST, PATCH, DELETE, OPTIONS, GET, HEAD"
HEADERS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": ALLOW_METHODS,
    # ETag: one player sends it where If-Match is meant, and its preflight must pass (@eyevinn/whip-web-client)
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, ETag, Accept",
    # Allow-Methods itself is exposed because @eyevinn/whip-web-client reads it to decide on trickle
    "Access-Control-Expose-Headers": (
        "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate, Access-Control-Allow-Methods"
    ),
    "Access-Control-Max-Age": "86400",
}


async def add_cors(message: Message, _: Scope) -> None:
    """A ``before_send`` hook: the one place that every response passes, whoever made it."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers[name] = value
