"""S: bearer tokens. Asked of servers for which a token is given.

Strict: a wrong token gets 401, not 403, and session requests without a token are refused.
"""

from typing import Final

import httpx

from conformance.check import Check, Result, Severity, broken, check, lenient, noted, passed
from conformance.checks.discovery import preflight
from conformance.resource import Session
from conformance.target import Target, Unmet

MUST, INFO = Severity.MUST, Severity.INFO
WRONG: Final = "Bearer conformance-wrong-token"
REFUSED: Final = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)


def token_of(target: Target) -> str:
    """Errors: Unmet where none is given."""
    if not target.wire.token:
        raise Unmet("no --token: the server is taken to need none")
    return target.wire.token


@check(
    "S-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-26", "I-EP-27", "E-EP-22"),
    text="Without a token: 401 with WWW-Authenticate (RFC 9110 15.5.2).",
)
async def no_token(target: Target) -> Result:
    """A 201 means that the token protects nothing."""
    token_of(target)
    reply = await target.post(target.offer().text, auth=False)
    if reply.status_code != httpx.codes.UNAUTHORIZED:
        return broken(f"{reply.status_code}")
    value = reply.headers.get("www-authenticate")
    return passed(f"401, {value}") if value else broken("401 without WWW-Authenticate")


@check(
    "S-02",
    on="both",
    severity=MUST,
    clauses=("I-EP-26", "I-EP-27", "E-EP-22"),
    text="A wrong token: 401; 403 is lenient.",
)
async def wrong_token(target: Target) -> Result:
    """Strict: 401, since the credentials are invalid (RFC 6750 3.1)."""
    token_of(target)
    reply = await target.post(target.offer().text, headers={"Authorization": WRONG})
    if reply.status_code == httpx.codes.FORBIDDEN:
        return lenient("403 where 401 is meant", target)
    return passed("401") if reply.status_code == httpx.codes.UNAUTHORIZED else broken(f"{reply.status_code}")


@check(
    "S-03",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-EP-26", "E-EP-22"),
    text="The scheme's letter case does not matter: `bearer` gets 201 (RFC 9110 11.1).",
)
async def lower_case_scheme(target: Target) -> Result:
    """Easily compared wrongly."""
    reply = await target.post(target.offer().text, headers={"Authorization": f"bearer {token_of(target)}"})
    return passed("201") if reply.status_code == httpx.codes.CREATED else broken(f"{reply.status_code}")


@check(
    "S-04",
    on="both",
    severity=MUST,
    clauses=("I-EP-10", "E-EP-14"),
    text="A preflight, which never has a token, is not refused with 401 or 403.",
)
async def preflight_open(target: Target) -> Result:
    """By the Fetch standard a preflight carries no credentials."""
    reply = await preflight(target, target.url, "POST", ("authorization", "content-type"))
    return broken(f"{reply.status_code}") if reply.status_code in REFUSED else passed(f"{reply.status_code}")


@check(
    "S-05",
    on="both",
    severity=MUST,
    tier=3,
    clauses=("I-EP-26", "E-EP-22"),
    text="DELETE with a wrong token gets 401 or 403 and the session lives.",
)
async def delete_wrong_token(target: Target) -> Result:
    """Who sends a token claims something; a wrong claim is refused also where none is needed."""
    token_of(target)
    async with target.session() as session:
        reply = await session.delete(headers={"Authorization": WRONG})
        if reply.status_code not in REFUSED:
            return broken(f"{reply.status_code}")
        return await _still_there(session, f"{reply.status_code}")


async def _still_there(session: Session, observed: str) -> Result:
    ended = await session.delete()
    return passed(observed) if ended.is_success else broken(f"{observed}, but then the session was gone")


@check(
    "S-06",
    on="both",
    severity=INFO,
    tier=3,
    clauses=("I-EP-26", "E-EP-22"),
    text="DELETE without a token: refused, or the session's URL is itself the permission (then P-11 is a MUST).",
)
async def delete_no_token(target: Target) -> Result:
    """Clients must send the token on every request, so strict expects a refusal; several send none."""
    token_of(target)
    async with target.session() as session:
        reply = await session.delete(auth=False)
        if reply.status_code in REFUSED:
            return await _still_there(session, f"{reply.status_code}")
    if not reply.is_success:
        return broken(f"{reply.status_code}", MUST)
    observed = f"{reply.status_code}: the URL is the permission"
    return broken(observed, MUST) if target.strict else noted(observed)


CHECKS: Final[tuple[Check, ...]] = (
    no_token,
    wrong_token,
    lower_case_scheme,
    preflight_open,
    delete_wrong_token,
    delete_no_token,
)
