"""What must hold of a plan and its answer, whatever the offer was: shared by the property tests and the fuzzers."""

from collections.abc import Callable
from typing import Final

from aiortc.sdp import SessionDescription, candidate_from_sdp

from tests.offers import peer_answer
from whep_server.errors import MalformedSdp, NotAcceptable
from whep_server.signaling.ingest import plan_ingest
from whep_server.signaling.negotiation import MAX_ANSWER_BYTES, Plan, dress_answer, plan_answer
from whep_server.signaling.sdp import DIRECTIONS, Description, Offer, parse_description, parse_offer

Planner = Callable[[Offer], Plan]


def plan_for_player(offer: Offer) -> Plan:
    """WHEP's plan, with both video codecs ready."""
    return plan_answer(offer, ("H264", "VP8"))


PLANNERS: Final[dict[str, Planner]] = {"whep": plan_for_player, "whip": plan_ingest}


def planned(text: str, planner: Planner) -> Plan | None:
    """The plan for a text; None where it was refused as it should be. Anything else is raised."""
    try:
        return planner(parse_offer(text))
    except (MalformedSdp, NotAcceptable):
        return None


def check_parsed(offer: Offer) -> None:
    """An offer says the same when it is written and read again; a transport of it can be used."""
    assert parse_offer(str(offer.description)) == offer
    for section in offer.description.sections:
        assert offer.direction(section) in DIRECTIONS
        try:
            transport = offer.transport(section)
        except MalformedSdp:
            continue
        assert 4 <= len(transport.ufrag) <= 256 and 22 <= len(transport.password) <= 256
        assert all(candidate_from_sdp(value).component == 1 for value in transport.candidates)


def check_served(plan: Plan) -> None:
    """Only what the peer asked for is served: one section a kind, in a direction that it wants."""
    kinds = [served.section.kind for served in plan.served]
    assert kinds and len(set(kinds)) == len(kinds) and set(kinds) <= {"audio", "video"}
    wanted = ("sendonly", "sendrecv") if plan.receives else ("recvonly", "sendrecv")
    for each in (*plan.served, *plan.ignored):
        assert plan.offer.description.sections[each.index] is each.section
        assert plan.offer.direction(each.section) in wanted and not plan.offer.rejected(each.section)


def check_shown(plan: Plan) -> None:
    """aiortc can read the offer it is shown, and sees exactly what is served, and nothing that stalls ICE."""
    shown = SessionDescription.parse(plan.peer_offer)
    assert [(media.kind, media.rtp.muxId) for media in shown.media] == [
        (served.section.kind, served.mid) for served in plan.served
    ]
    for media, served in zip(shown.media, plan.served, strict=True):
        assert media.direction == ("sendonly" if plan.receives else "recvonly")
        assert media.rtcp_mux and media.ice.usernameFragment and media.ice.password and media.dtls.fingerprints
        assert not media.ice_candidates_complete
        assert all(candidate.protocol == "udp" and candidate.component == 1 for candidate in media.ice_candidates)
        assert media.rtp.codecs[0].payloadType == served.codec.payload_type


def check_answer(plan: Plan, candidates: int = 1, padding: int = 0) -> None:
    """The answer has the offer's sections in their order, port 0 where they are refused, and is short.

    An offer of which no short answer can be made is refused. What is accepted, aiortc can read.
    """
    try:
        answer = dress_answer(peer_answer(plan, candidates, padding), plan, 0x1F)
    except NotAcceptable:
        return
    assert len(answer.encode()) < MAX_ANSWER_BYTES
    offered, ours = plan.offer.description.sections, parse_description(answer)
    dressed = ours.sections
    assert [(each.kind, each.mid, each.protocol) for each in dressed] == [
        (each.kind, each.mid, each.protocol) for each in offered
    ]
    accepted = {each.index for each in (*plan.served, *plan.ignored)}
    assert {at for at, each in enumerate(dressed) if each.port > 0} == accepted
    for at in accepted:
        assert set(dressed[at].formats) <= set(offered[at].formats)
        assert dressed[at].value("candidate")
    accepted_sections = [each for each in dressed if each.port]
    if all(each.protocol.isupper() for each in accepted_sections):  # aiortc knows no other, and the offer's comes back
        SessionDescription.parse(str(Description(ours.lines, tuple(accepted_sections))))
