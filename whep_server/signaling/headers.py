"""HTTP headers of WHEP and WHIP sessions: entity tags, links, locations. Pure."""

import re
import secrets
from typing import Final

from whep_server.errors import PreconditionFailed

WILDCARDS: Final = frozenset({"*", '"*"'})
"""Both specifications' figures print the wildcard with quotes; some players send it bare, some quoted."""
_TAG: Final = re.compile(r'(?:W/)?"[^"]*"|\*')


def new_session_id() -> str:
    """A capability: 192 random bits, url-safe."""
    return secrets.token_urlsafe(24)


def new_etag() -> str:
    """A strong entity tag that names one ICE session."""
    return f'"{secrets.token_urlsafe(16)}"'


def check_if_match(if_match: str | None, etag: str) -> None:
    """Decide whether a PATCH may proceed; leniently, since several players send no If-Match at all.

    Errors: PreconditionFailed (412) where it names another ICE session.
    """
    if if_match is None or if_match.strip() in WILDCARDS:
        return
    tags = _TAG.findall(if_match) or [f'"{if_match.strip()}"']  # a bare tag without quotes is meant as one
    if etag not in tags and not WILDCARDS & set(tags):
        raise PreconditionFailed("If-Match names another ICE session")


def session_location(base_path: str, protocol: str, stream: str, session_id: str) -> str:
    """Path-absolute Location of a session, without query: what every known player can resolve."""
    return f"{base_path.rstrip('/')}/{protocol}/{stream}/{session_id}"


def ice_server_link(url: str, username: str | None = None, credential: str | None = None) -> str:
    """One ``Link`` value for one ICE server (RFC 9725 section 4.6); its parts in the order naive parsers expect."""
    parts = [f"<{url}>", 'rel="ice-server"']
    if username is not None and credential is not None:
        parts += [f'username="{username}"', f'credential="{credential}"', 'credential-type="password"']
    return "; ".join(parts)
