"""R: ICE restarts over PATCH. A server may support trickle, restarts, both or neither.

Strict makes no difference here.
"""

from typing import Final

import httpx

from conformance.canned import SDPFRAG, Identity, fragment
from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.description import Description, MalformedDescription, parse_fragment
from conformance.resource import Session, media_type
from conformance.target import Target, Unmet

MUST: Final = Severity.MUST
OLD_WORDS: Final = (httpx.codes.METHOD_NOT_ALLOWED, httpx.codes.NOT_IMPLEMENTED)
KEPT: Final = ("ice-options", "ice-pacing", "ice-lite")
"""What a restart must not change (RFC 9725 4.3.3)."""


async def restarted(target: Target, session: Session) -> tuple[Identity, httpx.Response]:
    """A restart and its reply. Errors: Unmet where the server supports none."""
    features = await target.features()
    if not features.restart:
        raise Unmet(f"restart is not supported: {features.restart_status}")
    identity = session.offer.identity.restarted()
    reply = await session.patch(fragment(session.offer, identity=identity), if_match="*")
    if reply.status_code != httpx.codes.OK:
        raise Unmet(f"a second restart gave {reply.status_code}")
    return identity, reply


def read(reply: httpx.Response) -> Description | None:
    """The fragment of a reply; None where it cannot be read."""
    try:
        return parse_fragment(reply.text)
    except MalformedDescription:
        return None


def everywhere(description: Description, name: str) -> str | None:
    """An ICE attribute of the first section, or of the session; an empty string for one without value."""
    levels = [*(section.attributes for section in description.sections[:1]), description.session]
    return next((level.value(name) or "" for level in levels if level.has(name)), None)


@check(
    "R-01",
    on="both",
    severity=MUST,
    clauses=("I-SE-05", "I-SE-08", "I-SE-15", "E-SE-07", "E-SE-10"),
    text="New credentials with If-Match: * get 200; 422 where only trickle is supported.",
)
async def restart_or_422(target: Target) -> Result:
    """405 and 501 are the words of older drafts; with neither feature, any 4xx will do."""
    features = await target.features()
    status = features.restart_status
    if status == httpx.codes.OK:
        return passed("200")
    if features.trickle and status == httpx.codes.UNPROCESSABLE_ENTITY:
        return passed("422: trickle only")
    if not features.trickle and 400 <= status < 500:
        return passed(f"{status}: neither trickle nor restart")
    if status in OLD_WORDS:
        return passed(f"{status}, as its draft says") if target.old else broken(f"{status}: as in old drafts")
    return broken(f"{status}")


@check(
    "R-02",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-SE-15", "E-SE-10"),
    text="The 200 is a fragment with ufrag and pwd that both differ from the answer's.",
)
async def new_credentials(target: Target) -> Result:
    """The old ones would be taken for the old ICE session."""
    async with target.session() as session:
        _, reply = await restarted(target, session)
        answer = session.answer
    if media_type(reply) != SDPFRAG:
        return broken(reply.headers.get("content-type", "no Content-Type"))
    fragment_read = read(reply)
    if fragment_read is None:
        return broken("a fragment that cannot be read")
    for name in ("ice-ufrag", "ice-pwd"):
        new = everywhere(fragment_read, name)
        if not new:
            return broken(f"no {name}")
        if new == answer.transport(name):
            return broken(f"the same {name} as before")
    return passed(f"new; {len(fragment_read.candidates())} candidates")


@check(
    "R-03",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-SE-16", "E-SE-10"),
    text="The 200 has a new ETag; the old one then gets 412.",
)
async def new_tag(target: Target) -> Result:
    """A tag names one ICE session."""
    async with target.session() as session:
        old = session.etag
        identity, reply = await restarted(target, session)
        new = reply.headers.get("etag")
        stale = await session.patch(fragment(session.offer, identity=identity), if_match=old)
    if new is None or new == old:
        return broken("no ETag" if new is None else f"the same ETag: {new}")
    accepted = stale.status_code == httpx.codes.PRECONDITION_FAILED
    return passed(f"{new}; 412 to the old") if accepted else broken(f"{stale.status_code} to the old tag")


@check(
    "R-04",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-SE-18", "E-SE-10"),
    text="ice-options, ice-pacing and ice-lite of the 200 equal the answer's.",
)
async def same_options(target: Target) -> Result:
    """What the peer was told of ICE holds for the whole session."""
    async with target.session() as session:
        _, reply = await restarted(target, session)
        before, after = session.answer, read(reply)
    if after is None:
        return broken("a fragment that cannot be read")
    for name in KEPT:
        was, now = everywhere(before, name), everywhere(after, name)
        if was != now:
            return broken(f"{name}: {was} became {now}")
    return passed(f"ice-options: {everywhere(after, 'ice-options') or 'none'}")


CHECKS: Final[tuple[Check, ...]] = (restart_or_422, new_credentials, new_tag, same_options)
