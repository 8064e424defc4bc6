"""The header lines of a WHEP (and WHIP) reply: what an endpoint and a session say beside the SDP. Pure.

Sources: RFC 9725 sections 4.1 to 4.6; draft-ietf-wish-whep-04 sections 4.1 to 4.5 and 4.8.
"""

from collections.abc import Mapping, Sequence
from typing import Final

SDP: Final = "application/sdp"
FRAGMENT: Final = "application/trickle-ice-sdpfrag"
ENDPOINT_METHODS: Final = "POST, OPTIONS, GET, HEAD"
SESSION_METHODS: Final = "PATCH, DELETE, OPTIONS, GET, HEAD"
HeaderLines = list[tuple[str, str]]
"""Headers in order; a name may come twice: naive players want one ``Link`` line a server."""


def created_headers(location: str, etag: str, links: Sequence[str]) -> HeaderLines:
    """The 201: where the session is, its ICE session's tag, how to trickle, ICE servers and extensions."""
    lines = [("Location", location), ("ETag", etag), ("Accept-Patch", FRAGMENT)]
    return lines + [("Link", link) for link in links]


def options_headers(request: Mapping[str, str], methods: str, links: Sequence[str]) -> HeaderLines:
    """The answer to OPTIONS: ``Accept-Post`` always, as LDP has it.  [I-EP-11] [E-EP-14]

    A browser's preflight gets no ``Link``: it must cost no credentials (RFC 9725 4.6). A preflight is told by its two
    headers, as the Fetch standard defines it. Others get ICE servers, and no other ``Link``: one player takes any for
    an error.  [I-EP-24] [I-EP-25]
    """
    lines = [("Allow", methods)]
    if methods == ENDPOINT_METHODS:
        lines.append(("Accept-Post", SDP))
    else:
        lines.append(("Accept-Patch", FRAGMENT))
    preflight = "origin" in request and "access-control-request-method" in request
    return lines if preflight else lines + [("Link", link) for link in links]
