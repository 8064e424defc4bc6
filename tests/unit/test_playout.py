"""Live units wait for their time, and come out in order."""

from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import Codec, Unit
from whep_server.live.playout import FENCES, MAX_HELD, Playout


def unit(media_time: int, codec: Codec = Codec.H264, epoch: int = 0) -> Unit:
    return Unit("demo", epoch, codec, media_time, keyframe=False, data=b"")


def times(units) -> list[int]:
    return [each.media_time for each in units]


@given(st.lists(st.integers(0, 100)), st.integers(0, 100))
def test_what_is_due_comes_out_in_order_and_once(arrivals, now):
    playout = Playout()
    for media_time in arrivals:
        playout.push(unit(media_time))
    assert times(playout.pop_due(Codec.H264, now)) == sorted(each for each in arrivals if each <= now)
    assert times(playout.pop_due(Codec.H264, 100)) == sorted(each for each in arrivals if each > now)


def test_codecs_do_not_mix():
    playout = Playout()
    playout.push(unit(1, Codec.OPUS))
    assert playout.pop_due(Codec.VP8, 9) == []
    assert times(playout.pop_due(Codec.OPUS, 9)) == [1]


def test_the_next_keyframe_is_known():
    playout = Playout()
    assert playout.next_keyframe(Codec.H264) == (0, False)
    for media_time in (300, 100, 200):
        playout.push(unit(media_time))
    assert playout.next_keyframe(Codec.H264) == (300, False)
    for media_time in (250, 150):
        playout.push(Unit("demo", 0, Codec.H264, media_time, keyframe=True, data=b""))
    assert playout.next_keyframe(Codec.H264) == (150, True)
    assert playout.next_keyframe(Codec.VP8) == (0, False)


@given(
    st.lists(st.integers(0, 100), min_size=1, max_size=FENCES + 5).map(sorted),
    st.lists(st.tuples(st.integers(0, FENCES + 5), st.integers(0, 100))),
    st.booleans(),
)
def test_what_was_made_before_an_interruption_for_a_later_time_never_comes_out(fences, made, held):
    playout = Playout()
    units = [unit(media_time, epoch=min(epoch, len(fences))) for epoch, media_time in made]
    for each in units if held else []:
        playout.push(each)
    for epoch, at in enumerate(fences, start=1):
        playout.fence(epoch, at, 0)
    for each in [] if held else units:
        playout.push(each)
    came = playout.pop_due(Codec.H264, 100)
    assert playout.dropped == len(units) - len(came)
    for each in units:
        stale = any(each.epoch < epoch and each.media_time >= at for epoch, at in enumerate(fences, start=1))
        forgotten = len(fences) >= FENCES and each.epoch < len(fences) - FENCES + 1
        assert came.count(each) == (0 if stale or (forgotten and not held) else units.count(each))


def test_a_fence_knows_the_clock_of_each_track():
    playout = Playout()
    for media_time in (100, 200):
        playout.push(unit(media_time))
        playout.push(unit(media_time, Codec.OPUS))
    playout.fence(1, 200, 150)
    assert times(playout.pop_due(Codec.H264, 999)) == [100]
    assert times(playout.pop_due(Codec.OPUS, 999)) == [100]


def test_renditions_do_not_mix():
    playout = Playout()
    playout.push(Unit("demo", 0, Codec.H264, 1, keyframe=True, data=b"", rendition=2))
    assert playout.pop_due(Codec.H264, 9) == []
    assert playout.next_keyframe(Codec.H264, 2) == (1, True)
    assert times(playout.pop_due(Codec.H264, 9, 2)) == [1]


def test_a_cut_ends_pictures_and_sound_at_one_time():
    playout = Playout()
    for media_time in (100, 200):
        playout.push(unit(media_time))
        playout.push(unit(media_time, Codec.OPUS))
    playout.cut(200, 150)
    assert times(playout.pop_due(Codec.H264, 999)) == [100]
    assert times(playout.pop_due(Codec.OPUS, 999)) == [100]


def test_a_worker_that_runs_wild_fills_no_memory():
    playout = Playout()
    for media_time in range(MAX_HELD + 1):
        playout.push(unit(media_time))
    assert playout.dropped == 1
    assert len(playout.pop_due(Codec.H264, MAX_HELD)) == MAX_HELD
