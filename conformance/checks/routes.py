"""B: addresses, redirects, and what happens under load or with odd paths.

Strict makes no difference here beyond the warnings.
"""

import asyncio
import ipaddress
import secrets
from collections.abc import Callable, Collection, Coroutine, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

import httpx

from conformance.canned import SDPFRAG, fragment
from conformance.check import Check, Result, Severity, broken, check, noted, passed, skipped, warned
from conformance.resource import location_of
from conformance.target import Target
from conformance.wire import BUSY, NO_REPLY, retry_after_s

MUST, SHOULD = Severity.MUST, Severity.SHOULD
METHOD_CHANGING: Final = (301, 302, 303)
BURST: Final = 20
UNSUPPORTED: Final = (405, 415, 422, 501)
"""What a PATCH gets where trickle is not supported."""
ODD_NAMES: Final = ("..%2f..%2fetc%2fpasswd", "%00", "%ff%fe", "a" * 4096, "%2e%2e", "'%22%3Cscript%3E")


@check(
    "B-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-19", "E-EP-19"),
    text="POST to the endpoint with and without a trailing slash is never answered 301, 302 or 303.",
)
async def no_method_changing_redirect(target: Target) -> Result:
    """Those turn POST into GET; web frameworks send them for slashes unasked."""
    path = target.url.path
    other = path.rstrip("/") if path.endswith("/") else f"{path}/"
    seen = []
    for url in (target.url, target.url.copy_with(path=other)):
        async with target.posted(target.offer().text, url=str(url), follow=False) as reply:
            if reply.status_code in METHOD_CHANGING:
                return broken(f"{reply.status_code} to {url.path}")
            seen.append(f"{url.path}: {reply.status_code}")
    return passed(", ".join(seen))


@check(
    "B-02",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-20", "E-EP-19"),
    text="A redirecting endpoint (--redirect-url) answers 307 with Location, and there the offer is taken.",
)
async def redirect(target: Target) -> Result:
    """308 keeps method and body, too, but is permanent: a warning."""
    url = target.options.redirect_url
    if url is None:
        return skipped("no --redirect-url names a redirecting endpoint")
    async with target.posted(target.offer().text, url=url, follow=False) as first:
        status, location = first.status_code, location_of(first)
    if status not in (307, 308) or location is None:
        return broken(f"{status}{'' if location else ' without Location'}")
    reply = await target.post(target.offer().text, url=str(location))
    if reply.status_code != httpx.codes.CREATED:
        return broken(f"{status}, then {reply.status_code}")
    return passed("307, then 201") if status == 307 else warned("308, then 201")


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@check(
    "B-03",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-EP-31", "E-EP-24"),
    text="The endpoint is https, unless on loopback or waived (--allow-http).",
)
async def https(target: Target) -> Result:
    """A token or a session's URL in the clear is anybody's."""
    if target.url.scheme == "https":
        return passed("https")
    if is_loopback(target.url.host):
        return passed("http on loopback")
    return noted("http, waived") if target.options.allow_http else broken("http")


@check(
    "B-04",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-21", "I-EP-32", "I-SE-22", "E-EP-20", "E-EP-24"),
    text="20 POSTs and 20 PATCHes at once (--stress): each served, or 429 or 503 with a readable Retry-After.",
)
async def burst(target: Target) -> Result:
    """Whatever limits there are, they are told, and they end. WHIP's 409 says that somebody publishes already."""
    if not target.options.stress:
        return skipped("--stress was not given")
    posts: list[httpx.Response] = []
    patches: list[httpx.Response] = []

    async def post() -> None:
        async with target.posted(target.offer().text, patient=False) as reply:
            posts.append(reply)

    await at_once(post)
    busy = (*BUSY, httpx.codes.CONFLICT) if target.protocol == "whip" else BUSY
    async with target.session() as session:

        async def patch() -> None:
            patches.append(await session.patch(fragment(session.offer), patient=False))

        await at_once(patch)
        alive = (await session.delete()).is_success
    fault = overload_fault(posts, busy) or overload_fault(patches, (*BUSY, *UNSUPPORTED))
    if fault is not None:
        return fault
    served = sum(reply.is_success for reply in posts), sum(reply.is_success for reply in patches)
    observed = f"{served[0]} of {BURST} POSTs and {served[1]} of {BURST} PATCHes served"
    return passed(observed) if alive else broken(f"{observed}; the session was gone")


async def at_once(ask: Callable[[], Coroutine[None, None, None]]) -> None:
    """The same many times, together."""
    async with asyncio.TaskGroup() as group:
        for number in range(BURST):
            group.create_task(ask(), name=f"burst-{number}")


def overload_fault(replies: Sequence[httpx.Response], put_off: Collection[int]) -> Result | None:
    """What is wrong with replies under load."""
    for reply in replies:
        what = f"{reply.request.method}: {reply.status_code}"
        if not reply.is_success and reply.status_code not in put_off:
            return broken(what, MUST if reply.is_server_error else None)
        if not readable_retry_after(reply):
            return broken(f"{what}, Retry-After: {reply.headers['retry-after']}")
    return None


def readable_retry_after(reply: httpx.Response) -> bool:
    """Whether Retry-After, where there is one, is seconds or an HTTP date."""
    value = reply.headers.get("retry-after")
    if value is None or retry_after_s(reply) is not None:
        return True
    try:
        parsedate_to_datetime(value)
    except ValueError:
        return False
    return True


@check(
    "B-05",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-33", "E-EP-24"),
    text="DELETE and PATCH of odd session names (.., NUL, no UTF-8, 4 KiB, a stranger's) get 4xx, never 5xx.",
)
async def odd_names(target: Target) -> Result:
    """Also of a session that was: it belongs to nobody now."""
    async with target.session() as session:
        base = str(session.url).rpartition("/")[0]
        former = str(session.url).rpartition("/")[2]
    body = fragment(session.offer)
    for name in (*ODD_NAMES, former, secrets.token_urlsafe(24)):
        for method in ("DELETE", "PATCH"):
            headers = {"Content-Type": SDPFRAG, "If-Match": "*"} if method == "PATCH" else {}
            content = body if method == "PATCH" else ""
            shown = f"{method} {name[:24]}"
            try:
                reply = await target.wire.request(method, f"{base}/{name}", headers=headers, content=content)
            except NO_REPLY as error:
                return broken(f"{shown}: no reply ({type(error).__name__})")
            if reply.is_redirect:
                return warned(f"{shown}: {reply.status_code}")
            if not reply.is_client_error:
                return broken(f"{shown}: {reply.status_code}")
    return passed("4xx to each")


CHECKS: Final[tuple[Check, ...]] = (no_method_changing_redirect, redirect, https, odd_names)
LATE: Final[tuple[Check, ...]] = (burst,)
