"""D: what an endpoint says of itself, other methods than POST, and what a browser on another site may see.

Strict makes no difference here beyond the warnings.
"""

from collections.abc import Sequence
from typing import Final

import httpx

from conformance.canned import SDP
from conformance.check import Check, Result, Severity, broken, check, noted, passed, skipped, warned
from conformance.resource import media_type
from conformance.target import Target
from conformance.web_links import MalformedLink, links_of

MUST, SHOULD, COMPAT = Severity.MUST, Severity.SHOULD, Severity.COMPAT
EVIL: Final = "https://evil.example"
CHANGING: Final = frozenset({"date", "age", "connection", "keep-alive", "transfer-encoding", "content-length"})
"""Header names that HEAD need not repeat, or that belong to the connection (RFC 9110 9.3.2)."""
MISSPELT: Final = ("access-post", "acceptpost")


def listed(reply: httpx.Response, name: str) -> set[str]:
    """The comma-separated values of a header, lower case."""
    return {part.strip().lower() for part in reply.headers.get(name, "").split(",") if part.strip()}


async def preflight(target: Target, url: httpx.URL, method: str, names: Sequence[str]) -> httpx.Response:
    """What a browser asks before a request across sites; it carries no credentials."""
    headers = {
        "Origin": target.options.origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": ",".join(sorted(names)),
    }
    return await target.wire.request("OPTIONS", url, headers=headers, auth=False)


def judge_preflight(target: Target, reply: httpx.Response, method: str, names: Sequence[str]) -> Result:
    """By the Fetch standard, sections 3.2.3 and 4.9: POST needs no permission, ``*`` does not cover Authorization."""
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    if reply.headers.get("access-control-allow-origin") not in ("*", target.options.origin):
        return broken(f"Allow-Origin: {reply.headers.get('access-control-allow-origin', 'none')}")
    methods, headers = listed(reply, "access-control-allow-methods"), listed(reply, "access-control-allow-headers")
    if method != "POST" and not methods & {method.lower(), "*"}:
        return broken(f"Allow-Methods: {', '.join(sorted(methods)) or 'none'}")
    missing = [name for name in names if name not in headers and "*" not in headers]
    if missing:
        return broken(f"not allowed: {', '.join(missing)}")
    if "authorization" in names and "authorization" not in headers:
        return warned("Allow-Headers: * does not cover Authorization")
    return passed(f"{reply.status_code}, {method} and {', '.join(names) or 'no header'} allowed")


@check(
    "D-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-01", "E-EP-01"),
    text="GET on the endpoint gives 2xx without content (405 was right in old drafts).",
)
async def endpoint_get(target: Target) -> Result:
    """For a person who opens the address in a browser."""
    reply = await target.wire.request("GET", target.url)
    if reply.status_code == httpx.codes.METHOD_NOT_ALLOWED:
        return passed("405, as its draft says") if target.old else broken("405: as in old drafts")
    return _empty_success(reply)


def _empty_success(reply: httpx.Response) -> Result:
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    size = len(reply.content)
    return broken(f"{reply.status_code} with {size} bytes") if size else passed(f"{reply.status_code}, empty")


@check(
    "D-02",
    on="whep",
    severity=SHOULD,
    clauses=("E-EP-02",),
    text="HEAD on the endpoint gives 200 typed application/sdp: so players discover WHEP.",
)
async def endpoint_head(target: Target) -> Result:
    """The old draft has no such thing."""
    if target.old:
        return skipped("not in murillo-01")
    reply = await target.wire.request("HEAD", target.url)
    if reply.status_code != httpx.codes.OK:
        return broken(f"{reply.status_code}")
    kind = reply.headers.get("content-type", "no Content-Type")
    return passed(f"200, {kind}") if media_type(reply) == SDP else broken(f"200, {kind}")


@check(
    "D-03",
    on="whep",
    severity=MUST,
    tier=3,
    clauses=("E-EP-03",),
    text="HEAD and GET on the endpoint: same status, same header names, Content-Length equal where both send it.",
)
async def head_like_get(target: Target) -> Result:
    """Date and headers of the connection are left out."""
    head = await target.wire.request("HEAD", target.url)
    if not head.is_success:
        return skipped(f"HEAD gives {head.status_code}: see D-02")
    got = await target.wire.request("GET", target.url)
    if head.status_code != got.status_code:
        return broken(f"HEAD {head.status_code}, GET {got.status_code}")
    names = ({name.lower() for name in reply.headers} - CHANGING for reply in (head, got))
    odd = set.symmetric_difference(*names)
    lengths = {reply.headers["content-length"] for reply in (head, got) if "content-length" in reply.headers}
    if len(lengths) > 1:
        return broken(f"Content-Length differs: {', '.join(sorted(lengths))}")
    return broken(f"only in one of them: {', '.join(sorted(odd))}") if odd else passed("the same headers")


@check(
    "D-04",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-SE-01", "E-SE-01"),
    text="GET on a session gives 2xx without content.",
)
async def session_get(target: Target) -> Result:
    """As on the endpoint."""
    async with target.session() as session:
        reply = await session.get()
    if target.old and reply.status_code == httpx.codes.METHOD_NOT_ALLOWED:
        return passed("405, as its draft says")
    return _empty_success(reply)


@check(
    "D-05",
    on="both",
    severity=SHOULD,
    clauses=("I-EP-11", "E-EP-14"),
    text="OPTIONS without Origin succeeds and says Accept-Post: application/sdp, so spelt.",
)
async def plain_options(target: Target) -> Result:
    """Several servers write Access-Post."""
    reply = await target.wire.request("OPTIONS", target.url)
    wrong = [name for name in reply.headers if name.lower() in MISSPELT]
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    if wrong:
        return broken(f"misspelt: {wrong[0]}")
    value = reply.headers.get("accept-post", "")
    return passed(f"Accept-Post: {value}") if SDP in value.lower() else broken(f"Accept-Post: {value or 'none'}")


@check(
    "D-06",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A preflight for POST with Authorization and Content-Type is granted.",
)
async def endpoint_preflight(target: Target) -> Result:
    """No page on another site could post otherwise."""
    names = ("authorization", "content-type")
    return judge_preflight(target, await preflight(target, target.url, "POST", names), "POST", names)


@check(
    "D-07",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A preflight on the session for PATCH with Authorization, Content-Type and If-Match is granted.",
)
async def patch_preflight(target: Target) -> Result:
    """Asked only of servers that take PATCH at all."""
    features = await target.features()
    if not features.trickle and not features.restart:
        return skipped(f"takes no PATCH: {features.trickle_status}")
    names = ("authorization", "content-type", "if-match")
    async with target.session() as session:
        return judge_preflight(target, await preflight(target, session.url, "PATCH", names), "PATCH", names)


@check(
    "D-08",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A preflight on the session for DELETE with Authorization is granted.",
)
async def delete_preflight(target: Target) -> Result:
    """Else every page leaves its session behind."""
    names = ("authorization",)
    async with target.session() as session:
        return judge_preflight(target, await preflight(target, session.url, "DELETE", names), "DELETE", names)


@check(
    "D-09",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-25", "E-EP-21"),
    text="A preflight carries no ICE servers.",
)
async def preflight_without_links(target: Target) -> Result:
    """It comes without credentials; TURN's would be anybody's."""
    reply = await preflight(target, target.url, "POST", ("content-type",))
    links = [value for value in reply.headers.get_list("link") if "ice-server" in value.lower()]
    return broken(f"{len(links)} ICE servers") if links else passed("none")


@check(
    "D-10",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A POST from another site: Allow-Origin, and Expose-Headers with Location (warning: ETag and Link, if sent).",
)
async def headers_exposed(target: Target) -> Result:
    """What is not exposed, a page cannot read."""
    reply = await target.post(target.offer().text, headers={"Origin": target.options.origin})
    allowed = reply.headers.get("access-control-allow-origin")
    if allowed not in ("*", target.options.origin):
        return broken(f"Allow-Origin: {allowed or 'none'}")
    exposed = listed(reply, "access-control-expose-headers")
    hidden = [name for name in ("location", "etag", "link") if name in reply.headers and not exposed & {name, "*"}]
    if "location" in hidden:
        return broken("Location is not exposed")
    return warned(f"not exposed: {', '.join(hidden)}") if hidden else passed(", ".join(sorted(exposed)))


@check(
    "D-11",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-10", "E-EP-14"),
    text="A refusal to another site has Allow-Origin, too; Retry-After is exposed where sent.",
)
async def refusals_readable(target: Target) -> Result:
    """Else a page sees a network error and cannot tell why."""
    headers = {"Origin": target.options.origin}
    replies = [await target.post(target.offer().text, content_type="text/plain", headers=headers)]
    if target.options.idle_url:
        replies.append(await target.post(target.offer().text, headers=headers, url=target.options.idle_url))
    for reply in replies:
        if reply.headers.get("access-control-allow-origin") not in ("*", target.options.origin):
            return broken(f"{reply.status_code} without Allow-Origin")
        if "retry-after" in reply.headers and not listed(reply, "access-control-expose-headers") & {"retry-after", "*"}:
            return broken(f"{reply.status_code}: Retry-After is not exposed")
    return passed(", ".join(str(reply.status_code) for reply in replies) + " readable")


@check(
    "D-12",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A foreign origin is not reflected together with Allow-Credentials: true.",
)
async def no_credentials_for_all(target: Target) -> Result:
    """Any page could then act with the visitor's cookies."""
    reply = await target.post(target.offer().text, headers={"Origin": EVIL})
    origin = reply.headers.get("access-control-allow-origin", "none")
    credentials = reply.headers.get("access-control-allow-credentials", "").strip().lower() == "true"
    return broken(f"{origin} with credentials") if origin == EVIL and credentials else passed(f"Allow-Origin: {origin}")


@check(
    "D-13",
    on="both",
    severity=SHOULD,
    tier=2,
    text="PUT on the endpoint and POST on a session get 405 with Allow (RFC 9110 15.5.6), never 5xx.",
)
async def other_methods(target: Target) -> Result:
    """A server error fails, another 4xx is a warning."""
    async with target.session() as session:
        tried = [await target.wire.request("PUT", target.url, headers={"Content-Type": SDP}, content="v=0\r\n")]
        tried.append(await target.wire.request("POST", session.url, headers={"Content-Type": SDP}, content="v=0\r\n"))
    for reply in tried:
        what = f"{reply.request.method}: {reply.status_code}"
        if reply.is_server_error:
            return broken(what, MUST)
        if reply.status_code != httpx.codes.METHOD_NOT_ALLOWED:
            return broken(what)
        if "allow" not in reply.headers:
            return broken(f"{what} without Allow")
    return passed("405 with Allow")


@check(
    "D-14",
    on="both",
    severity=COMPAT,
    tier=3,
    clauses=("I-EP-24", "E-EP-21"),
    text="Links of a plain OPTIONS are ICE servers and nothing else (MediaMTX's client stops at others).",
)
async def options_links(target: Target) -> Result:
    """Extensions belong into the 201."""
    reply = await target.wire.request("OPTIONS", target.url)
    try:
        links = links_of(reply)
    except MalformedLink as error:
        return broken(str(error))
    others = [link.target for link in links if link.rel != "ice-server"]
    if others:
        return broken(f"also {others[0]}")
    return passed(f"{len(links)} ICE servers") if links else noted("no Link")


CHECKS: Final[tuple[Check, ...]] = (
    endpoint_get,
    endpoint_head,
    head_like_get,
    session_get,
    plain_options,
    endpoint_preflight,
    patch_preflight,
    delete_preflight,
    preflight_without_links,
    headers_exposed,
    refusals_readable,
    no_credentials_for_all,
    other_methods,
    options_links,
)
