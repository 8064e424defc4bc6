"""What is found in sound and lips: partings, offsets, delays, interruptions; and the clips they are found by."""

import io
import wave

import numpy as np
import pytest

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from bench.decoding import Heard
from bench.interruptions import TAGS, Cut, outcome_of, rows_of
from bench.latency import Round, summed_up
from bench.lip_curves import Lips, first_parted
from bench.processes import BenchFailed
from bench.speech_clips import TAG_LEVEL, bursts, greeting, tag_levels, tagged, vowel, wav_file
from bench.sync_offsets import burst_times, own_partings, parting

NOBODY = np.zeros(0, np.int64)


def lips(at_s: list[float], opening: list[float]) -> Lips:
    return Lips(np.array(at_s), np.array(opening), NOBODY)


def heard(loudness: list[float], *, began_s: float = 100.0) -> Heard:
    """One packet for each, 20 ms apart."""
    samples = np.repeat(np.array(loudness, np.float32), OPUS_SAMPLES)
    return Heard(samples, [began_s + number / 50 for number in range(len(loudness))])


def test_a_vowel_is_there_with_its_first_sample():
    sound = vowel(0.2, 24_000)
    assert abs(sound[:24]).max() > 0.05 and abs(sound).max() == pytest.approx(0.5)
    assert abs(sound[-2:]).max() < 0.01


@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 48_000])
def test_a_greeting_begins_at_once(rate_hz: int):
    said = greeting(rate_hz)
    assert len(said) == pytest.approx(1.2 * rate_hz, abs=2)
    assert abs(said[: rate_hz // 100]).max() > 0.1


def test_bursts_are_found_where_they_are():
    clip = bursts(12.0, AUDIO_HZ, seed=3)
    assert len(clip.onsets_s) >= 15
    filled = np.concatenate([clip.samples, np.zeros(-len(clip.samples) % OPUS_SAMPLES, np.float32)])
    found = burst_times(Heard(filled, [], first_time=960))
    assert np.allclose([(time - 960) / AUDIO_HZ for time in found], clip.onsets_s, atol=0.002)
    assert burst_times(heard([0.0, 0.0])) == []


def test_a_parting_is_told_between_two_pictures():
    times = np.arange(20) / 25
    opening = np.zeros(20)
    opening[10:14] = [0.3, 0.6, 0.6, 0.3]  # half of the widest in picture 10
    assert parting(times, opening, 0.4) == pytest.approx(0.4)
    opening[10] = 0.2
    assert parting(times, opening, 0.4) == pytest.approx(0.41)
    assert own_partings(Lips(times, opening, NOBODY), [0.4, 5.0]) == [pytest.approx(0.01)]


def test_a_parting_among_missing_pictures_is_none():
    times = np.delete(np.arange(20) / 25, 10)
    opening = np.where(times >= 0.44, 0.6, 0.0)
    assert parting(times, opening, 0.4) is None
    assert parting(times, np.zeros(19), 0.4) is None


def test_tones_tell_utterances_apart():
    speech = (np.random.default_rng(1).standard_normal(AUDIO_HZ) * 0.1).astype(np.float32)
    packets = tagged(speech, AUDIO_HZ, 5).reshape(-1, OPUS_SAMPLES)
    assert tag_levels(packets, 5, AUDIO_HZ).min() > 0.8
    assert max(tag_levels(packets, tag, AUDIO_HZ).max() for tag in range(TAGS) if tag != 5) < 0.2
    assert np.array_equal(tag_levels(packets, 5 + TAGS, AUDIO_HZ), tag_levels(packets, 5, AUDIO_HZ))


def test_a_file_has_its_samples():
    with wave.open(io.BytesIO(wav_file(np.array([0, 0.5, -1], np.float32), 16_000))) as reader:
        assert (reader.getframerate(), reader.getnframes()) == (16_000, 3)
        assert np.frombuffer(reader.readframes(3), "<i2").tolist() == [0, 16384, -32767]


def test_delays_run_to_the_first_sound_and_the_first_parted_lips():
    sound = heard([0] * 10 + [0.5] * 5 + [0] * 85 + [0.5] * 5)
    moved = lips([100 + number / 25 for number in range(60)], [0.0] * 7 + [0.1] * 3 + [0.0] * 44 + [0.5] * 6)
    (way,) = summed_up([Round("a", 100.1), Round("a", 101.5)], sound, moved)
    assert way.rounds == 2
    assert way.sound.median == pytest.approx((0.1 + 0.5) / 2)
    assert way.lips.median == pytest.approx((0.18 + 0.66) / 2)
    assert first_parted(moved, 200.0) is None
    with pytest.raises(BenchFailed, match="no sound"):
        summed_up([Round("a", 110.0)], sound, moved)


CUT = Cut(3, "PCM at once, POST", called_s=100.5, until_s=101.5, played=30 * OPUS_SAMPLES)


def levels_of(number: int, packets: int, bearing: range) -> np.ndarray:
    levels = np.zeros((TAGS, packets))
    levels[number % TAGS, list(bearing)] = 1.0
    return levels


def test_silence_and_a_closed_mouth_are_told_from_the_call():
    sound = heard([0.5] * 30 + [0.0] * 70)
    moved = lips([100 + number / 25 for number in range(40)], [0.4] * 18 + [0.0] * 22)
    outcome = outcome_of(CUT, float("inf"), sound, levels_of(3, 100, range(30)), moved)
    assert outcome.silent_s == pytest.approx(0.1)
    assert outcome.closed_s == pytest.approx(0.22)
    assert (outcome.stale, outcome.played_apart_s) == (0, pytest.approx(0.0))


def test_what_bears_the_tone_later_is_stale():
    sound = heard([0.5] * 30 + [0.0] * 60 + [0.5] * 20)
    levels = levels_of(3, 110, range(30))
    levels[3, [95, 96, 109]] = 0.9
    again_s = 102.1  # the tone is used again with packet 105
    outcome = outcome_of(CUT, again_s, sound, levels, lips([100.0, 101.0], [0.4, 0.0]))
    assert outcome.stale == 2


def test_a_cut_that_did_nothing_is_counted():
    sound = heard([0.5] * 100)
    never = outcome_of(CUT, float("inf"), sound, levels_of(3, 100, range(100)), lips([100.6, 101.4], [0.4, 0.4]))
    assert never.silent_s is None and never.closed_s is None and never.stale > 0
    good = outcome_of(CUT, float("inf"), heard([0.0] * 100), levels_of(3, 100, range(0)), lips([100.6], [0.0]))
    way, whole = rows_of([never, good])
    assert (whole.way, whole.cuts, whole.failed, way.failed) == ("all", 2, 1, 1)
    with pytest.raises(BenchFailed):
        rows_of([never])


def test_the_tone_is_as_loud_as_it_is_said_to_be():
    silence = tagged(np.zeros(AUDIO_HZ, np.float32), AUDIO_HZ, 0)
    assert abs(silence).max() == pytest.approx(TAG_LEVEL, rel=0.01)
