"""T: entity-tags and trickled candidates. What a server does not support is left out of the questions.

Strict: a PATCH without If-Match gets 428 and nothing else.
"""

import secrets
from typing import Final

import httpx

from conformance.canned import HOST, SDP, SDPFRAG, fragment
from conformance.check import (
    Check,
    Result,
    Severity,
    broken,
    check,
    lenient,
    noted,
    passed,
    skipped,
    warned,
)
from conformance.resource import CURRENT, Session
from conformance.target import Features, Target, Unmet

MUST, SHOULD, COMPAT, INFO = Severity.MUST, Severity.SHOULD, Severity.COMPAT, Severity.INFO
ODD_CANDIDATES: Final = (
    "1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
    "2 1 udp 2122260223 6f1c5b2e-0d0f-4c1e-9c55-2f7c6b0d9d11.local 50001 typ host",
    "3 1 udp 2122260222 999.1.1.1 50002 typ host",
    "4 1 udp 2122260221 nowhere.invalid 50003 typ host",
    "5 1 udp 2122260220 2001:db8::1 50004 typ host",
    "6 1 xyz 2122260219 192.0.2.1 50005 typ host bogus extension",
    HOST,
)
"""What servers cannot use, and one that they can."""


async def with_trickle(target: Target, *, etag: bool = False) -> Features:
    """Errors: Unmet where the server does not trickle, or has no entity-tag where one is needed."""
    features = await target.features()
    if not features.trickle:
        raise Unmet(f"trickle is not supported: {features.trickle_status}")
    if etag and not features.etag:
        raise Unmet("no entity-tag: see T-04")
    return features


def is_strong_tag(value: str) -> bool:
    """Whether this is a quoted strong entity-tag (RFC 9110 8.8.3) that is not the quoted wildcard."""
    inner = value[1:-1]
    quoted = len(value) >= 3 and value[0] == value[-1] == '"'
    return quoted and inner != "*" and all(char > " " and char != '"' for char in inner)


@check(
    "T-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-13", "E-EP-16"),
    text='The 201\'s ETag, if any, is so spelt, and a quoted strong tag other than "*".',
)
async def tag_well_formed(target: Target) -> Result:
    """Seen in the field: E-Tag, tags without quotes, a bare asterisk."""
    reply = (await target.created()).reply
    if "e-tag" in reply.headers:
        return broken("misspelt: E-Tag")
    value = reply.headers.get("etag")
    if value is None:
        return noted("no ETag")
    return passed(value) if is_strong_tag(value) else broken(f"ETag: {value}")


@check(
    "T-02",
    on="both",
    severity=MUST,
    clauses=("I-SE-05", "I-SE-13", "E-SE-09"),
    text="A trickle PATCH with the tag gets 204 (4xx where trickle is not supported).",
)
async def trickle(target: Target) -> Result:
    """501 was how an older draft said "unsupported"."""
    async with target.session() as session:
        status = (await session.patch(fragment(session.offer))).status_code
    if status == httpx.codes.NO_CONTENT:
        return passed("204")
    if 400 <= status < 500:
        return noted(f"{status}: trickle is not supported")
    old = status == httpx.codes.NOT_IMPLEMENTED
    return warned("501: the old way to say that it is not supported") if old else broken(f"{status}")


@check(
    "T-03",
    on="both",
    severity=MUST,
    clauses=("I-SE-13", "E-SE-09"),
    text="The reply to a trickle PATCH has no body and no ETag.",
)
async def trickle_reply_bare(target: Target) -> Result:
    """A tag would say that the ICE session is another."""
    await with_trickle(target)
    async with target.session() as session:
        reply = await session.patch(fragment(session.offer))
    if "etag" in reply.headers:
        return broken(f"ETag: {reply.headers['etag']}")
    return broken(f"{len(reply.content)} bytes") if reply.content else passed("no body, no ETag")


@check(
    "T-04",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-SE-12", "E-EP-16"),
    text="Who supports trickle sends an ETag in the 201.",
)
async def trickle_means_tags(target: Target) -> Result:
    """RFC 9725 4.3.2."""
    features = await with_trickle(target)
    return passed("ETag in the 201") if features.etag else broken("trickle without ETag")


@check(
    "T-05",
    on="both",
    severity=SHOULD,
    clauses=("I-SE-10", "E-SE-08"),
    text="A PATCH without If-Match gets 428; 204 is lenient.",
)
async def unconditional_patch(target: Target) -> Result:
    """Several players send none. Strict: 428 only."""
    await with_trickle(target, etag=True)
    async with target.session() as session:
        reply = await session.patch(fragment(session.offer), if_match=None)
    if reply.status_code == httpx.codes.PRECONDITION_REQUIRED:
        return passed("428")
    if reply.status_code == httpx.codes.NO_CONTENT:
        return lenient("204: lenient", target)
    return broken(f"{reply.status_code}", MUST if reply.is_server_error else None)


@check(
    "T-06",
    on="both",
    severity=MUST,
    clauses=("I-SE-11", "I-SE-12", "E-SE-08"),
    text="A PATCH with another tag gets 412.",
)
async def stale_tag(target: Target) -> Result:
    """RFC 9110 13.1.1."""
    await with_trickle(target, etag=True)
    async with target.session() as session:
        status = (await session.patch(fragment(session.offer), if_match='"nope"')).status_code
    return passed("412") if status == httpx.codes.PRECONDITION_FAILED else broken(f"{status}")


@check(
    "T-07",
    on="both",
    severity=COMPAT,
    tier=2,
    clauses=("I-SE-13", "E-SE-09"),
    text="A trickle PATCH with If-Match: * gets 204 (MediaMTX's reader).",
)
async def wildcard(target: Target) -> Result:
    """What makes a restart is new credentials, not the header."""
    await with_trickle(target)
    async with target.session() as session:
        status = (await session.patch(fragment(session.offer), if_match="*")).status_code
    return passed("204") if status == httpx.codes.NO_CONTENT else broken(f"{status}")


@check(
    "T-08",
    on="both",
    severity=COMPAT,
    tier=3,
    clauses=("I-SE-13", "E-SE-09"),
    text='A trickle PATCH with If-Match: "*", quoted as both texts print it, gets 204; 412 is right by RFC 9110.',
)
async def quoted_wildcard(target: Target) -> Result:
    """Both are fine, strict or not: the texts contradict each other."""
    await with_trickle(target)
    async with target.session() as session:
        status = (await session.patch(fragment(session.offer), if_match='"*"')).status_code
    if status == httpx.codes.PRECONDITION_FAILED:
        return noted("412, by RFC 9110")
    return passed("204") if status == httpx.codes.NO_CONTENT else broken(f"{status}")


@check(
    "T-09",
    on="both",
    severity=MUST,
    clauses=("I-SE-06", "E-SE-05"),
    text="A PATCH as application/json gets 4xx; 415 in WHEP.",
)
async def other_type(target: Target) -> Result:
    """Strict: 415 and nothing else in WHEP, where PATCH is supported at all."""
    features = await target.features()
    async with target.session() as session:
        reply = await session.patch(fragment(session.offer), content_type="application/json")
    status = reply.status_code
    if not reply.is_client_error:
        return broken(f"{status}")
    exact = status == httpx.codes.UNSUPPORTED_MEDIA_TYPE or target.protocol == "whip" or not features.trickle
    return passed(f"{status}") if exact else lenient(f"{status} where -04 says 415", target)


@check(
    "T-10",
    on="both",
    severity=MUST,
    clauses=("I-SE-07", "E-SE-05"),
    text="Garbage as a fragment gets 4xx and a good one after it 204.",
)
async def garbage(target: Target) -> Result:
    """A bad PATCH does not end the session."""
    await with_trickle(target)
    async with target.session() as session:
        bad = await session.patch('{"candidate": 1}')
        good = await session.patch(fragment(session.offer))
    observed = f"{bad.status_code}, then {good.status_code}"
    return passed(observed) if bad.is_client_error and good.is_success else broken(observed)


@check(
    "T-11",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-SE-14", "E-SE-09"),
    text="Candidates over TCP, .local, unresolvable, IPv6 or bogus beside a good one: 204.",
)
async def odd_candidates(target: Target) -> Result:
    """What cannot be used is dropped without a word."""
    await with_trickle(target)
    async with target.session() as session:
        reply = await session.patch(fragment(session.offer, ODD_CANDIDATES))
    return passed("204") if reply.status_code == httpx.codes.NO_CONTENT else broken(f"{reply.status_code}")


@check(
    "T-12",
    on="both",
    severity=SHOULD,
    tier=2,
    clauses=("I-SE-13", "E-SE-09"),
    text="Credentials under the media line, none at all, and bare LF: 204 each (RFC 8840 9.2).",
)
async def fragment_forms(target: Target) -> Result:
    """All three are seen in the field; the first is the RFC's own figure."""
    await with_trickle(target)
    async with target.session() as session:
        forms = {
            "in the section": fragment(session.offer, in_section=True),
            "mid only": without_credentials(fragment(session.offer)),
            "LF": fragment(session.offer, newline="\n"),
        }
        for name, body in forms.items():
            status = (await session.patch(body)).status_code
            if status != httpx.codes.NO_CONTENT:
                return broken(f"{name}: {status}")
    return passed("204 to each")


def without_credentials(text: str) -> str:
    """A fragment that names only its section."""
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(("a=ice-ufrag", "a=ice-pwd")))


@check(
    "T-13",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-SE-13", "E-SE-09"),
    text="a=end-of-candidates without candidates: 204 (RFC 8840 8).",
)
async def only_the_end(target: Target) -> Result:
    """How a client says that it has nothing more."""
    await with_trickle(target)
    async with target.session() as session:
        status = (await session.patch(fragment(session.offer, (), end=True))).status_code
    return passed("204") if status == httpx.codes.NO_CONTENT else broken(f"{status}")


@check(
    "T-14",
    on="both",
    severity=MUST,
    tier=2,
    text="A PATCH to a session that does not exist gets 404 or 410.",
)
async def unknown_session(target: Target) -> Result:
    """Another 4xx is a warning."""
    await with_trickle(target)
    async with target.session() as session:
        path, _, name = session.url.path.rpartition("/")
        unknown = session.url.copy_with(path=f"{path}/{secrets.token_urlsafe(len(name))[: len(name)]}")
        stranger = Session(target.wire, session.offer, session.reply, unknown)
        reply = await stranger.patch(fragment(session.offer), if_match=CURRENT)
    status = reply.status_code
    if status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        return passed(f"{status}")
    return warned(f"{status}") if reply.is_client_error else broken(f"{status}")


@check(
    "T-15",
    on="whep",
    severity=MUST,
    tier=2,
    clauses=("E-SE-05", "E-SE-06"),
    text="A PATCH of application/sdp while no answer is awaited gets 422; another 4xx is a warning.",
)
async def unasked_answer(target: Target) -> Result:
    """Answers belong to counter-offers. The body is the server's own answer: valid SDP, out of place."""
    if target.old:
        return skipped("not in murillo-01")
    async with target.session() as session:
        reply = await session.patch(session.reply.text, content_type=SDP)
    if reply.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
        return passed("422")
    return warned(f"{reply.status_code}") if reply.is_client_error else broken(f"{reply.status_code}")


@check(
    "T-16",
    on="both",
    severity=INFO,
    tier=3,
    text="Accept-Patch in the 201 lists the fragment type (RFC 5789 3.1).",
)
async def accept_patch(target: Target) -> Result:
    """No longer in the texts, harmless and useful; a list without the type is a warning."""
    reply = (await target.created()).reply
    value = reply.headers.get("accept-patch")
    if value is None:
        return noted("no Accept-Patch")
    return noted(f"Accept-Patch: {value}") if SDPFRAG in value.lower() else warned(f"Accept-Patch: {value}")


CHECKS: Final[tuple[Check, ...]] = (
    tag_well_formed,
    trickle,
    trickle_reply_bare,
    trickle_means_tags,
    unconditional_patch,
    stale_tag,
    wildcard,
    quoted_wildcard,
    other_type,
    garbage,
    odd_candidates,
    fragment_forms,
    only_the_end,
    unknown_session,
    unasked_answer,
    accept_patch,
)
