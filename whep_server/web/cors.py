"""CORS on every reply, errors and event streams included: players run on other people's pages.

``*`` and never credentials, until origins are named: what protects a session is the capability in its URL. Litestar's
own CORS middleware is not used, because it answers OPTIONS before a handler can say ``Accept-Post``, and speaks only to
requests with an Origin.
"""

from collections.abc import Mapping
from typing import Final

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.types import Message, Scope

from whep_server.settings import Settings

ALLOW_METHODS: Final = "POST, PATCH, DELETE, OPTIONS, GET, HEAD"
ALLOW_ORIGIN: Final = "Access-Control-Allow-Origin"
COMMON: Final = {
    "Access-Control-Allow-Methods": ALLOW_METHODS,
    # ETag: one player sends it where If-Match is meant, and its preflight must pass (@eyevinn/whip-web-client)
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match, ETag, Accept",
    # Allow-Methods itself is exposed because @eyevinn/whip-web-client reads it to decide on trickle
    "Access-Control-Expose-Headers": (
        "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate, Access-Control-Allow-Methods"
    ),
    "Access-Control-Max-Age": "86400",
}


class Cors:
    """Whose pages may read what is answered."""

    def __init__(self, settings: Settings) -> None:
        self.origins = None if "*" in settings.cors_origins else frozenset(settings.cors_origins)
        """Those that are named; None: all."""

    def allows(self, origin: str | None) -> bool:
        """Whether an origin is named."""
        return self.origins is not None and origin is not None and origin.lower() in self.origins

    def headers(self, origin: str | None) -> Mapping[str, str]:
        """For a reply to a page of an origin. One that is not named is told nothing, so its browser keeps the reply."""
        if self.origins is None:
            return {ALLOW_ORIGIN: "*", **COMMON}
        told = {ALLOW_ORIGIN: origin, **COMMON} if origin is not None and self.allows(origin) else {}
        return {**told, "Vary": "Origin"}

    async def add(self, message: Message, scope: Scope) -> None:
        """A ``before_send`` hook: the one place that every response passes, whoever made it."""
        if message["type"] == "http.response.start":
            headers = MutableScopeHeaders.from_message(message)
            headers["X-Content-Type-Options"] = "nosniff"
            for name, value in self.headers(Headers.from_scope(scope).get("origin")).items():
                if name == "Vary":
                    headers.add(name, value)
                else:
                    headers[name] = value


Sharing = NamedDependency[SkipValidation[Cors]]
"""It, as a handler's argument."""
