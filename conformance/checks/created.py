"""P: an offer that is accepted. What the 201 says, and that small differences in the request do not matter.

Strict makes no difference here beyond the warnings.
"""

from typing import Final

import httpx

from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.resource import media_type
from conformance.target import Target

MUST, SHOULD, COMPAT = Severity.MUST, Severity.SHOULD, Severity.COMPAT


@check(
    "P-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-03", "E-EP-04"),
    text="A valid offer gets 201.",
)
async def offer_accepted(target: Target) -> Result:
    """The spine: without this nothing else can be asked."""
    created = await target.created()
    status = created.reply.status_code
    return passed("201") if status == httpx.codes.CREATED else broken(f"{status}")


@check(
    "P-02",
    on="both",
    severity=MUST,
    clauses=("I-EP-04", "E-EP-04"),
    text="The 201 is application/sdp.",
)
async def answer_typed(target: Target) -> Result:
    """Parameters are tolerated."""
    created = await target.created()
    kind = created.reply.headers.get("content-type", "no Content-Type")
    return passed(kind) if media_type(created.reply) == "application/sdp" else broken(kind)


CHECKS: Final[tuple[Check, ...]] = (offer_accepted, answer_typed)
