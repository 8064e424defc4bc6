import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from avatar.scheduler import FRAMES_A_TURN, LATE_FRAMES_A_TURN, TRANSIT_S, Demand, Turn, plan


def demand(
    stream: str = "a", fps: int = 25, next_frame: int = 100, until: int = 104, now: int = 100, made_in_s: float = 0.0
) -> Demand:
    return Demand(stream, fps, next_frame, until, now, made_in_s=made_in_s)


def test_nothing_is_made_that_was_not_granted():
    assert plan([demand(next_frame=104, until=104), demand("b", next_frame=200, until=104)], 8) == []


def test_a_turn_is_what_was_granted():
    assert plan([demand(until=102)], 8) == [Turn("a", 100, 2, 0)]


def test_the_stream_that_runs_dry_first_comes_first():
    later, sooner = demand("later", next_frame=103), demand("sooner", next_frame=101)
    assert [turn.stream for turn in plan([later, sooner], 8)] == ["sooner", "later"]


def test_running_dry_is_counted_in_time_not_in_frames():
    slow = demand("slow", fps=10, next_frame=103, until=110)  # 300 ms in hand
    fast = demand("fast", fps=25, next_frame=105, until=110)  # 200 ms in hand
    assert [turn.stream for turn in plan([slow, fast], 8)] == ["fast", "slow"]


def test_a_long_grant_is_made_in_several_rounds():
    assert plan([demand(until=200)], 8) == [Turn("a", 100, FRAMES_A_TURN, 0)]


def test_the_more_are_heard_the_fewer_pictures_each_has_in_a_round():
    def most_in_a_round(streams: int) -> set[int]:
        return {turn.count for turn in plan([demand(str(n)) for n in range(streams)], 64)}

    assert most_in_a_round(2) == {FRAMES_A_TURN}
    assert most_in_a_round(4) == {2}
    assert most_in_a_round(8) == most_in_a_round(20) == {1}


def test_a_stretch_begins_with_one_picture_that_others_need_not_wait_for():
    fresh = Demand("fresh", 25, 100, 110, 100, fresh=True)
    assert plan([fresh, demand("other", next_frame=101)], 8) == [Turn("fresh", 100, 1, 0), Turn("other", 101, 3, 0)]


def test_late_frames_are_stepped_over_with_those_that_would_be_late_when_they_are_made():
    assert plan([demand(next_frame=97, until=110)], 8) == [Turn("a", 97, 4 + 1, 4)]
    assert plan([demand(next_frame=97, until=110, made_in_s=0.06)], 8) == [Turn("a", 97, 5 + 1, 5)]
    assert plan([demand(next_frame=100, until=110, made_in_s=0.06)], 8) == [Turn("a", 100, 2 + 1, 2)]
    assert plan([demand(next_frame=102, until=110, made_in_s=0.06)], 8) == [Turn("a", 102, FRAMES_A_TURN, 0)]
    assert plan([demand(next_frame=100, until=110, made_in_s=0.03)], 8) == [Turn("a", 100, FRAMES_A_TURN, 0)]


def test_a_frame_that_began_a_while_ago_is_sooner_over():
    began = Demand("a", 25, 97, 110, 100, since_s=0.03, made_in_s=0.06)
    assert plan([began], 8) == [Turn("a", 97, 6 + 1, 6)]


def test_the_last_that_is_granted_is_drawn_however_late_it_may_come():
    assert plan([demand(next_frame=97, until=102, made_in_s=0.5)], 8) == [Turn("a", 97, 5, 4)]


def test_where_many_are_late_what_would_be_late_when_it_is_made_is_planned_later():
    late = [demand(str(n), next_frame=98) for n in range(12)]
    assert [turn.stream for turn in plan(late, 64)] == list("01234567")
    assert len(plan([demand(str(n)) for n in range(12)], 64)) == 12


def test_a_stream_far_behind_catches_up_in_bounded_rounds_before_it_is_drawn():
    (turn,) = plan([demand(next_frame=0, until=104)], 8)
    assert (turn.late, turn.count) == (LATE_FRAMES_A_TURN, LATE_FRAMES_A_TURN)


def test_where_one_is_late_each_engines_rounds_are_as_broad_as_they_may_be():
    drawn = [replace(demand(f"d{n}", next_frame=90 + n), engine="drawn", breadth=2) for n in range(4)]
    filmed = [replace(demand(f"f{n}", next_frame=100 + n), engine="filmed", breadth=3) for n in range(4)]
    assert [turn.stream for turn in plan([*filmed, *drawn], 64)] == ["d0", "d1", "f0", "f1", "f2"]
    in_time = [replace(each, next_frame=100) for each in drawn]
    assert len(plan(in_time, 64)) == len(in_time)


def test_late_frames_beyond_the_grant_are_not_made():
    assert plan([demand(next_frame=90, until=95, now=100)], 8) == [Turn("a", 90, 5, 5)]


def test_no_more_streams_than_the_engine_takes():
    assert len(plan([demand(str(n)) for n in range(20)], 16)) == 16


@given(
    st.lists(
        st.builds(
            Demand,
            st.uuids().map(str),
            st.sampled_from([10, 25, 30]),
            *[st.integers(0, 500)] * 3,
            made_in_s=st.floats(0, 1),
        ),
        max_size=30,
    ),
)
def test_turns_stay_within_grants(demands: list[Demand]):
    granted = {each.stream: each for each in demands}
    for turn in plan(demands, 8):
        asked = granted[turn.stream]
        assert turn.first == asked.next_frame
        assert 1 <= turn.count <= asked.until - asked.next_frame
        assert 0 <= turn.late <= turn.count
        # a frame is left undrawn only where its time has passed, or will have when it is made
        assert turn.late <= max(0, asked.now + math.ceil((asked.made_in_s + TRANSIT_S) * asked.fps) - asked.next_frame)


def render(stream: str, next_frame: int) -> Demand:
    """A recording that nobody watches: granted far ahead, never late."""
    return demand(stream, next_frame=next_frame, until=1000, now=0)


def test_recordings_alone_have_all_the_time_there_is():
    assert plan([render("a", 40), render("b", 0)], 8) == [
        Turn("a", 40, FRAMES_A_TURN, 0),
        Turn("b", 0, FRAMES_A_TURN, 0),
    ]


def test_beside_a_stream_that_is_heard_those_recordings_get_a_frame_that_waited_longest():
    live = demand("live", next_frame=101, until=104)
    recordings = [render("a", 3), render("b", 1), render("c", 2)]
    assert plan([*recordings, live], 8) == [
        Turn("live", 101, 3, 0),
        Turn("a", 3, 1, 0),
        Turn("b", 1, 1, 0),
    ]


def test_a_long_recording_is_made_though_short_ones_keep_coming():
    live = demand("live", next_frame=104, until=104)
    waiting = {"long": 900} | {f"short {number}": 0 for number in range(5)}
    for round_ in range(60):
        waiting[f"newer {round_}"] = 0  # as many come as are served beside the long one
        for turn in plan([live, *(render(name, made) for name, made in waiting.items())], 8):
            waiting[turn.stream] = waiting.pop(turn.stream) + 1
        waiting = {name: made for name, made in waiting.items() if name == "long" or made < 2}
    assert waiting["long"] >= 903


def test_they_keep_back_also_while_the_stream_waits_for_its_next_grant():
    live = demand("live", next_frame=104, until=104)
    assert plan([live, render("a", 0)], 8) == [Turn("a", 0, 1, 0)]


def test_a_stream_far_ahead_of_its_time_can_wait_too():
    ahead = demand("ahead", next_frame=150, until=400)
    assert plan([ahead, demand("near", next_frame=102)], 8) == [Turn("near", 102, 2, 0), Turn("ahead", 150, 1, 0)]
