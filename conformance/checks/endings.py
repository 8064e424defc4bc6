"""L, the part over HTTP alone: how sessions end.

Strict: DELETE gets exactly 200, as in the texts' figures.
"""

import asyncio
import time
from typing import Final

import httpx

from conformance.check import Check, Result, Severity, broken, check, passed, warned
from conformance.target import Target

MUST, INFO = Severity.MUST, Severity.INFO
GONE: Final = (httpx.codes.NOT_FOUND, httpx.codes.GONE)


@check(
    "L-01",
    on="both",
    severity=MUST,
    clauses=("I-SE-02", "E-SE-02"),
    text="DELETE on a session gets 2xx; other than 200 is a warning (OBS, Meetecho).",
)
async def delete(target: Target) -> Result:
    """Both texts' figures show 200, and clients look for it."""
    async with target.session() as session:
        reply = await session.delete()
    if not reply.is_success:
        return broken(f"{reply.status_code}")
    return passed("200") if reply.status_code == httpx.codes.OK else warned(f"{reply.status_code}, not 200")


@check(
    "L-02",
    on="both",
    severity=MUST,
    clauses=("I-SE-02", "E-SE-02"),
    text="A second DELETE gets 404 or 410; 2xx or another 4xx is a warning.",
)
async def delete_again(target: Target) -> Result:
    """The resource is gone."""
    async with target.session() as session:
        first = await session.delete()
        second = await session.delete()
    if not first.is_success:
        return broken(f"the first: {first.status_code}")
    status = second.status_code
    if status in GONE:
        return passed(f"{status}")
    return warned(f"{status}") if second.is_success or second.is_client_error else broken(f"{status}")


@check(
    "L-03",
    on="both",
    severity=MUST,
    clauses=("I-SE-09", "E-SE-08"),
    text='DELETE with If-Match: "nope" gets 2xx: entity-tags are for ICE.',
)
async def delete_with_tag(target: Target) -> Result:
    """Meetecho's client sends its tag along."""
    async with target.session() as session:
        reply = await session.delete(headers={"If-Match": '"nope"'})
    return passed(f"{reply.status_code}") if reply.is_success else broken(f"{reply.status_code}")


@check(
    "L-12",
    on="both",
    severity=INFO,
    tier=3,
    long=True,
    clauses=("I-SE-04", "E-SE-04"),
    text="A session that never connects is gone after a while (reported; a warning after a minute).",
)
async def abandoned(target: Target) -> Result:
    """Players and encoders that never come back would fill a server up."""
    limits, began = target.wire.limits, time.monotonic()
    async with target.session() as session:
        while (waited_s := time.monotonic() - began) < limits.abandoned_s:
            looked = await session.get()
            if looked.status_code in GONE:
                session.ended = True
                return passed(f"{looked.status_code} after {waited_s:.0f} s")
            await asyncio.sleep(limits.poll_s)
    return warned(f"still there after {limits.abandoned_s:g} s")


CHECKS: Final[tuple[Check, ...]] = (delete, delete_again, delete_with_tag)
LATE: Final[tuple[Check, ...]] = (abandoned,)
