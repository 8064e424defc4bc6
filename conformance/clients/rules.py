"""K: what clients have to do, judged by what they asked of the mock. What a visit says nothing about is skipped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from conformance import ProtocolName
from conformance.canned import SDP, SDPFRAG
from conformance.check import PROTOCOLS, Outcome, Result, Severity, broken, graded, noted, passed, skipped, warned
from conformance.clients.offer_rules import (
    bundled,
    codecs,
    direction,
    dtls_role,
    full_ice,
    one_stream,
    readable,
)
from conformance.clients.scripts import RETRY_S, UNKNOWN_PATH
from conformance.clients.witness import Step, Visit
from conformance.description import MalformedDescription, parse

MUST, SHOULD, INFO = Severity.MUST, Severity.SHOULD, Severity.INFO
AT_ONCE_S: Final = 0.25
"""Two PATCHes within this time could have been one."""
EARLY_S: Final = 0.1
"""Clocks and networks are not exact: so much before its time is in time."""
MOST_TRIES: Final = 3
WILDCARDS: Final = ("*", '"*"')
Judge = Callable[[Visit], Result]


@dataclass(frozen=True, slots=True)
class Rule:
    """One duty of a client."""

    id: str
    protocols: frozenset[ProtocolName]
    severity: Severity
    clauses: tuple[str, ...]
    text: str
    judge: Judge


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule and how a visit stands to it."""

    rule: Rule
    outcome: Outcome
    observed: str


# --- what is asked


def typed(visit: Visit) -> Result:
    """By POST, as application/sdp."""
    wrong = [step for step in visit.posts if step.request.media_type != SDP]
    if wrong:
        return broken(wrong[0].request.header("content-type") or "no Content-Type")
    return passed(f"offers: {len(visit.posts)}") if visit.posts else broken("no POST came")


def stops(visit: Visit) -> Result:
    """The session is deleted."""
    if visit.created is None:
        return skipped("no session was created")
    deleted = [step for step in visit.using("DELETE") if step.reply.status == 200]
    return passed("DELETE") if deleted else broken("left without DELETE")


def deletes_plainly(visit: Visit) -> Result:
    """Without an entity-tag."""
    deletes = visit.using("DELETE")
    if not deletes:
        return skipped("no DELETE came")
    tags = [step.request.header("if-match") for step in deletes]
    return broken(f"If-Match: {tags[0]}") if any(tags) else passed("no If-Match")


def authorized(visit: Visit) -> Result:
    """The token with every request, or with none."""
    steps = [step for step in visit.steps if not step.preflight and not step.request.path.startswith(UNKNOWN_PATH)]
    if visit.token is None:
        told = [step for step in steps if step.request.header("authorization") is not None]
        return broken(f"Authorization with {told[0].says}, where none is set") if told else passed("no Authorization")
    bare = [step for step in steps if step.request.header("authorization") != f"Bearer {visit.token}"]
    return broken(f"no token with {bare[0].says}") if bare else passed(f"with all {len(steps)} requests")


def finds_the_session(visit: Visit) -> Result:
    """Requests go where Location leads."""
    lost = [step for step in visit.using("PATCH", "DELETE") if step.reply.status in (404, 405)]
    ended = {step.request.path for step in visit.using("DELETE") if step.reply.status == 200}
    astray = [step for step in lost if step.request.path not in ended]
    if astray:
        return broken(f"{astray[0].says}: {astray[0].reply.status}")
    return passed("found") if visit.to_sessions else skipped("nothing was asked of a session")


def asks_options(visit: Visit) -> Result:
    """ICE servers are better taken from the 201."""
    plain = visit.using("OPTIONS")
    return noted(f"{len(plain)} OPTIONS beside preflights") if plain else passed("no OPTIONS but preflights")


def asks_head(visit: Visit) -> Result:
    """Discovery is the player's choice."""
    return noted("HEAD came") if visit.using("HEAD") else noted("no HEAD came")


def ignores_unknown(visit: Visit) -> Result:
    """An unknown relation changes nothing."""
    if visit.created is None:
        return skipped("no session was created")
    followed = [step for step in visit.steps if step.request.path.startswith(UNKNOWN_PATH)]
    if followed:
        return broken(f"asked {followed[0].says}")
    again = [step for step in visit.posts if step.asked_s > visit.created.answered_s]
    if again:
        return broken("offered anew after the 201")
    return passed("connected" if visit.connected else "went on")


# --- trickle and restart


def conditional(visit: Visit) -> Result:
    """Fragments that trickle carry the tag of the 201, or of the last restart."""
    if not visit.trickles or visit.created is None:
        return skipped("no fragment came")
    tag = visit.created.reply.header("etag")
    for step in visit.trickles:
        sent = step.request.header("if-match")
        if not restarts(visit, step) and sent != tag:
            return broken(f"If-Match: {sent or 'none'}")
        tag = step.reply.header("etag") or tag
    return passed(f"fragments: {len(visit.trickles)}")


def restarts(visit: Visit, step: Step) -> bool:
    """Whether a fragment asks for a restart: its ufrag is not the offer's."""
    ufrag = step.fragment.transport("ice-ufrag")
    return ufrag is not None and ufrag != visit.offer.transport("ice-ufrag")


def fragments_typed(visit: Visit) -> Result:
    """Fragments are sdpfrag, in type and in truth."""
    patches = [step for step in visit.using("PATCH") if step.request.media_type != SDP]
    for step in patches:
        if step.request.media_type != SDPFRAG:
            return broken(step.request.header("content-type") or "no Content-Type")
        if not step.fragment.sections and not step.fragment.session.lines:
            return broken(f"no fragment: {step.request.body[:30]!r}")
    return passed(f"fragments: {len(patches)}") if patches else skipped("no fragment came")


def first_section_only(visit: Visit) -> Result:
    """Bundled media has one transport: the tagged section's."""
    if not visit.trickles:
        return skipped("no fragment came")
    first = visit.offer.sections[0].mid if visit.offer.sections else None
    for step in visit.trickles:
        mids = [section.mid for section in step.fragment.sections]
        if len(mids) > 1 or (mids and mids[0] not in (first, None)):
            return broken(f"sections {mids}, the tagged one is {first}")
    return passed(f"section {first}")


def gathered_together(visit: Visit) -> Result:
    """What was found while the 201 was out goes in one fragment."""
    if visit.script != "late" or visit.created is None or not visit.trickles:
        return skipped("asked by the script late of clients that trickle")
    if visit.trickles[0].asked_s < visit.created.answered_s:
        return broken("PATCH before the 201")
    trickled = [step for step in visit.trickles if not restarts(visit, step)]
    soon = [step for step in trickled if step.asked_s - visit.created.answered_s < AT_ONCE_S]
    return warned(f"{len(soon)} PATCHes at once") if len(soon) > 1 else passed(f"{len(soon)} PATCH at once")


def restarts_whole(visit: Visit) -> Result:
    """New ufrag and pwd, and the wildcard."""
    found = [step for step in visit.trickles if restarts(visit, step)]
    for step in found:
        password = step.fragment.transport("ice-pwd")
        if password is None or password == visit.offer.transport("ice-pwd"):
            return broken("a new ufrag without a new pwd")
        if step.request.header("if-match") not in WILDCARDS:
            return broken(f"If-Match: {step.request.header('if-match') or 'none'}")
    return passed(f"restarts: {len(found)}") if found else skipped("no restart came")


# --- what the script provokes


def follows(visit: Visit) -> Result:
    """The offer is repeated where a 307 leads, token included (that is judged with the others)."""
    turned = next((step for step in visit.posts if step.reply.status == 307), None)
    if turned is None:
        return skipped("asked by the script redirect")
    target = turned.reply.header("location")
    after = [step for step in visit.steps if step.asked_s >= turned.answered_s and not step.preflight]
    later = [step for step in after if step.request.path == target]
    if not later:
        return broken("the redirect was not followed")
    if later[0].request.method != "POST" or later[0].request.body != turned.request.body:
        return broken(f"followed by {later[0].request.method} of {len(later[0].request.body)} bytes")
    return passed("POST repeated")


def copes_with_unknown(visit: Visit) -> Result:
    """499 is a 400 to who does not know it: there is no session, and no storm of offers."""
    odd = next((step for step in visit.posts if step.reply.status == 499), None)
    if odd is None:
        return skipped("asked by the script odd-status")
    return _refused(visit, odd)


def plain_406(visit: Visit) -> Result:
    """A 406 without an offer is an error like any other."""
    refused = next((step for step in visit.posts if step.reply.status == 406 and not step.reply.body), None)
    if refused is None:
        return skipped("asked by the script plain-406")
    return _refused(visit, refused)


def _refused(visit: Visit, refused: Step) -> Result:
    session = [
        step for step in visit.using("PATCH", "DELETE") if visit.created is None or step.asked_s < visit.created.asked_s
    ]
    if session:
        return broken(f"{session[0].says} where there is no session")
    again = [step.asked_s - refused.answered_s for step in visit.posts if step.asked_s >= refused.answered_s]
    if sum(after_s < 1 for after_s in again) > MOST_TRIES:
        return broken(f"{len(again)} more offers, some within a second")
    return passed(f"offered again after {again[0]:.1f} s" if again else "gave up")


def waits(visit: Visit) -> Result:
    """Not before Retry-After."""
    busy = next((step for step in visit.posts if step.reply.status == 409), None)
    if busy is None:
        return skipped("asked by the script busy")
    again = [step.asked_s - busy.answered_s for step in visit.posts if step.asked_s >= busy.answered_s]
    if not again:
        return noted("gave up")
    early = again[0] < RETRY_S - EARLY_S
    return broken(f"offered again after {again[0]:.1f} s") if early else passed(f"after {again[0]:.1f} s")


def answers_counter_offers(visit: Visit) -> Result:
    """By PATCH, with an answer that receives."""
    if not any(step.reply.status == 406 and step.reply.body for step in visit.posts):
        return skipped("asked by the script counter-offer")
    patched = [step for step in visit.using("PATCH") if step.request.media_type == SDP]
    if not patched:
        return broken("not answered")
    try:
        answer = parse(patched[0].request.body.decode("utf-8", "replace"))
    except MalformedDescription as error:
        return broken(f"the answer {error}")
    directions = {section.direction for section in answer.media}
    if directions != {"recvonly"}:
        return broken(f"answered {', '.join(sorted(directions)) or 'nothing'}")
    status = patched[0].reply.status
    return passed("answered recvonly") if status == 204 else broken(f"an answer that got {status}")


def rule(rule_id: str, on: str, severity: Severity, clauses: tuple[str, ...], text: str, judge: Judge) -> Rule:
    """A rule for whip, whep or both."""
    return Rule(rule_id, PROTOCOLS[on], severity, clauses, text, judge)


RULES: Final = (
    rule("K-01", "both", MUST, ("I-CL-03", "E-CL-03"), "Offers come by POST, as application/sdp.", typed),
    rule("K-02", "both", MUST, ("I-CL-03", "E-CL-03"), "The offer parses and names its sections.", readable),
    rule("K-03", "both", MUST, ("I-CL-04", "E-CL-06"), "The offer's direction is the protocol's.", direction),
    rule("K-04", "both", MUST, ("I-CL-13", "E-CL-10"), "All bundled, rtcp-mux (warning: and -only).", bundled),
    rule("K-05", "whip", MUST, ("I-CL-14",), "One MediaStream, at most one track a kind.", one_stream),
    rule("K-06", "both", SHOULD, ("I-CL-15",), "setup:actpass, or active.", dtls_role),
    rule("K-07", "both", MUST, ("I-CL-16", "E-CL-10"), "Full ICE with credentials and a fingerprint.", full_ice),
    rule("K-08", "whep", INFO, ("E-CL-07",), "How many codecs are offered.", codecs),
    rule("K-09", "both", MUST, ("I-CL-05", "E-CL-09"), "It stops by DELETE.", stops),
    rule("K-10", "both", SHOULD, ("I-CL-07", "E-CL-10"), "DELETE without If-Match.", deletes_plainly),
    rule(
        "K-11", "both", MUST, ("I-CL-19", "E-CL-10"), "The token with every request, or no Authorization.", authorized
    ),
    rule("K-12", "both", MUST, (), "Location is resolved against the endpoint.", finds_the_session),
    rule("K-13", "both", INFO, ("I-CL-18",), "ICE servers are not looked for by OPTIONS.", asks_options),
    rule("K-14", "whep", INFO, ("E-CL-02",), "HEAD may be asked first.", asks_head),
    rule("K-15", "both", MUST, ("I-CL-21", "E-CL-10"), "A Link of unknown relation is ignored.", ignores_unknown),
    rule("K-16", "both", MUST, ("I-CL-06", "E-CL-10"), "Fragments are sdpfrag.", fragments_typed),
    rule("K-17", "both", MUST, ("I-CL-06", "E-CL-10"), "Fragments carry the current tag in If-Match.", conditional),
    rule("K-18", "both", MUST, ("I-CL-10", "E-CL-10"), "Fragments hold the tagged section alone.", first_section_only),
    rule(
        "K-19", "both", MUST, ("I-CL-09", "E-CL-10"), "Candidates wait for the 201, then go in one.", gathered_together
    ),
    rule("K-20", "both", MUST, ("I-CL-11", "E-CL-10"), "A restart: new ufrag and pwd, If-Match: *.", restarts_whole),
    rule("K-21", "both", MUST, ("I-CL-17", "E-CL-10"), "A 307 is followed with method and body.", follows),
    rule("K-22", "both", MUST, ("I-CL-01", "I-CL-02", "E-CL-01"), "An unknown status is its n00.", copes_with_unknown),
    rule("K-23", "whep", SHOULD, ("E-CL-08",), "After 409 it waits for Retry-After.", waits),
    rule("K-24", "whep", MUST, ("E-CL-05",), "A 406 without SDP is a plain error.", plain_406),
    rule("K-25", "whep", MUST, ("E-CL-04", "E-CL-06"), "A counter-offer is answered by PATCH.", answers_counter_offers),
)


def verdicts(visit: Visit, *, strict: bool = False) -> list[Verdict]:
    """What all rules of the protocol say."""
    found = []
    for entry in RULES:
        if visit.protocol in entry.protocols:
            result = entry.judge(visit)
            found.append(Verdict(entry, graded(result, entry.severity, strict=strict), result.observed))
    return found
