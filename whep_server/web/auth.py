"""Who may do what: one bearer token for watching, one for publishing, nothing asked where none is configured.

A session's URL is a capability: whoever has it may trickle into the session and end it without a token, as players do
that forget the header there; a wrong token is refused all the same. Strict mode asks for the token every time, as
RFC 9725 section 4.7.1 has clients send it.

Scripts in browsers can set no header of a WebSocket: there the token may also stand among the subprotocols that are
offered, in base64url, as ``bearer.…``, and so out of the URL. Kubernetes' API server has it likewise.
"""

import base64
import binascii
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

from litestar import WebSocket

from whep_server.settings import Settings
from whep_server.signaling.headers import check_token, given_token
from whep_server.web.bodies import HttpRequest, Socket

OFFERED: Final = "bearer."


class Action(StrEnum):
    """What a token allows."""

    WATCH = "watch"
    PUBLISH = "publish"
    """To make the avatar speak, and to put it on and off the air; who may do that may watch."""


def accepted_tokens(settings: Settings, action: Action) -> tuple[str, ...]:
    """The tokens that allow an action; none where everybody may."""
    watch, publish = settings.watch_token.get_secret_value(), settings.publish_token.get_secret_value()
    if action is Action.PUBLISH:
        return (publish,) if publish else ()
    return tuple(token for token in (watch, publish) if token) if watch else ()


def authorize(request: HttpRequest | Socket, settings: Settings, action: Action) -> None:
    """Errors: Unauthorized without the token, if one is configured."""
    check_token(_token(request), accepted_tokens(settings, action))


def authorize_session(request: HttpRequest, settings: Settings, action: Action) -> None:
    """Errors: Unauthorized with a wrong token; in strict mode also without one."""
    check_token(_token(request), accepted_tokens(settings, action), required=settings.strict)


def is_authorized(request: HttpRequest, settings: Settings, action: Action) -> bool:
    """Whether a request may be told what only those may know who are let in."""
    tokens = accepted_tokens(settings, action)
    return not tokens or _token(request) in tokens


def _token(request: HttpRequest | Socket) -> str | None:
    query: Mapping[str, str] = request.query_params
    offered = offered_token(request.scope["subprotocols"]) if isinstance(request, WebSocket) else None
    return given_token(request.headers.get("authorization"), offered or query.get("token"))


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
