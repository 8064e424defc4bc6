"""A viewer's ring: bounded, and never starting in the middle of a picture group."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import Codec
from whep_server.live.fanout import Feed, ViewerRing
from whep_server.live.packetize import Packetised


def unit(at: int, keyframe: bool) -> Packetised:
    return Packetised((b"x",), at, keyframe)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3))), st.integers(1, 6))
def test_what_comes_out_is_decodable_and_every_unit_is_accounted_for(arrivals, size):
    ring = ViewerRing(size)
    out: list[Packetised] = []
    for at, (keyframe, reads) in enumerate(arrivals):
        ring.push(unit(at, keyframe))
        assert len(ring) <= size
        out += [read for _ in range(reads) if (read := ring.pop()) is not None]
    while (read := ring.pop()) is not None:
        out.append(read)
    assert len(out) + ring.dropped == len(arrivals)
    for before, after in zip([None, *out], out, strict=False):
        assert after.keyframe or (before is not None and after.rtp_time == before.rtp_time + 1)


def test_a_full_ring_asks_for_a_keyframe_until_it_has_one():
    ring = ViewerRing(2)
    assert [ring.push(unit(0, True)), ring.push(unit(1, False))] == [False, False]
    assert [ring.push(unit(2, False)), ring.push(unit(3, False))] == [True, True]
    assert not ring.push(unit(4, True))
    assert (ring.pop(), ring.dropped) == (unit(4, True), 4)


async def test_a_feed_says_when_it_is_first_read():
    began = asyncio.Event()
    feed = Feed(Codec.OPUS, 4, began.set)
    assert not feed.reading
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        reader = group.create_task(feed.next_unit())
        await began.wait()
        feed.push(unit(7, True))
    assert reader.result() == unit(7, True)
    assert feed.reading
