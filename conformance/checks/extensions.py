"""X: Link headers of the 201: ICE servers and protocol extensions.

Strict makes no difference here beyond the warnings.
"""

import json
import re
from typing import Final

import httpx

from conformance.check import Check, Result, Severity, broken, check, noted, passed
from conformance.resource import Session, location_of
from conformance.target import Target, Unmet
from conformance.web_links import Link, MalformedLink, is_ice_uri, links_of

MUST, SHOULD, COMPAT = Severity.MUST, Severity.SHOULD, Severity.COMPAT
CORE: Final = "urn:ietf:params:whep:ext:core:"
EVENTS: Final = f"{CORE}server-sent-events"
LAYER: Final = f"{CORE}layer"
NAIVE_ORDER: Final = ("rel", "username", "credential", "credential-type")
"""What MediaMTX's reader matches by one regular expression."""
JSON: Final = {"Content-Type": "application/json"}


def readable_links(reply: httpx.Response) -> list[Link]:
    """The links of a reply. Errors: Unmet where they cannot be read."""
    try:
        return links_of(reply)
    except MalformedLink as error:
        raise Unmet(f"malformed Link, see X-01: {error}") from None


async def created_links(target: Target) -> list[Link]:
    """The links of the plain 201. Errors: Unmet."""
    return readable_links((await target.created()).reply)


def link_of(session: Session, rel: str) -> Link | None:
    """A session's link of a relation."""
    return next((link for link in readable_links(session.reply) if link.rel == rel), None)


def target_of(session: Session, link: Link) -> httpx.URL:
    """Where a link leads."""
    return session.reply.request.url.join(link.target)


@check(
    "X-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-22", "I-EP-23", "I-EP-30", "E-EP-21", "E-EP-23"),
    text="Every Link of the 201 parses by RFC 8288.",
)
async def links_parse(target: Target) -> Result:
    """Seen in the field: targets without <>, attributes with a colon."""
    try:
        links = links_of((await target.created()).reply)
    except MalformedLink as error:
        return broken(str(error))
    return passed(f"{len(links)} links") if links else noted("no Link")


@check(
    "X-02",
    on="both",
    severity=MUST,
    clauses=("I-EP-22", "I-EP-23", "E-EP-21"),
    text="ICE servers: URIs by RFC 7064 and RFC 7065 without //, rel ice-server, TURN with username and credential.",
)
async def ice_servers(target: Target) -> Result:
    """A stun: or turn: target counts as one whatever its rel says."""
    servers = [link for link in await created_links(target) if link.ice or link.rel == "ice-server"]
    for link in servers:
        if link.rel != "ice-server":
            return broken(f"{link.target} without rel=ice-server")
        if not is_ice_uri(link.target):
            return broken(f"no STUN or TURN URI: {link.target}")
        if link.target.startswith("turn") and not (link.get("username") and link.get("credential")):
            return broken(f"{link.target} without username and credential")
        if link.get("credential-type") not in (None, "password"):
            return broken(f"credential-type {link.get('credential-type')}")
    return passed(f"{len(servers)} servers") if servers else noted("no ICE server")


@check(
    "X-03",
    on="both",
    severity=COMPAT,
    tier=3,
    clauses=("I-EP-23", "E-EP-21"),
    text="ICE servers are safe for naive parsers: one a line, rel first, no comma or semicolon inside values.",
)
async def naive_links(target: Target) -> Result:
    """OBS splits at commas and semicolons; MediaMTX's reader wants one order."""
    reply = (await target.created()).reply
    lines = reply.headers.get_list("link")
    servers = [link for link in readable_links(reply) if link.rel == "ice-server"]
    crowded = next((line for line in lines if line.count("<") > 1), None)
    if crowded:
        return broken(f"several on one line: {crowded[:60]}")
    for link in servers:
        if re.search(r"[,;\s]", link.target + "".join(value for _, value in link.parameters)):
            return broken(f"comma, semicolon or space inside {link.target}")
        names = [name for name, _ in link.parameters]
        if names != [name for name in NAIVE_ORDER if name in names]:
            return broken(f"{link.target}: {', '.join(names)}")
    return passed(f"{len(servers)} servers") if servers else noted("no ICE server")


@check(
    "X-04",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-EP-30", "I-SE-21", "E-EP-23", "E-SE-12", "X-SSE-01"),
    text="Extensions are Links whose rel is a URN of the protocol's name space and whose target exists.",
)
async def extension_links(target: Target) -> Result:
    """Asked by OPTIONS while the session lives; what counts is that it is not 404."""
    space = f"urn:ietf:params:{target.protocol}:ext:"
    async with target.session() as session:
        others = [link for link in readable_links(session.reply) if link.rel != "ice-server" and not link.ice]
        for link in others:
            if not link.rel.startswith(space):
                return broken(f"rel {link.rel or 'missing'}: {link.target}")
            url = target_of(session, link)
            status = (await target.wire.request("OPTIONS", url)).status_code
            if url.scheme not in ("http", "https") or status in (404, 410) or status >= 500:
                return broken(f"{link.target}: {status}")
    return passed(", ".join(link.rel.removeprefix(space) for link in others)) if others else noted("no extension")


@check(
    "X-05",
    on="whep",
    severity=SHOULD,
    tier=3,
    clauses=("X-SSE-01", "X-SSE-02", "X-SSE-03", "X-SSE-07"),
    text="Events: a POST of wanted types gets 201 with Location, an unknown type 400; after DELETE the stream is 404.",
)
async def event_stream(target: Target) -> Result:
    """Only where the 201 has the Link."""
    async with target.session() as session:
        link = link_of(session, EVENTS)
        if link is None:
            raise Unmet("no server-sent events advertised")
        url = target_of(session, link)
        kinds = [kind.strip() for kind in (link.get("events") or "active").split(",") if kind.strip()]
        opened = await target.wire.request("POST", url, headers=JSON, content=json.dumps(kinds[:1]))
        unknown = await target.wire.request("POST", url, headers=JSON, content=json.dumps(["nope"]))
        stream = location_of(opened)
        if opened.status_code != httpx.codes.CREATED or stream is None:
            return broken(f"{opened.status_code} to {kinds[:1]}{'' if stream else ', no Location'}")
        if unknown.status_code != httpx.codes.BAD_REQUEST or "location" in unknown.headers:
            return broken(f"{unknown.status_code} to an unknown type")
        dropped = await target.wire.request("DELETE", stream)
        later = await target.wire.request("GET", stream) if dropped.is_success else dropped
    observed = f"201; 400; DELETE {dropped.status_code}, then {later.status_code}"
    may = not dropped.is_success or later.status_code == httpx.codes.NOT_FOUND
    return passed(observed) if may else broken(observed)


@check(
    "X-07",
    on="whep",
    severity=SHOULD,
    tier=3,
    clauses=("X-LAY-01", "X-LAY-02"),
    text="Layers: only together with events that list `layers`; a POST of {} gets 2xx or 4xx.",
)
async def layers(target: Target) -> Result:
    """Only where the 201 has the Link."""
    async with target.session() as session:
        link, events = link_of(session, LAYER), link_of(session, EVENTS)
        if link is None:
            raise Unmet("no layer selection advertised")
        if events is None or "layers" not in (events.get("events") or "").split(","):
            return broken("without events that list layers")
        reply = await target.wire.request("POST", target_of(session, link), headers=JSON, content="{}")
    answered = reply.is_success or reply.is_client_error
    return passed(f"{reply.status_code}") if answered else broken(f"{reply.status_code}")


CHECKS: Final[tuple[Check, ...]] = (links_parse, ice_servers, naive_links, extension_links, event_stream, layers)
