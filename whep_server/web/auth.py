"""The door: each request passes it before its handler; the table of rules says what it needs (``web/permissions.py``).

A session's URL is a capability: whoever has it may trickle into the session and end it without a token, as players do
that forget the header there; a wrong token is refused all the same. One that was right and has expired is taken there:
a player sends it as long as it plays, and must be able to end what it began. Strict mode asks for a good token with
every change, as RFC 9725 section 4.7.1 has clients send it.

A token in a URL is read by whoever reads a proxy's log. So it is taken from ``?token=`` only where a browser can set no
header: what is read by ``GET`` (event streams, films, downloads), WebSockets, and where a client is given nothing but
an address (WHEP and WHIP endpoints). For a WebSocket it may also stand among the subprotocols that are offered, in
base64url, as ``bearer.…``, and so out of the URL. Kubernetes' API server has it likewise.
"""

import base64
import binascii
import time
from collections import Counter
from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from litestar import WebSocket
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.params import SkipValidation
from litestar.types import ASGIApp, Receive, Send
from litestar.types import Scope as AsgiScope

from whep_server.errors import Forbidden, ServerError, TooMany, Unauthorized
from whep_server.settings import Settings
from whep_server.signaling.headers import given_token
from whep_server.signaling.tokens import EVERY, Grant, Keyring, Scope, parse_secrets
from whep_server.web.bodies import HttpRequest, Socket
from whep_server.web.handshake import refuse
from whep_server.web.lease import note_lease
from whep_server.web.pace import paces
from whep_server.web.permissions import WEBSOCKET, Limit, Reach, Rule, rule_of

Connection = HttpRequest | Socket | ASGIConnection[BaseRouteHandler, object, object, State]
"""A request or a WebSocket; the last is what a guard is given, whichever it is."""

OFFERED: Final = "bearer."
READS: Final = frozenset({"GET", "HEAD", WEBSOCKET})
"""What a browser may do without a script that could set a header, or with one that cannot."""


def is_asked(settings: Settings, scope: Scope) -> bool:
    """Whether a token is needed for something at all."""
    if settings.token_secrets.get_secret_value():
        return True
    return bool((settings.watch_token if scope is Scope.WATCH else settings.publish_token).get_secret_value())


def keyring(settings: Settings) -> Keyring:
    """All tokens that are believed. The fixed one to publish with is good for everything."""
    fixed = {Scope.ADMIN: settings.publish_token, Scope.WATCH: settings.watch_token}
    return Keyring(
        parse_secrets(settings.token_secrets.get_secret_value()),
        [(token.get_secret_value(), Grant(frozenset({scope}), EVERY)) for scope, token in fixed.items()],
    )


class Crowd(ASGIMiddleware):
    """How many requests each address has under way: uploads, event streams and WebSockets for as long as they last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    async def handle(self, scope: AsgiScope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Count one while it lasts."""
        address = _address(scope)
        self._open[address] += 1
        try:
            await next_app(scope, receive, send)
        finally:
            self._open[address] -= 1
            if not self._open[address]:
                del self._open[address]

    def check(self, address: str) -> None:
        """Errors: TooMany; the request that asks is counted already."""
        if self._open[address] > self._most:
            raise TooMany("too many requests of this address are under way")


class Door:
    """Who is let in; one for an application."""

    def __init__(self, settings: Settings) -> None:
        self.crowd = Crowd(settings.max_open_requests)
        self._settings = settings
        self._keys = keyring(settings)
        self._paces = paces(settings)

    async def guard(self, connection: Connection, _: BaseRouteHandler) -> None:
        """What Litestar calls before each handler.

        Errors: Unauthorized, Forbidden, TooMany; a WebSocket is told what any other request is told.
        """
        try:
            self.admit(connection)
        except ServerError as error:
            if connection.scope["type"] == ScopeType.WEBSOCKET:
                await refuse(connection.send, error, connection.app.state["cors"].headers(origin_of(connection)))
            raise

    def admit(self, connection: Connection) -> None:
        """Count it, and look at its token. Errors: Unauthorized, Forbidden, TooMany."""
        method = _method(connection)
        rule = rule_of(method, connection.scope["path_template"])
        if rule.scope is None:
            return
        address = _address(connection.scope)
        self.crowd.check(address)
        self._paces[rule.limit].take(address, time.monotonic())
        self._check_origin(connection)
        stream = connection.path_params[rule.stream] if rule.reach is Reach.ONE else None
        self._check(connection, rule, stream, in_url=rule.in_url or method in READS)

    def may(self, connection: Connection, scope: Scope, stream: str) -> bool:
        """Whether who asks may be told what only those may know who are let in."""
        try:
            self._check(connection, Rule(scope, Reach.ONE), stream, in_url=_method(connection) in READS | {"OPTIONS"})
        except (Unauthorized, Forbidden):
            return False
        return True

    def check_stream(self, connection: Connection, scope: Scope, stream: str | None) -> None:
        """For handlers that learn late which stream is meant; None: all of them. Errors: Unauthorized, Forbidden."""
        reach = Reach.ALL if stream is None else Reach.ONE
        self._check(connection, Rule(scope, reach), stream, in_url=_method(connection) in READS)

    def _check(self, connection: Connection, rule: Rule, stream: str | None, *, in_url: bool) -> None:
        if rule.scope is None or not is_asked(self._settings, rule.scope):
            return
        lenient = rule.capability and not (self._settings.strict and rule.limit is Limit.CHANGES)
        token = _token(connection, in_url=in_url)
        if token is None:
            if not lenient:
                raise Unauthorized("a bearer token is needed", scope=rule.scope)
            return
        grant = self._keys.read(token, time.time(), expired_too=lenient)
        grant.check(rule.scope, stream, anywhere=rule.reach in (Reach.ANY, Reach.LATER))
        note_lease(connection.scope, None if rule.capability else grant.until_s)

    def _check_origin(self, connection: Connection) -> None:
        """CORS keeps no page from a WebSocket. Errors: Forbidden for one of a page of another origin."""
        origin, allowed = origin_of(connection), self._settings.cors_origins
        if connection.scope["type"] != ScopeType.WEBSOCKET or origin is None or "*" in allowed:
            return
        ours = {connection.headers.get("host", ""), urlsplit(self._settings.public_url).netloc}
        own = urlsplit(origin).netloc in ours - {""}  # "null" has none
        if not own and origin.lower() not in allowed:
            raise Forbidden("pages of this origin may not connect here")


DoorKept = NamedDependency[SkipValidation[Door]]
"""The door, as a handler's argument."""


def origin_of(connection: Connection) -> str | None:
    """The page's that asks; None for what is no page's."""
    return connection.headers.get("origin")


def _method(connection: Connection) -> str:
    """A WebSocket has none."""
    return str(connection.scope.get("method", WEBSOCKET))


def _address(scope: AsgiScope) -> str:
    """Where a request comes from."""
    client = scope.get("client")
    return client[0] if client is not None else ""


def _token(connection: Connection, *, in_url: bool) -> str | None:
    offered = offered_token(connection.scope["subprotocols"]) if isinstance(connection, WebSocket) else None
    query = connection.query_params.get("token") if in_url else None
    return given_token(connection.headers.get("authorization"), offered or query)


def offered_token(subprotocols: Iterable[str]) -> str | None:
    """The token among the subprotocols of a WebSocket; one that cannot be read is a wrong one."""
    for offered in subprotocols:
        if offered.startswith(OFFERED):
            encoded = offered.removeprefix(OFFERED)
            try:
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
            except (binascii.Error, UnicodeError, ValueError):
                return encoded
    return None
