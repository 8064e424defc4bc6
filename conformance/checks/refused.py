"""N: offers that must be refused, and what a refusal says.

Strict: WHEP's 415 for a wrong content type is demanded (RFC 9725 asks WHIP for any 4xx).
"""

import json
from dataclasses import replace
from typing import Final

import httpx

from conformance.canned import SDP, UNKNOWN_AUDIO, UNKNOWN_VIDEO, Section, audio, make_offer, video, without_lines
from conformance.check import Check, Result, Severity, broken, check, lenient, noted, passed, skipped, warned
from conformance.description import MalformedDescription, parse
from conformance.resource import answer_of, media_type
from conformance.target import Target
from conformance.wire import NO_REPLY, retry_after_s

MUST, SHOULD, INFO = Severity.MUST, Severity.SHOULD, Severity.INFO
UNPROCESSABLE: Final = (400, 422)
LARGE: Final = 1024 * 1024
PADDING: Final = "a=x-padding:" + "0" * 100
TRACES: Final = ("Traceback (most recent call last)", "goroutine ", "\tat ", 'File "/', "panic:")


async def refusal(
    target: Target, body: str | bytes, content_type: str | None = SDP
) -> tuple[httpx.Response, Result | None]:
    """The reply to what must be refused, and the fault where it was not, or not properly."""
    async with target.posted(body, content_type=content_type) as reply:
        return reply, refusal_fault(target, reply)


def refusal_fault(target: Target, reply: httpx.Response) -> Result | None:
    """What is wrong with a reply that should be a 4xx; a WHEP counter-offer is judged by N-13."""
    took_s = reply.elapsed.total_seconds()
    if not reply.is_client_error:
        return broken(f"{reply.status_code}", MUST)
    if took_s >= target.wire.limits.slow_reply_s:
        return broken(f"{reply.status_code} after {took_s:.1f} s")
    if "location" in reply.headers and reply.status_code != httpx.codes.NOT_ACCEPTABLE:
        return broken(f"{reply.status_code} with a Location")
    return None


async def refused_all(target: Target, *bodies: tuple[str, str | bytes]) -> Result:
    """Every body must get a 4xx; the pairs are a name and a body."""
    seen = []
    for name, body in bodies:
        try:
            reply, fault = await refusal(target, body)
        except NO_REPLY as error:
            return broken(f"{name}: no reply ({type(error).__name__})")
        if fault is not None:
            return replace(fault, observed=f"{name}: {fault.observed}")
        seen.append(f"{name}: {reply.status_code}")
    return passed(", ".join(seen))


def wrong_type(target: Target, reply: httpx.Response, fault: Result | None) -> Result:
    """The verdict on a POST of another content type."""
    if fault is not None:
        return fault
    if reply.text.startswith("v=0"):
        return broken(f"{reply.status_code} with SDP in the error")
    exact = target.protocol == "whip" or target.old or reply.status_code == httpx.codes.UNSUPPORTED_MEDIA_TYPE
    observed = f"{reply.status_code}"
    return passed(observed) if exact else lenient(f"{observed} where -04 says 415", target)


@check(
    "N-01",
    on="both",
    severity=MUST,
    clauses=("I-EP-07", "E-EP-10"),
    text="A valid offer as text/plain gets 4xx; 415 in WHEP.",
)
async def plain_text(target: Target) -> Result:
    """Strict: 415 and nothing else in WHEP."""
    return wrong_type(target, *await refusal(target, target.offer().text, "text/plain"))


@check(
    "N-02",
    on="both",
    severity=MUST,
    clauses=("I-EP-07", "E-EP-10"),
    text="A valid offer without Content-Type gets 4xx; 415 in WHEP.",
)
async def untyped(target: Target) -> Result:
    """Strict: 415 and nothing else in WHEP."""
    return wrong_type(target, *await refusal(target, target.offer().text, None))


@check(
    "N-03",
    on="both",
    severity=MUST,
    clauses=("I-EP-08", "E-EP-10"),
    text="`hello` and an empty body get 4xx without Location (an offer in return is what murillo-01 did).",
)
async def no_description(target: Target) -> Result:
    """An empty POST answered by an offer is right for the old draft, wrong since."""
    hello = await refused_all(target, ("hello", "hello"))
    if hello.outcome.red:
        return hello
    reply, fault = await refusal(target, b"")
    if reply.is_success and reply.text.startswith("v=0"):
        return noted("empty: a server offer, as in murillo-01") if target.old else broken("empty: a murillo-01 offer")
    if fault is not None:
        return replace(fault, observed=f"empty: {fault.observed}")
    return passed(f"{hello.observed}, empty: {reply.status_code}")


@check(
    "N-04",
    on="both",
    severity=MUST,
    clauses=("I-EP-08", "E-EP-10"),
    text="An offer cut off inside its last fingerprint, and one with NUL and invalid UTF-8, get 4xx within 5 s.",
)
async def damaged_description(target: Target) -> Result:
    """The cut is where nothing can be guessed: the last section has half a fingerprint and no codecs."""
    text = target.offer().text
    cut = text[: text.rindex("a=fingerprint:") + 40]
    binary = target.offer().text.encode().replace(b"s=-\r\n", b"s=\x00\xff\xfe\r\n")
    return await refused_all(target, ("cut off", cut), ("NUL and no UTF-8", binary))


@check(
    "N-05",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-08", "E-EP-10"),
    text="Without fingerprint (RFC 8842 5), and without ufrag and pwd (RFC 8839 5.4), an offer gets 4xx.",
)
async def no_transport(target: Target) -> Result:
    """Nobody could ever connect; a 201 hides that until a timeout."""
    text = target.offer().text
    return await refused_all(
        target,
        ("no fingerprint", without_lines(text, "a=fingerprint:")),
        ("no ufrag and pwd", without_lines(text, "a=ice-ufrag:", "a=ice-pwd:")),
    )


@check(
    "N-06",
    on="both",
    severity=MUST,
    clauses=("I-EP-17", "E-EP-08", "E-EP-09"),
    text="Only unknown codecs: 422 or 400; in WHEP also 406, if it carries an offer.",
)
async def unknown_codecs(target: Target) -> Result:
    """Another 4xx is a warning; 406 without SDP confuses players that know counter-offers."""
    kind = target.protocol
    offer = make_offer(kind, audio(kind, UNKNOWN_AUDIO), video(kind, UNKNOWN_VIDEO))
    reply, fault = await refusal(target, offer.text)
    if fault is not None:
        return fault
    if reply.status_code == httpx.codes.NOT_ACCEPTABLE and target.protocol == "whep" and not target.old:
        return counter_offer(reply)
    observed = f"{reply.status_code}"
    return passed(observed) if reply.status_code in UNPROCESSABLE else warned(f"{observed} where 422 or 400 is meant")


def counter_offer(reply: httpx.Response) -> Result:
    """Whether a 406 is a counter-offer, the one thing it may be in WHEP."""
    if media_type(reply) != SDP:
        return broken(f"406 as {reply.headers.get('content-type', 'no type')}")
    try:
        offer = parse(reply.text)
    except MalformedDescription as error:
        return broken(f"406 whose SDP {error}")
    roles = {section.inherited("setup") for section in offer.accepted}
    directions = {section.direction for section in offer.media}
    if not roles or not roles <= {"actpass", "active"}:
        return broken(f"406 whose SDP is no offer: setup {sorted(map(str, roles))}")
    if directions & {"inactive", "recvonly"}:
        return broken(f"406 that offers {sorted(directions)}")
    return passed("406 with an offer") if "location" in reply.headers else broken("406 without Location")


@check(
    "N-07",
    on="both",
    severity=MUST,
    tier=2,
    clauses=("I-EP-08", "E-EP-10"),
    text="An offer whose sections are all inactive gets 4xx.",
)
async def inactive(target: Target) -> Result:
    """Clients must not send it (RFC 9725 4.2; WHEP 4.3.6)."""
    return await refused_all(target, ("inactive", target.offer().directed("inactive").text))


@check(
    "N-08",
    on="both",
    severity=MUST,
    clauses=("I-EP-09", "E-EP-11"),
    text="The wrong direction gets 4xx: recvonly at WHIP, sendonly at WHEP.",
)
async def wrong_direction(target: Target) -> Result:
    """A player at a publishing address, or the other way round."""
    wrong = "recvonly" if target.protocol == "whip" else "sendonly"
    return await refused_all(target, (wrong, target.offer().directed(wrong).text))


@check(
    "N-09",
    on="whip",
    severity=MUST,
    tier=2,
    clauses=("I-EP-16",),
    text="Two video tracks: 422 or 400, or 201 with both recvonly.",
)
async def two_videos(target: Target) -> Result:
    """Silently taking one of them is what the clause forbids."""
    offer = make_offer("whip", audio("whip"), video("whip"), video("whip", mid="2"))
    async with target.posted(offer.text) as reply:
        if reply.status_code == httpx.codes.CREATED:
            directions = [section.direction for section in answer_of(reply).media if section.kind == "video"]
            both = directions == ["recvonly", "recvonly"]
            return passed("201, both accepted") if both else broken("201, but not both are accepted")
        if reply.is_client_error and reply.status_code not in UNPROCESSABLE:
            return warned(f"{reply.status_code} where 422 or 400 is meant")
        return passed(f"{reply.status_code}") if reply.is_client_error else broken(f"{reply.status_code}")


@check(
    "N-10",
    on="whip",
    severity=SHOULD,
    tier=2,
    clauses=("I-EP-17",),
    text="Good audio beside video of an unknown codec: 422 or 400, no partial answer.",
)
async def partly_unknown(target: Target) -> Result:
    """The publisher would think its picture arrives."""
    offer = make_offer("whip", audio("whip"), video("whip", UNKNOWN_VIDEO))
    reply = await target.post(offer.text)
    if reply.status_code in UNPROCESSABLE:
        return passed(f"{reply.status_code}")
    return broken(f"{reply.status_code}{': partly accepted' if reply.is_success else ''}")


@check(
    "N-11",
    on="both",
    severity=SHOULD,
    tier=3,
    clauses=("I-EP-32", "E-EP-24"),
    text="An offer of 1 MiB gets 413 or another 4xx within 5 s.",
)
async def too_large(target: Target) -> Result:
    """A body without limit is memory for the asking."""
    offer = target.offer()
    lines = LARGE // (len(PADDING) + 2) + 1
    padded = Section("audio", "0", offer.sections[0].direction, offer.sections[0].codecs, extra=(PADDING,) * lines)
    try:
        reply, fault = await refusal(target, replace(offer, sections=(padded, *offer.sections[1:])).text)
    except NO_REPLY as error:
        return broken(f"no reply ({type(error).__name__})")
    return replace(fault, severity=None) if fault is not None else passed(f"{reply.status_code}")


@check(
    "N-12",
    on="whep",
    severity=SHOULD,
    clauses=("E-EP-13",),
    text="A stream without publisher (--idle-url): 409 and Retry-After in seconds, or accepted; 404 is a warning.",
)
async def idle_stream(target: Target) -> Result:
    """Players retry after a 409; on 404 they may give up for good."""
    if target.options.idle_url is None:
        return skipped("no --idle-url names a stream without publisher")
    reply = await target.post(target.offer().text, url=target.options.idle_url)
    if reply.status_code == httpx.codes.CREATED:
        return passed("201: an idle stream is accepted")
    if reply.status_code != httpx.codes.CONFLICT:
        return noted("404, as its draft says") if target.old else broken(f"{reply.status_code}")
    wait_s = retry_after_s(reply)
    return passed(f"409, Retry-After: {wait_s}") if wait_s else broken("409 without Retry-After in seconds")


@check(
    "N-13",
    on="whep",
    severity=MUST,
    tier=2,
    clauses=("E-EP-08",),
    text="Every 406 seen during the run carries application/sdp with an offer, and Location.",
)
async def only_counter_offers(target: Target) -> Result:
    """Judges all replies so far; run late."""
    if target.old:
        return skipped("406 is an ordinary error in murillo-01")
    await provoke(target)
    seen = [reply for reply in target.wire.refusals if reply.status_code == httpx.codes.NOT_ACCEPTABLE]
    for reply in seen:
        verdict = counter_offer(reply)
        if verdict.outcome.red:
            return verdict
    return passed(f"{len(seen)} of 406, all counter-offers" if seen else "no 406 seen")


async def provoke(target: Target) -> None:
    """See that there is a refusal to judge."""
    if not target.wire.refusals:
        kind = target.protocol
        await target.post(make_offer(kind, audio(kind, UNKNOWN_AUDIO)).text)
        await target.post("hello")


@check(
    "N-14",
    on="both",
    severity=INFO,
    tier=3,
    clauses=("I-EP-02",),
    text="4xx seen during the run: problem details are well formed (RFC 9457), no stack trace, no token.",
)
async def problems_well_formed(target: Target) -> Result:
    """Problem details are optional; malformed ones, traces and tokens are a warning."""
    await provoke(target)
    problems = 0
    for reply in target.wire.refusals:
        fault = problem_fault(reply, target.wire.token)
        if fault:
            return warned(f"{reply.request.method} {reply.status_code}: {fault}")
        problems += media_type(reply) == "application/problem+json"
    return noted(f"{len(target.wire.refusals)} refusals, {problems} with problem details")


def problem_fault(reply: httpx.Response, token: str | None) -> str:
    """What is wrong with an error body; empty where nothing is."""
    if any(trace in reply.text for trace in TRACES):
        return "a stack trace"
    if token and token in reply.text:
        return "the token, echoed"
    if media_type(reply) != "application/problem+json" or not reply.content:
        return ""
    try:
        problem = json.loads(reply.text)
    except ValueError:
        return "problem+json that is no JSON"
    if not isinstance(problem, dict):
        return "problem+json that is no object"
    status = problem.get("status", reply.status_code)
    return "" if status == reply.status_code else f"problem+json with status {status}"


CHECKS: Final[tuple[Check, ...]] = (
    plain_text,
    untyped,
    no_description,
    damaged_description,
    no_transport,
    unknown_codecs,
    inactive,
    wrong_direction,
    two_videos,
    partly_unknown,
    too_large,
    idle_stream,
)
LATE: Final[tuple[Check, ...]] = (only_counter_offers, problems_well_formed)
"""They judge what all the others provoked."""
