"""P: an offer that is accepted. What the 201 says, and that small differences in the request do not matter.

Strict makes no difference here beyond the warnings.
"""

import math
import re
from dataclasses import replace
from typing import Final

import httpx

from conformance.canned import SDP, Offer
from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.description import Description, MalformedDescription, parse
from conformance.resource import Session, location_of, media_type
from conformance.target import Target, Unmet

MUST, SHOULD, COMPAT = Severity.MUST, Severity.SHOULD, Severity.COMPAT
LARGEST_ANSWER: Final = 8000
"""FFmpeg's buffer for an answer holds 8192 bytes."""
RANDOM_BITS: Final = 64
SAMPLES: Final = 5


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
    return passed(kind) if media_type(created.reply) == SDP else broken(kind)


@check(
    "P-03",
    on="both",
    severity=MUST,
    clauses=("I-EP-06", "E-EP-04"),
    text="The 201 has a Location that resolves to an http(s) URL other than the endpoint.",
)
async def location_given(target: Target) -> Result:
    """Resolved as a client does: against the URL of the request (RFC 3986 section 5)."""
    created = await target.created()
    value = created.reply.headers.get("location")
    if not value:
        return broken("no Location")
    url = location_of(created.reply)
    if url is None or url.scheme not in ("http", "https") or not url.host:
        return broken(f"resolves to no http(s) URL: {value}")
    return broken("is the endpoint itself") if url == created.reply.request.url else passed(value)


@check(
    "P-04",
    on="both",
    severity=COMPAT,
    clauses=("I-EP-06", "E-EP-04"),
    text="Location begins with / or a scheme, has no query, and is used without a redirect (OBS, Meetecho, Eyevinn).",
)
async def location_plain(target: Target) -> Result:
    """OBS takes what is not absolute for an absolute path; others lose a query."""
    async with target.session() as session:
        value = session.reply.headers["location"]
        looked = await session.get()
    if re.match(r"/(?!/)|https?://", value) is None:
        return broken(f"neither path-absolute nor absolute: {value}")
    if "?" in value:
        return broken(f"has a query: {value}")
    return broken(f"GET there gives {looked.status_code}") if looked.is_redirect else passed(value)


@check(
    "P-05",
    on="both",
    severity=MUST,
    clauses=("I-EP-05", "E-EP-04"),
    text="The answer parses; sections match the offer's in number, order, kind and mid (RFC 9429 5.3.1).",
)
async def answer_fits_offer(target: Target) -> Result:
    """Bundled mids must be offered ones."""
    created = await target.created()
    try:
        answer = parse(created.reply.text)
    except MalformedDescription as error:
        return broken(f"the answer {error}")
    wrong = _differences(answer, created.offer)
    return broken(wrong) if wrong else passed(", ".join(f"{section.kind} {section.mid}" for section in answer.sections))


def _differences(answer: Description, offer: Offer) -> str:
    kinds = [section.kind for section in answer.sections]
    offered = [section.kind for section in offer.sections]
    if kinds != offered:
        return f"sections {kinds}, offered {offered}"
    mids = [section.mid for section in answer.sections]
    if mids != offer.mids:
        return f"mids {mids}, offered {offer.mids}"
    strange = set(answer.bundle) - set(offer.mids)
    return f"bundles {sorted(strange)}, never offered" if strange else ""


@check(
    "P-06",
    on="both",
    severity=MUST,
    clauses=("I-EP-12", "E-EP-15"),
    text="The answer's first accepted section has a UDP candidate of component 1: candidates are complete in the 201.",
)
async def candidates_in_answer(target: Target) -> Result:
    """OBS and FFmpeg send no candidates: the server's are the only way to connect."""
    answer = (await target.created()).answer
    usable = [
        candidate
        for candidate in answer.accepted[0].candidates()
        if candidate.transport == "udp" and candidate.component == "1"
    ]
    return passed(f"{len(usable)} UDP candidates") if usable else broken("no UDP candidate of component 1")


@check(
    "P-07",
    on="both",
    severity=SHOULD,
    clauses=("I-EP-03", "E-EP-04"),
    text="Content-Type with a charset parameter, or in other letter case, changes nothing (RFC 9110 8.3.1).",
)
async def media_type_alone_counts(target: Target) -> Result:
    """Some servers compare the whole header as a string."""
    for kind in ("application/sdp; charset=utf-8", "Application/SDP"):
        reply = await target.post(target.offer().text, content_type=kind)
        if reply.status_code != httpx.codes.CREATED:
            return broken(f"{reply.status_code} to {kind}")
    return passed("201 to both")


@check(
    "P-08",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-03", "E-EP-04"),
    text="An offer with bare LF line ends is taken (RFC 8866 5 asks parsers for that tolerance).",
)
async def bare_line_feeds(target: Target) -> Result:
    """CRLF is the rule; several players write LF."""
    reply = await target.post(replace(target.offer(), newline="\n").text)
    return passed("201") if reply.status_code == httpx.codes.CREATED else broken(f"{reply.status_code}")


@check(
    "P-09",
    on="both",
    severity=COMPAT,
    text="The 201 comes within 5 s (FFmpeg's handshake limit); after 8 s OBS has given up, which fails.",
)
async def reply_in_time(target: Target) -> Result:
    """Servers that gather slowly, or start a pipeline first, lose these clients."""
    created = await target.created()
    took_s, limits = created.exchanges[-1].elapsed_s, target.wire.limits
    if took_s >= limits.late_reply_s:
        return broken(f"{took_s:.2f} s", MUST)
    return passed(f"{took_s:.2f} s") if took_s < limits.slow_reply_s else broken(f"{took_s:.2f} s")


@check(
    "P-10",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-06", "I-EP-13", "E-EP-04", "E-EP-16"),
    text="Two offers get two Locations and two ETags.",
)
async def sessions_differ(target: Target) -> Result:
    """An entity-tag names one ICE session."""
    first, second = (await target.created()).reply, await target.post(target.offer().text)
    for reply in (first, second):
        if reply.status_code != httpx.codes.CREATED:
            raise Unmet(f"POST gave {reply.status_code}")
    for name in ("Location", "ETag"):
        value = first.headers.get(name)
        if value is not None and value == second.headers.get(name):
            return broken(f"twice {name}: {value}")
    return passed("different" if "etag" in first.headers else "different Locations; no ETag")


@check(
    "P-11",
    on="both",
    severity=SHOULD,
    tier=2,
    clauses=("I-EP-33", "E-EP-24"),
    text="Session URLs are unguessable: of five, the parts that differ hold 64 bits or more; no counter, no clock.",
)
async def locations_unguessable(target: Target) -> Result:
    """Weighs as a MUST where the URL alone lets anybody end the session."""
    paths, open_to_all = [], target.wire.token is None
    for _ in range(SAMPLES):
        async with target.session() as session:
            paths.append(session.url.path)
            open_to_all = open_to_all or (len(paths) == SAMPLES and await _ends_without_token(session))
    bits = random_bits(paths)
    observed = f"about {bits} bits differ"
    if bits >= RANDOM_BITS:
        return passed(observed)
    return broken(f"{observed}: {paths[0]}, {paths[1]}", MUST if open_to_all else None)


async def _ends_without_token(session: Session) -> bool:
    return (await session.delete(auth=False)).is_success


def random_bits(paths: list[str]) -> int:
    """How many bits the differing parts of some paths can hold: what all have in common at either end is left out."""
    ends = [path[::-1] for path in _unshared(paths)]
    parts = [re.sub(r"[^0-9A-Za-z]", "", end) for end in _unshared(ends)]
    return int(min(len(part) for part in parts) * math.log2(_alphabet("".join(parts))))


def _unshared(texts: list[str]) -> list[str]:
    """Some texts less what they begin with in common."""
    shared = next(
        (at for at, chars in enumerate(zip(*texts, strict=False)) if len(set(chars)) > 1), min(map(len, texts))
    )
    return [text[shared:] for text in texts]


def _alphabet(text: str) -> int:
    """How many characters a random text is drawn from, judged by what stands in it."""
    for pattern, size in ((r"[0-9]*", 10), (r"[0-9a-f]*|[0-9A-F]*", 16), (r"[0-9a-z]*|[0-9A-Z]*", 36)):
        if re.fullmatch(pattern, text):
            return size
    return 62


@check(
    "P-12",
    on="both",
    severity=COMPAT,
    tier=3,
    text="The answer is at most 8000 bytes and begins with v=0 and CRLF, without a byte order mark (FFmpeg, Meetecho).",
)
async def answer_small_and_plain(target: Target) -> Result:
    """FFmpeg's buffer holds 8192 bytes; Meetecho's client looks for the first line's bytes."""
    created = await target.created()
    body = created.reply.content
    if created.reply.status_code != httpx.codes.CREATED:
        raise Unmet(f"POST gave {created.reply.status_code}")
    if not body.startswith(b"v=0\r\n"):
        return broken(f"begins with {body[:8]!r}")
    return passed(f"{len(body)} bytes") if len(body) <= LARGEST_ANSWER else broken(f"{len(body)} bytes")


CHECKS: Final[tuple[Check, ...]] = (
    offer_accepted,
    answer_typed,
    location_given,
    location_plain,
    answer_fits_offer,
    candidates_in_answer,
    media_type_alone_counts,
    bare_line_feeds,
    reply_in_time,
    sessions_differ,
    locations_unguessable,
    answer_small_and_plain,
)
