"""HTTP headers of WHEP and WHIP sessions: entity tags, links, locations, tokens, TURN credentials. Pure."""

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from whep_server.errors import PreconditionFailed, PreconditionMissing

WILDCARDS: Final = frozenset({"*", '"*"'})
"""Both specifications' figures print the wildcard with quotes; some players send it bare, some quoted."""
_TAG: Final = re.compile(r'(?:W/)?"[^"]*"|\*')
_SCHEME: Final = re.compile(r"bearer +", re.IGNORECASE)  # RFC 9110 section 11.1: case does not matter
EVENTS_REL: Final = "urn:ietf:params:whep:ext:core:server-sent-events"
"""The relation that advertises the server-sent events extension of WHEP."""


def new_session_id() -> str:
    """A capability: 192 random bits, url-safe.  [I-EP-33] [E-EP-24]"""
    return secrets.token_urlsafe(24)


def new_etag() -> str:
    """A strong entity tag that names one ICE session.  [I-EP-13] [E-EP-16] [I-SE-12]"""
    return f'"{secrets.token_urlsafe(16)}"'


def check_if_match(if_match: str | None, etag: str, *, strict: bool = False) -> None:
    """Decide whether a PATCH may proceed; leniently, since several players send no If-Match at all.

    [I-SE-10] [I-SE-11] [E-SE-08]

    Errors: PreconditionMissing (428) without one where ``strict``; PreconditionFailed (412) where it names another ICE
    session.
    """
    if if_match is None:
        if strict:
            raise PreconditionMissing("a PATCH needs If-Match with the session's ETag, or * to restart ICE")
        return
    tags = _TAG.findall(if_match) or [f'"{if_match.strip()}"']  # a bare tag without quotes is meant as one
    if etag not in tags and not WILDCARDS & set(tags):
        raise PreconditionFailed("If-Match names another ICE session")


def given_token(authorization: str | None, query: str | None) -> str | None:
    """The token of a request: of its Authorization header, or of ``?token=`` where it has none.

    The scheme may be missing: some publishers put the raw stream key there.  [I-EP-27]
    """
    if authorization is None:
        return query
    return _SCHEME.sub("", authorization.strip(), count=1) or None


def session_location(base: str, protocol: str, stream: str, session_id: str) -> str:
    """Location of a session, without query: path-absolute, which every known player can resolve.  [I-EP-06]

    ``base``: what is put before it, a path, or an address where the operator knows under which one clients ask.
    """
    return f"{base.rstrip('/')}/{protocol}/{stream}/{session_id}"


def ice_server_link(url: str, username: str | None = None, credential: str | None = None) -> str:
    """One ``Link`` value for one ICE server (RFC 9725 section 4.6); its parts in the order naive parsers expect.

    [I-EP-22] [I-EP-23] [E-EP-21]
    """
    parts = [f"<{url}>", 'rel="ice-server"']
    if username is not None and credential is not None:
        parts += [f'username="{username}"', f'credential="{credential}"', 'credential-type="password"']
    return "; ".join(parts)


def extension_link(path: str, rel: str, events: tuple[str, ...]) -> str:
    """One ``Link`` value for the server-sent events extension.  [I-EP-30] [E-EP-23] [X-SSE-01]"""
    return f'<{path}>; rel="{rel}"; events="{",".join(events)}"'


def turn_credentials(secret: str, user: str, expires_at_s: int) -> tuple[str, str]:
    """User name and password that a TURN server with the same secret takes until ``expires_at_s``.

    Units: seconds since 1970. Source: coturn's ``use-auth-secret`` (draft-uberti-behave-turn-rest-00).
    """
    username = f"{expires_at_s}:{user}" if user else str(expires_at_s)
    digest = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    return username, base64.b64encode(digest).decode()
