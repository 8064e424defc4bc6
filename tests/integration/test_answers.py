"""Whatever offer we plan for, aiortc can answer: nearly right offers of all clients, with real peer connections."""

import pytest

from tests.garbage import Garbage
from tests.integration.joining import open_files
from tests.invariants import PLANNERS, planned
from tests.strategies import offer_texts
from whep_server.rtc.broadcast import Broadcast
from whep_server.rtc.ice import ice_policy
from whep_server.rtc.peer import Peer, publisher_peer, viewer_peer
from whep_server.rtc.sender import Outlet
from whep_server.settings import Settings
from whep_server.signaling.negotiation import Plan
from whep_server.signaling.sdp import parse_description

OFFERS = 400


class Silence:
    """A source that never has anything."""

    dropped = 0

    def opened(self, outlet: Outlet) -> None:
        """Nobody connects."""

    def request_keyframe(self) -> None:
        """Not heard."""


def peer_for(plan: Plan, settings: Settings) -> Peer:
    if plan.receives:
        return publisher_peer(plan, lambda *_: None, settings)
    return viewer_peer(plan, {"audio": Silence(), "video": Silence()}, 0x1F, settings, Broadcast(0.0))


@pytest.mark.parametrize("protocol", PLANNERS)
async def test_every_offer_that_is_planned_for_is_answered(protocol):
    settings, garbage, answered = Settings(), Garbage(seed=4), 0
    before = open_files()
    with ice_policy(settings):
        for _ in range(OFFERS):
            text = garbage.spoiled_offer().decode("utf-8", "replace")
            plan = planned(text, PLANNERS[protocol])
            if plan is None:
                continue
            peer = peer_for(plan, settings)
            try:
                answer = await peer.answer()
            finally:
                await peer.close()
            answered += 1
            offered, ours = plan.offer.description.sections, parse_description(answer).sections
            assert [(each.kind, each.mid) for each in ours] == [(each.kind, each.mid) for each in offered]
            accepted = {each.index for each in (*plan.served, *plan.ignored)}
            assert {at for at, each in enumerate(ours) if each.port} == accepted
            assert all(each.value("candidate") and each.value("ice-ufrag") for each in ours if each.port)
    assert answered > OFFERS / 10 and open_files() <= before


async def test_every_offer_of_a_client_is_answered_with_what_it_offers():
    settings = Settings()
    with ice_policy(settings):
        for text in offer_texts():
            for planner in PLANNERS.values():
                plan = planned(text, planner)
                if plan is None:
                    continue
                peer = peer_for(plan, settings)
                try:
                    answer = parse_description(await peer.answer())
                finally:
                    await peer.close()
                for served in plan.served:
                    ours = answer.sections[served.index]
                    assert ours.formats[0] == str(served.codec.payload_type)
                    assert set(ours.formats) <= set(served.section.formats)
                    extensions = {value.split()[0].partition("/")[0] for value in served.section.values("extmap")}
                    assert {value.split()[0] for value in ours.values("extmap")} <= extensions
