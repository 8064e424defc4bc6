"""C-11: a player that can answer, where the server makes the offer (draft-ietf-wish-whep-04 section 4.3.2).

Strict makes no difference here beyond the warnings.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import httpx

from conformance.agent.manner import Manner, NotConnected
from conformance.canned import SDP, UNKNOWN_AUDIO, UNKNOWN_VIDEO, Identity, audio, make_offer, video
from conformance.check import Check, Result, Severity, broken, check, passed, warned
from conformance.description import Description, MalformedDescription, Media, parse
from conformance.live_session import live_agent
from conformance.resource import location_of, media_type
from conformance.target import Target, Unmet

PLAYABLE: Final = ("opus/48000/2", "h264/90000", "vp8/90000")


@asynccontextmanager
async def countered(target: Target) -> AsyncIterator[httpx.Response]:
    """A counter-offer, if an offer can be found that is answered so. Errors: Unmet."""
    statuses = []
    strange = make_offer("whep", audio("whep", UNKNOWN_AUDIO), video("whep", UNKNOWN_VIDEO))
    for offer in (target.offer(), strange):
        async with target.posted(offer.text) as reply:
            if reply.status_code == httpx.codes.NOT_ACCEPTABLE and media_type(reply) == SDP:
                yield reply
                return
            statuses.append(str(reply.status_code))
    raise Unmet(f"no counter-offers: {statuses[0]} to an offer, {statuses[1]} to one of unknown codecs")


@check(
    "C-11",
    on="whep",
    severity=Severity.INFO,
    live=True,
    tier=3,
    clauses=("E-EP-05", "E-EP-07", "E-EP-12"),
    text="A counter-offer (406 with SDP) is completed by a PATCH with the answer: 204, and media arrives.",
)
async def counter_offer_completes(target: Target) -> Result:
    """Few servers make one; where one is made it has to lead somewhere."""
    limits = target.wire.limits.live
    async with live_agent(target, Manner(answers=True)) as agent, countered(target) as reply:
        url = location_of(reply)
        if url is None:
            return broken("406 with an offer, but without Location", Severity.MUST)
        try:
            offer = parse(reply.text)
            setup = "passive" if offer.transport("setup") == "active" else "active"
            answer = answer_to(offer, agent.identity, agent.candidate, setup)
            agent.take_offer(offer, setup=setup)
            patched = await target.wire.request("PATCH", url, headers={"Content-Type": SDP}, content=answer)
            if patched.status_code != httpx.codes.NO_CONTENT:
                return broken(f"{patched.status_code} to the answer", Severity.MUST)
            took_s = await agent.connect(limits.connect_s)
        except MalformedDescription as error:
            return broken(f"the offer of the 406 cannot be read: {error}", Severity.MUST)
        except NotConnected as error:
            return warned(f"204 to the answer, but {error}")
        await agent.wait_for(lambda: bool(agent.log.sources), limits.media_s)
        if not agent.log.sources:
            return warned(f"204, connected after {took_s:.2f} s, but no media")
        return passed(f"204, connected after {took_s:.2f} s, media arrives")


def answer_to(offer: Description, identity: Identity, candidate: str, setup: str) -> str:
    """A player's answer: every section that sends something playable is received. Errors: Unmet where there is none."""
    wanted = [media for media in offer.media if media.direction in ("sendonly", "sendrecv") and playable(media)]
    if not wanted:
        raise Unmet("the counter-offer holds nothing that this tool can play")
    mids = " ".join(media.mid or "" for media in wanted)
    lines = ["v=0", "o=- 2 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {mids}"]
    for media in offer.sections:
        mid = [f"a=mid:{media.mid}"] if media.mid is not None else []
        payload = playable(media) if media in wanted else None
        if payload is None:
            lines += [f"m={media.kind} 0 {media.protocol} {media.formats[0]}", "c=IN IP4 0.0.0.0", *mid, "a=inactive"]
            continue
        lines += [f"m={media.kind} 9 {media.protocol} {payload}", "c=IN IP4 0.0.0.0", *mid, "a=recvonly"]
        lines += [f"a=ice-ufrag:{identity.ufrag}", f"a=ice-pwd:{identity.password}", "a=rtcp-mux", f"a=setup:{setup}"]
        lines += [f"a=fingerprint:{identity.fingerprint}", f"a=rtpmap:{payload} {media.by_format('rtpmap')[payload]}"]
        parameters = media.by_format("fmtp").get(payload)
        lines += [f"a=fmtp:{payload} {parameters}"] if parameters else []
        lines += [f"a=candidate:{candidate}"] if media is wanted[0] else []
    return "".join(f"{line}\r\n" for line in lines)


def playable(media: Media) -> str | None:
    """The first payload type of a section whose codec is known here."""
    names = media.by_format("rtpmap")
    return next((payload for payload in media.formats if names.get(payload, "").lower() in PLAYABLE), None)


CHECKS: Final[tuple[Check, ...]] = (counter_offer_completes,)
