"""Who may do what: one bearer token for watching, one for publishing, nothing asked where none is configured.

A session's URL is a capability: whoever has it may trickle into the session and end it without a token, as players do
that forget the header there; a wrong token is refused all the same. Strict mode asks for the token every time, as
RFC 9725 section 4.7.1 has clients send it.
"""

from collections.abc import Mapping
from enum import StrEnum

from whep_server.settings import Settings
from whep_server.signaling.headers import check_token, given_token
from whep_server.web.bodies import HttpRequest


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


def authorize(request: HttpRequest, settings: Settings, action: Action) -> None:
    """Errors: Unauthorized without the token, if one is configured."""
    check_token(_token(request), accepted_tokens(settings, action))


def authorize_session(request: HttpRequest, settings: Settings, action: Action) -> None:
    """Errors: Unauthorized with a wrong token; in strict mode also without one."""
    check_token(_token(request), accepted_tokens(settings, action), required=settings.strict)


def is_authorized(request: HttpRequest, settings: Settings, action: Action) -> bool:
    """Whether a request may be told what only those may know who are let in."""
    tokens = accepted_tokens(settings, action)
    return not tokens or _token(request) in tokens


def _token(request: HttpRequest) -> str | None:
    query: Mapping[str, str] = request.query_params
    return given_token(request.headers.get("authorization"), query.get("token"))
