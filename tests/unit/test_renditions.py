"""When a viewer goes over to another rendition, and what it is shown meanwhile."""

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.messages import IDLE_PHASES, Codec
from tests.kept_units import KeptUnits
from tests.picture_show import MIDDLE, RUNGS, SMALL, Show, vp8
from tests.unit.test_idle import FPS
from whep_server.live.pictures import DRAIN_S
from whep_server.live.video_feed import VideoFeed
from whep_server.rtc.sender import Feedback


def test_an_idle_viewer_changes_over_within_200_ms():
    show = Show(0, MIDDLE, SMALL)
    assert show.show_rungs(range(10, 12)) == [0, 0]
    show.feed.wanted = SMALL
    assert show.show_rungs(range(12, 20)) == [0] * 3 + [SMALL] * 5
    show.feed.wanted = MIDDLE
    assert show.show_rungs(range(20, 22)) == [MIDDLE] * 2
    assert show.feed.frame_size == (960, 540)


class Congested(KeptUnits):
    """An outlet to a viewer that loses most of what it is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.feedback = Feedback(reports=1, fraction_lost=0.8, sent_bps=1_400_000)


@pytest.mark.parametrize("live", [False, True])
def test_who_is_sent_too_much_is_sent_nothing_until_there_is_room_for_the_small_picture(live: bool):
    show = Show(0, SMALL)
    show.show(range(10))
    for frame in range(10, 60):
        show.live_unit(frame, keyframe=frame == 10)
        show.live_unit(frame, keyframe=frame == 37, rendition=SMALL)
    show.show(range(10, 21), live)
    show.feed.opened(Congested())
    show.feed.choose(5.0)
    assert show.feed.wanted == SMALL
    show.feed.opened(show.outlet)
    shown = show.show(range(21, 45), live)
    drained = 21 + round(DRAIN_S * FPS)
    assert drained <= shown[0][0] <= drained + FPS / IDLE_PHASES and shown[0][2]
    assert [frame for frame, _, _ in shown] == list(range(shown[0][0], 45))
    assert [frame for frame, is_live, _ in shown if is_live] == (list(range(37, 45)) if live else [])
    assert show.feed.rendition == SMALL


def test_who_is_sent_too_much_goes_on_where_there_is_no_smaller_picture_yet():
    show = Show(0)
    show.show(range(10))
    show.feed.opened(Congested())
    show.feed.choose(5.0)
    assert show.feed.wanted == SMALL
    show.feed.opened(show.outlet)
    assert [frame for frame, _, _ in show.show(range(10, 40))] == list(range(10, 40))


def test_an_idle_viewer_waits_for_a_rendition_that_is_yet_to_be_encoded():
    show = Show(0)
    show.feed.wanted = SMALL
    assert show.show_rungs(range(10, 32)) == [0] * 22
    show.add_loop(SMALL)
    assert show.show_rungs(range(32, 40)) == [0] * 3 + [SMALL] * 5


def test_a_speaking_viewer_changes_over_at_the_first_keyframe_and_goes_on_until_then():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 30):
        show.live_unit(frame, keyframe=frame == 10)
    assert show.show_rungs(range(10, 14), live=True) == [0] * 4
    show.feed.wanted = SMALL
    assert show.feed.encodings == set(vp8(0, SMALL))
    for frame in range(20, 30):
        show.live_unit(frame, keyframe=frame == 20, rendition=SMALL)
    assert show.show_rungs(range(14, 24), live=True) == [0] * 6 + [SMALL] * 4
    assert show.needed == [set(vp8(SMALL))], "nothing more is encoded than is shown"
    assert show.asked == []


def test_a_keyframe_is_asked_for_of_a_rendition_that_others_watch_already():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 30):
        show.live_unit(frame, keyframe=frame == 10)
        show.live_unit(frame, keyframe=frame in (10, 17), rendition=MIDDLE)
    assert show.show_rungs(range(10, 12), live=True) == [0] * 2
    show.feed.wanted = MIDDLE
    show.playout.cut(show.clock.video_time(14), 0)  # the worker is two frames ahead
    assert show.show_rungs(range(12, 14), live=True) == [0] * 2
    assert show.asked == vp8(MIDDLE) * 2
    for frame in range(14, 20):
        show.live_unit(frame)
        show.live_unit(frame, keyframe=frame == 15, rendition=MIDDLE)
    assert show.show_rungs(range(14, 20), live=True) == [0] + [MIDDLE] * 5


def test_two_viewers_cross_at_one_frame():
    show = Show(0, SMALL)
    outlet, other = KeptUnits(), VideoFeed(Codec.VP8, RUNGS, lambda: None)
    other.opened(outlet)
    other.wanted = SMALL
    for frame in range(10):
        show.pictures.show(frame, [show.feed, other], live=False)
    show.feed.wanted, other.wanted = SMALL, 0
    for frame in range(10, 14):
        for rung in (0, SMALL):
            show.live_unit(frame, keyframe=frame == 10, rendition=rung)
        show.pictures.show(frame, [show.feed, other], live=True)
    for feed, kept, rung in ((show.feed, show.outlet, SMALL), (other, outlet, 0)):
        units = kept.taken()
        assert [show.clock.frame_of_time(unit.rtp_time) for unit in units] == list(range(14))
        assert {unit.payloads[0][3] for unit in units[10:]} == {rung}
        assert feed.rendition == rung


def test_a_picture_is_cut_once_for_all_who_show_its_rendition():
    show = Show(0)
    outlets = [KeptUnits() for _ in range(3)]
    feeds = [VideoFeed(Codec.VP8, RUNGS, lambda: None) for _ in outlets]
    for feed, outlet in zip(feeds, outlets, strict=True):
        feed.opened(outlet)
    feeds[2].wanted = SMALL
    for rung in (0, SMALL):
        show.live_unit(0, keyframe=True, rendition=rung)
    show.pictures.show(0, feeds, live=True)
    first, second, third = (outlet.taken()[0] for outlet in outlets)
    assert first is second and third is not first


def test_speech_ends_in_the_rendition_that_is_wanted():
    show = Show(0, SMALL)
    show.feed.wanted = SMALL
    show.show(range(10))
    for frame in range(10, 15):
        show.live_unit(frame, keyframe=frame == 10, rendition=SMALL)
    assert show.show_rungs(range(10, 15), live=True) == [SMALL] * 5
    assert show.show_rungs(range(15, 20)) == [SMALL] * 5


def test_speech_ends_in_the_nearest_rendition_where_the_wanted_one_is_missing():
    show = Show(0)
    show.show(range(10))
    show.feed.wanted = SMALL
    for frame in range(10, 15):
        show.live_unit(frame, keyframe=frame == 10, rendition=SMALL)
    assert show.show_rungs(range(10, 15), live=True) == [SMALL] * 5
    assert show.show_rungs(range(15, 20)) == [0] * 5


def test_a_loss_while_changing_over_is_made_good_in_either_rendition():
    show = Show(0)
    show.show(range(10))
    for frame in range(10, 14):
        show.live_unit(frame, keyframe=frame == 10)
    show.show(range(10, 12), live=True)
    show.feed.wanted = SMALL
    show.feed.request_keyframe()
    show.show(range(12, 14), live=True)
    assert set(show.asked) == set(vp8(0)), "of the wanted one nothing has come, so that it begins with a keyframe"
    show.live_unit(14, keyframe=True)
    show.show(range(14, 15), live=True)
    assert not show.feed.wants_keyframe and show.feed.rendition == 0


class Steps(NamedTuple):
    """What a worker makes at one frame, and what is wanted from then on."""

    wanted: int
    made: dict[int, bool]
    """Rungs that have a unit of this frame, and whether it is a keyframe."""
    live: bool
    late: bool
    """Whether it comes one frame after its time."""


STEPS = st.lists(
    st.builds(
        Steps, st.integers(0, 2), st.dictionaries(st.integers(0, 2), st.booleans()), st.booleans(), st.booleans()
    ),
    max_size=60,
)


@given(STEPS, st.sets(st.integers(1, 2)))
def test_whatever_is_made_what_is_shown_can_be_decoded_and_never_goes_back(steps: list[Steps], loops: set[int]):
    show = Show(0, *loops)
    chain: tuple[str, int] | None = None
    last = -1
    late: list[tuple[int, bool, int]] = []
    for frame, step in enumerate(steps):
        show.feed.wanted = step.wanted
        units = [(frame, keyframe, rung) for rung, keyframe in step.made.items()]
        for number, keyframe, rung in late + ([] if step.late else units):
            show.live_unit(number, keyframe, rung)
        late = units if step.late else []
        show.pictures.show(frame, [show.feed], step.live)
        for unit in show.outlet.taken():
            number = show.clock.frame_of_time(unit.rtp_time)
            assert last < number <= frame
            kind = ("live", unit.payloads[0][3]) if unit.payloads[0][1:2] == b"L" else ("idle", show.feed.rendition)
            assert unit.keyframe or kind == chain, "a picture refers to one that the viewer has"
            last, chain = number, kind
