"""A viewer's feed: what leaves can be decoded, and what does not is counted."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import Codec
from tests.kept_units import KeptUnits
from whep_server.live.fanout import Feed
from whep_server.live.packetize import Packetised
from whep_server.rtc.sender import Feedback


def unit(at: int, keyframe: bool) -> Packetised:
    return Packetised((b"x",), at, keyframe)


def opened(outlet: KeptUnits) -> Feed:
    feed = Feed(Codec.OPUS, lambda: None)
    feed.opened(outlet)
    return feed


@given(st.lists(st.tuples(st.booleans(), st.booleans())))
def test_what_leaves_is_decodable_and_every_unit_is_accounted_for(arrivals):
    outlet = KeptUnits()
    feed = opened(outlet)
    for at, (keyframe, full) in enumerate(arrivals):
        outlet.full = full
        asks = feed.push(unit(at, keyframe))
        assert not (asks and (full or keyframe)), "one that comes now would be left out, or has come"
    out = outlet.taken()
    assert len(out) + feed.dropped == len(arrivals)
    for before, after in zip([None, *out], out, strict=False):
        assert after.keyframe or (before is not None and after.rtp_time == before.rtp_time + 1)


def test_where_the_way_was_full_a_keyframe_is_asked_for_once_it_is_free():
    outlet = KeptUnits()
    feed = opened(outlet)
    assert [feed.push(unit(0, True)), feed.push(unit(1, False))] == [False, False]
    outlet.full = True
    assert [feed.push(unit(2, False)), feed.push(unit(3, True))] == [False, False]
    outlet.full = False
    assert [feed.push(unit(4, False)), feed.push(unit(5, True)), feed.push(unit(6, False))] == [True, False, False]
    assert [each.rtp_time for each in outlet.taken()] == [0, 1, 5, 6]
    assert feed.dropped == 3


async def test_a_feed_says_when_the_way_is_there():
    began = asyncio.Event()
    feed = Feed(Codec.VP8, began.set)
    assert not feed.reading and not began.is_set() and feed.feedback == Feedback()
    assert not feed.push(unit(0, True)) and feed.dropped == 1
    outlet = KeptUnits()
    outlet.feedback = Feedback(reports=1, remb_bps=400_000)
    feed.opened(outlet)
    assert feed.reading and began.is_set() and feed.feedback.remb_bps == 400_000
