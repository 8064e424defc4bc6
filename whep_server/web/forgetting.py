"""Has Litestar forget what it keeps of requests.

It keeps how it read them: paths, what stands in them, queries, cookies and forms, the last 1024 of each. Here nearly
every session has a path of its own, so that memory grew by a kilobyte with each viewer, for an hour or more, to no use.
Strangers make a path or a query as long as they like. And a session's path is a capability, which is not to outlive the
session by much.

Relied on, read at Litestar 2.25: the functions that are imported here have ``functools.lru_cache`` around them, and so
has the router's ``handle_routing``.
"""

from collections.abc import Iterator
from typing import Final, Protocol, cast

from litestar import Litestar
from litestar._asgi.routing_trie.traversal import parse_path_params
from litestar._kwargs.extractors import create_query_default_dict
from litestar._parsers import parse_cookie_string, parse_query_string, parse_url_encoded_form_data
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

MOST_KEPT: Final = 64
"""Requests after which all is forgotten; what is asked for again and again is mostly still known then."""


class Cache(Protocol):
    """What ``functools.lru_cache`` makes of a function, as far as it is used."""

    def cache_clear(self) -> None:
        """Forget everything."""
        ...


READERS: Final[tuple[Cache, ...]] = (
    parse_path_params,
    parse_query_string,
    parse_cookie_string,
    parse_url_encoded_form_data,
    create_query_default_dict,
)
"""What all applications of a process share."""


def caches(app: Litestar) -> Iterator[Cache]:
    """All that keep something of requests."""
    yield cast(Cache, app.asgi_router.handle_routing)
    yield from READERS


class Forgetting(ASGIMiddleware):
    """See the module."""

    def __init__(self) -> None:
        self._over = 0

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count a request, or a WebSocket, when it is over."""
        try:
            await next_app(scope, receive, send)
        finally:
            self._over += 1
            if self._over % MOST_KEPT == 0:
                for cache in caches(scope["litestar_app"]):
                    cache.cache_clear()
