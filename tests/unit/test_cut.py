"""Blocks of a timeline that are cut: what fades, what is silent, what goes on, and what is told again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.cut import FADE_OUT, PAUSE, Cut, cut
from avatar.messages import OPUS_SAMPLES
from avatar.timeline import GAP_BLOCKS, Block, Finished, Started, Timeline
from tests.unit.test_timeline import Speech, blocks, marks

AT = 96_000
"""Where the stretches here start."""


def made(count: int, *lengths: int) -> tuple[Timeline, list[Block]]:
    """A timeline with utterances ``u0``, ``u1``… of so many samples, of which the first blocks are made."""
    timeline = Timeline(10.0)
    for number, length in enumerate(lengths):
        timeline.enqueue(f"u{number}", Speech(length))
    timeline.begin(AT)
    return timeline, blocks(timeline, count)


def cut_at(made: list[Block], block: int, *stays: str, told: int = 0) -> Cut:
    return cut(made[block:], told, stays.__contains__)


def test_who_is_speaking_fades_out_and_is_silent():
    _, stretch = made(20, 30 * OPUS_SAMPLES)
    done = cut_at(stretch, 5)
    assert (done.utterance, done.dropped) == ("u0", [])
    assert (done.media_time, done.samples) == (AT + 5 * OPUS_SAMPLES + FADE_OUT, 5 * OPUS_SAMPLES + FADE_OUT)
    first, *rest = done.blocks
    assert np.all(np.diff(first.play[:FADE_OUT].astype(int)) <= 0), "smoothly"
    assert (first.play[0], first.play[FADE_OUT - 1]) == (1000, 0)
    assert not first.play[FADE_OUT:].any() and not any(block.play.any() for block in rest)
    assert abs(np.diff(first.play.astype(int))).max() <= 1000 * np.pi / 2 / FADE_OUT + 1
    assert done.silent == range(first.at, first.at + PAUSE)
    assert done.blocks[-1].at + OPUS_SAMPLES == done.silent.stop, "what was made of later times is void"
    assert all(block.voice is None for block in done.blocks)


def test_no_block_is_left_out_and_what_was_analysed_stays():
    _, stretch = made(12, 30 * OPUS_SAMPLES)
    done = cut_at(stretch, 8)
    assert [block.at for block in done.blocks] == [block.at for block in stretch[8:]]
    assert all(np.array_equal(one.analyse, two.analyse) for one, two in zip(done.blocks, stretch[8:], strict=True))


@pytest.mark.parametrize(("left", "faded"), [(1, 1), (FADE_OUT - 1, FADE_OUT - 1), (FADE_OUT + 1, FADE_OUT)])
def test_the_last_block_of_an_utterance_can_be_cut(left: int, faded: int):
    _, stretch = made(8, 2 * OPUS_SAMPLES + left)
    done = cut_at(stretch, 2)
    assert (done.utterance, done.samples) == ("u0", 2 * OPUS_SAMPLES + faded)
    assert done.media_time == AT + done.samples
    assert not done.said and not marks(done.blocks), "it has not finished"


def test_who_goes_on_in_the_middle_of_a_block_has_played_less():
    source = Speech(2 * OPUS_SAMPLES, ended=False)
    source.lead = 99
    timeline = Timeline(10.0)
    timeline.enqueue("u0", source)
    timeline.begin(AT)
    stretch = blocks(timeline, 5)
    source.give(Speech.enough)
    stretch += blocks(timeline, 5)
    paused, done = cut_at(stretch, 4), cut_at(stretch, 5)
    assert (paused.media_time, paused.samples) == (AT + 4 * OPUS_SAMPLES, 2 * OPUS_SAMPLES)
    assert (done.media_time, done.samples) == (AT + 5 * OPUS_SAMPLES + FADE_OUT, 2 * OPUS_SAMPLES + FADE_OUT - 99)


@pytest.mark.parametrize("late", [False, True])
def test_who_has_finished_has_finished(late: bool):
    """Its last sample stands just before the cut; that may be known only in the block that follows."""
    source = Speech(2 * OPUS_SAMPLES, ended=not late)
    timeline = Timeline(10.0)
    timeline.enqueue("u0", source)
    timeline.begin(AT)
    stretch = blocks(timeline, 2)
    source.ended = True
    stretch += blocks(timeline, 3)
    finished = Finished("u0", AT + 2 * OPUS_SAMPLES, 2 * OPUS_SAMPLES, None)
    done = cut_at(stretch, 2)
    assert (done.utterance, done.media_time, done.samples) == (None, AT + 2 * OPUS_SAMPLES, 0)
    assert not done.silent and len(done.blocks) == 3
    assert [*marks(stretch[:2])[1:], *done.said] == [finished], "told before the cut, or with it"
    assert not cut_at(stretch, 2, told=1).said, "once"


def test_nobody_is_cut_between_two_utterances_and_the_next_one_is_dropped():
    _, stretch = made(20, 2 * OPUS_SAMPLES, 9 * OPUS_SAMPLES)
    done = cut_at(stretch, 4)
    assert (done.utterance, done.dropped, done.samples) == (None, ["u1"], 0)
    assert not any(block.play.any() for block in done.blocks) and not marks(done.blocks)
    assert done.silent == range(stretch[4].at, stretch[2 + GAP_BLOCKS].at + PAUSE)


def test_who_begins_with_the_cut_is_never_heard():
    _, stretch = made(10, 30 * OPUS_SAMPLES)
    done = cut_at(stretch, 0)
    assert (done.utterance, done.dropped, done.samples) == (None, ["u0"], 0)
    assert not any(block.play.any() for block in done.blocks)


def test_who_goes_on_after_one_that_is_cut_is_told_again():
    _, stretch = made(30, 3 * OPUS_SAMPLES, 4 * OPUS_SAMPLES)
    second = 3 + GAP_BLOCKS
    done = cut_at(stretch, 1, "u1", told=29)
    assert (done.utterance, done.dropped) == ("u0", [])
    assert marks(done.blocks) == [
        Started("u1", stretch[second].at),
        Finished("u1", stretch[second + 4].at, 4 * OPUS_SAMPLES, None),
    ]
    assert done.silent == range(stretch[1].at, stretch[second].at)
    again = done.blocks[second - 1 :]
    assert all(np.array_equal(one.play, two.play) for one, two in zip(again, stretch[second:], strict=True))


def test_who_is_not_named_goes_on_as_if_nothing_had_been():
    _, stretch = made(30, 9 * OPUS_SAMPLES, 4 * OPUS_SAMPLES)
    done = cut_at(stretch, 4, "u0", "u1", told=3)
    assert done.utterance is None and not done.dropped and not done.silent and not done.said
    assert done.blocks == stretch[4:]


def test_a_pause_for_want_of_samples_can_be_cut():
    source = Speech(3 * OPUS_SAMPLES, ended=False)
    timeline = Timeline(10.0)
    timeline.enqueue("u0", source)
    timeline.begin(AT)
    stretch = blocks(timeline, 10)
    done = cut_at(stretch, 7, told=3)
    assert (done.utterance, done.media_time) == ("u0", stretch[7].at)
    assert done.samples == sum(block.voice.samples for block in stretch[:7] if block.voice is not None)


def test_a_second_cut_within_the_fade_of_the_first_changes_nothing():
    _, stretch = made(20, 30 * OPUS_SAMPLES)
    once = cut_at(stretch, 5)
    again = cut(once.blocks, 0, lambda _: False)
    assert again.utterance is None and not again.dropped and not again.silent
    assert all(np.array_equal(one.play, two.play) for one, two in zip(once.blocks, again.blocks, strict=True))


@given(
    st.lists(st.integers(1, 9000), min_size=1, max_size=4),
    st.integers(1, 60),
    st.integers(0, 59),
    st.integers(0, 60),
    st.sets(st.sampled_from(["u0", "u1", "u2", "u3"])),
)
def test_whatever_is_cut_each_mark_is_told_once_and_nobody_else_is_touched(
    lengths: list[int], count: int, place: int, told: int, stays: set[str]
):
    _, stretch = made(count, *lengths)
    place, at = min(place, count - 1), stretch[min(place, count - 1)].at
    done = cut(stretch[place:], max(0, told - place), stays.__contains__)
    told_before = [mark for block in stretch[: max(told, place)] for mark in block.marks]
    valid = [mark for mark in told_before if mark.at < at or (mark.at == at and not isinstance(mark, Started))]
    said = [*valid, *done.said, *marks(done.blocks)]
    kept = [
        mark
        for mark in marks(stretch)
        if mark.at < at or (mark.at == at and not isinstance(mark, Started)) or mark.utterance in stays
    ]
    assert sorted(map(repr, said)) == sorted(map(repr, kept))
    ended = {mark.utterance for mark in marks(stretch) if isinstance(mark, Started)} - {mark.utterance for mark in kept}
    assert set(done.dropped) == ended
    for block, before in zip(done.blocks, stretch[place:], strict=False):
        name = None if before.voice is None else before.voice.utterance
        if name in stays:
            assert np.array_equal(block.play, before.play) and block.voice == before.voice
        elif block.at > at:
            assert not block.play.any()
    spoken_before = {block.voice.utterance: block.voice for block in stretch[:place] if block.voice is not None}
    if done.utterance is not None:
        voice = spoken_before[done.utterance]
        assert voice.before + voice.samples <= done.samples <= voice.before + voice.samples + FADE_OUT
