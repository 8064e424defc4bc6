"""Where a source pauses whose producer has not kept up, and when the places are told that were marked in it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.pcm_source import KEPT_BLOCKS
from avatar.timeline import FADE_SAMPLES, Held, Marked, Resumed, Started
from tests.pcm_speaker import MS, Speaker, hush, pcm


def stalled(*sounds: NDArray[np.int16]) -> Speaker:
    """Speech whose producer falls silent; played until it pauses."""
    speaker = Speaker()
    for sound in sounds:
        speaker.put(sound)
    speaker.begin()
    while not speaker.of(Held):
        speaker.play()
    return speaker


def test_it_pauses_in_the_last_quiet_place():
    speaker = stalled(pcm(1.0), hush(0.1), pcm(0.15))
    (held,) = speaker.of(Held)
    assert AUDIO_HZ + FADE_SAMPLES <= held.samples <= AUDIO_HZ + AUDIO_HZ // 10 - FADE_SAMPLES
    assert held.samples > AUDIO_HZ + AUDIO_HZ // 20, "the last one"
    speaker.play(10)
    assert not speaker.sound[held.at :].any()
    assert not speaker.timeline.speaking(held.at), "so that the mouth is eased shut"
    speaker.put(pcm(1.0))
    speaker.play(2)
    (resumed,) = speaker.of(Resumed)
    assert resumed.samples == held.samples and resumed.at == speaker.blocks[-2].at + speaker.source.lead
    assert speaker.timeline.speaking(resumed.at)


def test_where_no_place_is_quiet_all_that_is_there_is_played_and_dies_away():
    speaker = stalled(pcm(0.5))
    (held,) = speaker.of(Held)
    assert AUDIO_HZ // 2 - 2 * MS <= held.samples <= AUDIO_HZ // 2
    steps = np.abs(np.diff(speaker.sound.astype(int)))
    spoken = steps[FADE_SAMPLES : held.at - FADE_SAMPLES]
    assert steps[held.at - FADE_SAMPLES : held.at + FADE_SAMPLES + 1].max() <= 1.2 * spoken.max(), "no click"
    assert not speaker.sound[held.at + FADE_SAMPLES :].any()


@pytest.mark.parametrize("extra", [0, 1, 2, 100, 239, 240, 500, 900])
def test_no_end_that_was_not_foreseen_clicks(extra: int):
    speaker = stalled(pcm(0.2, 200)[: 8 * OPUS_SAMPLES + extra])
    speaker.play(2)
    steps = np.abs(np.diff(speaker.sound.astype(int)))
    assert steps.max() <= 16_384 / FADE_SAMPLES + 1.1 * np.abs(np.diff(pcm(0.2, 200).astype(int))).max()


def test_what_was_kept_is_said_when_nothing_comes_for_a_second():
    speaker = stalled(pcm(1.0), hush(0.1), pcm(0.15))
    speaker.play(KEPT_BLOCKS - 2)
    assert not speaker.of(Resumed)
    speaker.play(15)
    (resumed,), helds = speaker.of(Resumed), speaker.of(Held)
    assert resumed.at - helds[0].at <= (KEPT_BLOCKS + 1) * OPUS_SAMPLES
    assert [held.samples // (10 * MS) for held in helds][1:] == [124], "all but what a filter keeps"
    speaker.source.close()
    assert speaker.play_out().samples == AUDIO_HZ * 125 // 100


def test_a_mark_is_played_up_to_before_it_pauses():
    speaker = Speaker()
    speaker.put(np.concatenate([pcm(1.0), hush(0.1), pcm(0.15)]))
    speaker.source.mark("said")
    speaker.put(pcm(0.1))
    speaker.begin()
    speaker.play(130)
    assert [mark.samples for mark in speaker.of(Marked)] == [1250 * MS]
    assert [held.samples // MS for held in speaker.of(Held)] == [1250, 1349], "a second later all"


def test_a_voice_that_is_as_fast_as_speech_pauses_for_no_quiet_place():
    speaker = Speaker()
    sounds = [hush(0.02) if number % 5 == 0 else pcm(0.02) for number in range(100)]
    for sound in sounds[:6]:
        speaker.put(sound)
    speaker.begin()
    for at in range(6, 100, 2):
        speaker.play(2)
        speaker.put(sounds[at])
        speaker.put(sounds[at + 1])
    assert not speaker.of(Held)


def test_pieces_of_half_a_second_do_not_end_in_pauses():
    speaker = Speaker()
    half = np.concatenate([pcm(0.4), hush(0.1)])
    speaker.put(half)
    speaker.put(half)
    speaker.begin()
    for _ in range(20):
        speaker.play(25)
        speaker.put(half)
    assert len(speaker.of(Held)) <= 1, "the first time it is not known what is usual"


def test_a_producer_that_is_too_slow_is_heard_in_phrases():
    speaker = Speaker()
    speaker.put(pcm(0.18))
    speaker.begin()
    for _ in range(250):
        speaker.put(pcm(0.02))
        speaker.play(2)
    held = [mark.samples for mark in speaker.of(Held)]
    phrases = np.diff(held) // MS
    assert len(held) < 12 and min(phrases[3:]) > 600, "half of the time it is heard, and not by the syllable"
    speaker.put(pcm(4.0))
    speaker.play(230)
    last = speaker.of(Held)[-1]
    speaker.put(pcm(0.1))
    speaker.play(2)
    assert speaker.of(Resumed)[-1].samples == last.samples, "all is forgiven"


def test_what_is_whole_waits_for_no_more():
    speaker = Speaker()
    for _ in range(5):
        speaker.put(pcm(0.2))
        if not speaker.begun:
            speaker.begin()
        speaker.play(15)
    speaker.play(15)
    speaker.put(pcm(0.6))
    speaker.play()
    assert not speaker.blocks[-1].play.any(), "it has stuttered"
    speaker.source.close()
    speaker.play()
    assert speaker.blocks[-1].play.any()


def test_it_is_given_up_when_nothing_comes_for_too_long():
    speaker = Speaker(patience_s=2.0)
    speaker.put(pcm(0.5))
    finished = speaker.play_out()
    assert finished.error == "no samples came for 2 s"
    assert AUDIO_HZ // 2 - 2 * MS <= finished.samples <= AUDIO_HZ // 2
    (held,) = speaker.of(Held)
    assert finished.at - held.at == pytest.approx(2 * AUDIO_HZ, abs=2 * OPUS_SAMPLES)
    speaker.put(pcm(0.5))
    speaker.play(50)
    assert speaker.source.abandoned and speaker.marks[-1] == finished and not speaker.sound[held.at + 240 :].any()


def test_a_pause_that_is_closed_is_no_error():
    speaker = stalled(pcm(0.5))
    speaker.play(40)
    speaker.source.close()
    finished = speaker.play_out()
    assert (finished.samples, finished.error) == (AUDIO_HZ // 2, None)


def test_all_is_told_where_it_pauses():
    speaker = stalled(pcm(0.45))
    assert speaker.taken[-1] == 2 * speaker.of(Held)[0].samples


# --- marks


def test_marks_are_told_at_their_places_in_order_and_before_the_end():
    speaker = Speaker(16_000)
    speaker.source.mark("start")
    for name in ("a", "b"):
        speaker.put(pcm(0.1, rate=16_000))
        speaker.source.mark(name)
    speaker.source.mark("again")
    speaker.put(pcm(0.105, rate=16_000))
    speaker.source.mark("end")
    speaker.source.close()
    finished = speaker.play_out()
    places = [("start", 0), ("a", 4800), ("b", 9600), ("again", 9600), ("end", 14_640)]
    assert [(mark.name, mark.samples) for mark in speaker.of(Marked)] == places
    (started,) = speaker.of(Started)
    assert [mark.at - started.at for mark in speaker.of(Marked)] == [place for _, place in places], "no pause"
    assert speaker.marks[0] == started and speaker.marks[-1] == finished


@pytest.mark.parametrize("rate", [8000, 22_050, AUDIO_HZ])
def test_a_mark_where_its_maker_waits_for_it_is_told(rate: int):
    """What a filter keeps of what came before it does not come out until more comes, which the maker waits to send."""
    speaker = Speaker(rate)
    speaker.put(pcm(0.5, rate=rate))
    speaker.source.mark("here")
    speaker.begin()
    speaker.play(40)
    (mark,), (held,) = speaker.of(Marked), speaker.of(Held)
    assert (mark.at, mark.samples) == (held.at, held.samples)
    speaker.source.mark("late")
    speaker.play()
    late = speaker.of(Marked)[1]
    assert (late.at, late.samples) == (speaker.blocks[-1].at + speaker.source.lead, held.samples)
    speaker.source.close()
    assert speaker.play_out().samples == AUDIO_HZ // 2


def test_a_mark_after_a_pause_is_told_where_it_is_played():
    speaker = stalled(pcm(0.5))
    speaker.put(pcm(0.2))
    speaker.source.mark("after")
    speaker.put(pcm(0.2))
    speaker.source.close()
    speaker.play_out()
    (resumed,), (mark,) = speaker.of(Resumed), speaker.of(Marked)
    assert mark.samples == AUDIO_HZ * 7 // 10 and mark.at - resumed.at == mark.samples - resumed.samples
