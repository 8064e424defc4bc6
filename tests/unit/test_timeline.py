import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.decode import Samples
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.timeline import FADE_SAMPLES, GAP_BLOCKS, Block, Ease, Finished, Held, Mark, Resumed, Started, Timeline


class Speech:
    """A source that has what it is given, when it is given it."""

    enough = 12_000
    lead = 0
    patience_s: float | None = None

    def __init__(self, samples: int = 0, *, ended: bool = True, error: str | None = None, level: int = 1000) -> None:
        self.ended, self.error, self.abandoned = ended, error, False
        self._level, self._left, self._taken = level, samples, 0

    def give(self, samples: int) -> None:
        self._left += samples

    def available(self, held_blocks: int = 0) -> int:
        return 0 if held_blocks and self._left < self.enough and not self.ended else self._left

    def take(self, count: int) -> Samples:
        count = min(count, self._left)
        self._left -= count
        return Samples(np.full(count, self._level, np.int16), np.full(-(-count // 3), self._level / 32768, np.float32))

    def reached(self, samples: int) -> list[tuple[str, int]]:
        return []

    def abandon(self) -> None:
        self.abandoned = True


def blocks(timeline: Timeline, count: int) -> list[Block]:
    return [timeline.next_block() for _ in range(count)]


def marks(made: list[Block]) -> list[Mark]:
    return [mark for block in made for mark in block.marks]


def begun(*sources: Speech, at: int = 96_000, stall_s: float = 10.0) -> Timeline:
    timeline = Timeline(stall_s)
    for number, source in enumerate(sources):
        timeline.enqueue(f"u{number}", source)
    timeline.begin(at)
    return timeline


def test_blocks_follow_each_other_from_the_start_of_the_stretch():
    made = blocks(begun(), 5)
    assert [block.at for block in made] == [96_000 + n * OPUS_SAMPLES for n in range(5)]
    assert all(len(block.play) == 960 and len(block.analyse) == 320 for block in made)


def test_the_first_utterance_starts_with_the_stretch_and_ends_with_its_last_sample():
    made = blocks(begun(Speech(2 * OPUS_SAMPLES + 100)), 4)
    assert marks(made) == [Started("u0", 96_000), Finished("u0", 96_000 + 2020, 2020, None)]
    assert made[2].marks and not made[2].play[100:].any()


def test_an_utterance_of_whole_blocks_ends_at_a_block():
    made = blocks(begun(Speech(2 * OPUS_SAMPLES)), 3)
    assert marks(made)[-1] == Finished("u0", 96_000 + 1920, 1920, None)
    assert not made[2].play.any()


def test_utterances_are_spoken_in_order_with_a_breath_between():
    made = blocks(begun(Speech(OPUS_SAMPLES), Speech(OPUS_SAMPLES)), 20)
    starts = [(mark.utterance, mark.at) for mark in marks(made) if isinstance(mark, Started)]
    assert starts == [("u0", 96_000), ("u1", 96_000 + (1 + GAP_BLOCKS) * OPUS_SAMPLES)]
    assert not any(block.play.any() for block in made[1 : 1 + GAP_BLOCKS])


def test_speech_begins_and_ends_without_a_click():
    made = blocks(begun(Speech(3 * OPUS_SAMPLES)), 3)
    spoken = np.concatenate([block.play for block in made]).astype(int)
    assert spoken[0] == 0
    assert abs(np.diff(np.append(spoken, 0))).max() <= 1000 // FADE_SAMPLES + 1


def test_what_is_analysed_is_not_faded():
    made = blocks(begun(Speech(OPUS_SAMPLES)), 1)
    assert np.all(made[0].analyse == np.float32(1000 / 32768))


def test_a_source_that_runs_dry_is_a_pause_and_goes_on_where_it_was():
    source = Speech(3 * OPUS_SAMPLES, ended=False)
    timeline = begun(source)
    first = blocks(timeline, 10)
    heard = np.concatenate([block.play for block in first]).astype(int)
    assert abs(np.diff(heard)).max() <= 1000 // FADE_SAMPLES + 1  # faded out, not cut off
    assert not first[-1].play.any()
    source.give(Speech.enough)
    source.ended = True
    rest = blocks(timeline, 20)
    last = marks(rest)[-1]
    assert isinstance(last, Finished) and last.samples == 3 * OPUS_SAMPLES + Speech.enough


def test_a_pause_ends_only_with_enough_in_hand():
    source = Speech(OPUS_SAMPLES, ended=False)
    timeline = begun(source)
    blocks(timeline, 5)
    source.give(2 * OPUS_SAMPLES)
    assert not any(block.play.any() for block in blocks(timeline, 3))


def test_a_pause_is_told_where_it_begins_and_where_it_ends():
    source = Speech(2 * OPUS_SAMPLES + 300, ended=False)
    timeline = begun(source)
    assert marks(blocks(timeline, 6)) == [Started("u0", 96_000), Held("u0", 96_000 + 2220, 2220)]
    assert timeline.speaking(96_000 + 2219) and not timeline.speaking(96_000 + 2220)
    source.give(Speech.enough)
    assert marks(blocks(timeline, 1)) == [Resumed("u0", 96_000 + 6 * OPUS_SAMPLES, 2220)]
    assert timeline.speaking(96_000 + 6 * OPUS_SAMPLES)


def test_a_source_that_stays_dry_is_given_up():
    source = Speech(OPUS_SAMPLES, ended=False)
    made = blocks(begun(source, stall_s=0.2), 20)
    finished = marks(made)[-1]
    assert isinstance(finished, Finished) and finished.error is not None
    assert source.abandoned


def test_a_file_that_broke_off_says_so_at_its_end():
    finished = marks(blocks(begun(Speech(500, error="it broke off")), 2))[-1]
    assert isinstance(finished, Finished) and (finished.samples, finished.error) == (500, "it broke off")


def test_an_end_that_is_known_late_is_marked_late():
    source = Speech(0, ended=False)
    timeline = begun(source)
    blocks(timeline, 2)
    source.ended = True
    assert marks(blocks(timeline, 1)) == [Finished("u0", 96_000 + 2 * OPUS_SAMPLES, 0, None)]


def test_speaking_lasts_from_the_queue_to_the_last_sample():
    timeline = begun(Speech(OPUS_SAMPLES))
    assert timeline.speaking(96_000)
    blocks(timeline, 1)
    assert timeline.speaking(96_000 + 959)
    assert not timeline.speaking(96_000 + 960)
    timeline.enqueue("more", Speech(OPUS_SAMPLES))
    assert timeline.speaking(96_000 + 960)


def test_an_abandoned_utterance_is_not_spoken_and_a_spoken_one_stays():
    sources = Speech(OPUS_SAMPLES * 3), Speech(OPUS_SAMPLES)
    timeline = begun(*sources)
    blocks(timeline, 1)
    timeline.drop(lambda name: name != "u0")
    timeline.drop(lambda name: name != "u1")
    assert [mark.utterance for mark in marks(blocks(timeline, 30))] == ["u0"]
    assert not sources[0].abandoned and sources[1].abandoned


def test_clearing_names_what_is_lost():
    sources = Speech(OPUS_SAMPLES * 3), Speech(OPUS_SAMPLES)
    timeline = begun(*sources)
    blocks(timeline, 1)
    assert timeline.clear() == ["u0", "u1"]
    assert all(source.abandoned for source in sources)
    assert not timeline.busy


@settings(max_examples=50)
@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5), st.integers(0, 50))
def test_every_sample_of_every_utterance_is_played_once(lengths: list[int], start: int):
    timeline = begun(*[Speech(length) for length in lengths], at=start * OPUS_SAMPLES)
    made = blocks(timeline, sum(length // OPUS_SAMPLES + 2 + GAP_BLOCKS for length in lengths))
    finished = [mark for mark in marks(made) if isinstance(mark, Finished)]
    assert [mark.samples for mark in finished] == lengths
    starts = [mark.at for mark in marks(made) if isinstance(mark, Started)]
    assert [mark.at - at for mark, at in zip(finished, starts, strict=True)] == lengths
    assert all(at % OPUS_SAMPLES == 0 for at in starts)


def test_easing_reaches_both_ends_exactly_at_every_rate():
    for fps in (10, 15, 20, 25, 30):
        ease = Ease(fps)
        up = [ease.step(speaking=True) for _ in range(fps)]
        down = [ease.step(speaking=False) for _ in range(fps)]
        assert up == sorted(up) and up[-1] == 1.0 and 0 < up[0] < 1
        assert down == sorted(down, reverse=True) and down[-1] == 0.0
        assert down.index(0.0) + 1 >= 0.16 * fps
        assert ease.shut


def test_easing_turns_round_where_it_is():
    ease = Ease(25)
    for _ in range(5):
        ease.step(speaking=True)
    half = [ease.step(speaking=False) for _ in range(2)][-1]
    assert half < ease.step(speaking=True) <= 1.0
    assert AUDIO_HZ % 25 == 0


def test_easing_can_be_taken_back():
    ease = Ease(25)
    levels = [ease.step(speaking=number < 6) for number in range(12)]
    ease.rewind(9)
    assert [ease.step(speaking=number < 6) for number in range(3, 12)] == levels[3:]


def test_who_is_silenced_gives_way_to_the_next_after_the_silence():
    sources = Speech(9 * OPUS_SAMPLES), Speech(OPUS_SAMPLES)
    timeline = begun(*sources)
    blocks(timeline, 20)
    timeline.enqueue("u2", Speech(OPUS_SAMPLES))
    silent = range(96_000 + 3 * OPUS_SAMPLES, 96_000 + 7 * OPUS_SAMPLES)
    timeline.cut(silent, silent.stop, lambda name: name == "u2")
    assert (timeline.at, timeline.begins, timeline.voiced_until) == (silent.stop, silent.stop, silent.start)
    assert [timeline.speaking(at) for at in (silent.start - 1, silent.start, silent.stop - 1, silent.stop)] == [
        True,
        False,
        False,
        True,
    ]
    assert marks(blocks(timeline, 1)) == [
        Started("u2", silent.stop),
        Finished("u2", silent.stop + OPUS_SAMPLES, OPUS_SAMPLES, None),
    ]


def test_it_is_known_who_waits_and_where_the_next_one_begins():
    timeline = begun(Speech(OPUS_SAMPLES), Speech(OPUS_SAMPLES))
    assert (timeline.begins, timeline.waits("u0"), timeline.waits("u1")) == (96_000, False, True)
    blocks(timeline, 1)
    assert (timeline.begins, timeline.waits("u0")) == (96_000 + (1 + GAP_BLOCKS) * OPUS_SAMPLES, False)
    assert not timeline.waits("u1"), "it is next, and nobody speaks"
    blocks(timeline, 2 + GAP_BLOCKS)
    assert timeline.begins is None
