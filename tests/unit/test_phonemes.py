"""Timed phonemes to mouths."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from avatar.engines.viseme.parameters import BITE, JAW, NEUTRAL, PRESS, ROUND, WIDE, gap
from avatar.engines.viseme.phonemes import (
    POSES,
    VISEMES,
    Segment,
    read_segments,
    segments_of_arpabet,
    segments_of_ipa,
    trajectory,
    viseme_indices,
)

DATA = Path(__file__).parents[1] / "data"


def visemes_of(segments: list[Segment]) -> list[str]:
    return [segment.viseme for segment in segments]


@pytest.mark.parametrize(
    ("phoneme", "visemes"),
    [
        ("p", ["PP"]),
        ("ˈaɪ", ["aa", "ih"]),
        ("tʃ", ["DD", "CH"]),
        ("ɔ̃", ["oh"]),
        ("uː", ["ou"]),
        ("", ["sil"]),
        ("ˈ", ["sil"]),
        ("ʘ", ["kk"]),
    ],
)
def test_ipa_becomes_visemes(phoneme: str, visemes: list[str]) -> None:
    assert visemes_of(segments_of_ipa(phoneme, 0, 1)) == visemes


@pytest.mark.parametrize(
    ("phoneme", "visemes"),
    [("b", ["PP"]), ("ow", ["oh", "ou"]), ("jh", ["DD", "CH"]), ("pau", ["sil"]), ("?", ["sil"])],
)
def test_arpabet_becomes_visemes(phoneme: str, visemes: list[str]) -> None:
    assert visemes_of(segments_of_arpabet(phoneme, 0, 1)) == visemes


def test_a_diphthong_shares_its_time() -> None:
    first, second = segments_of_ipa("aɪ", 1.0, 1.2)
    assert first[:2] == pytest.approx((1.0, 1.1))
    assert second[:2] == pytest.approx((1.1, 1.2))


def test_every_viseme_has_a_pose_in_range() -> None:
    assert set(POSES) == set(VISEMES)
    for pose in POSES.values():
        assert pose.min() >= 0
        assert pose.max() <= 1


def test_silence_is_the_neutral_mouth() -> None:
    times_s = np.arange(0, 1, 0.02)
    mouth = trajectory([Segment(0, 1, "sil", "")], times_s)
    np.testing.assert_allclose(mouth, np.tile(NEUTRAL, (len(times_s), 1)), atol=1e-5)
    np.testing.assert_allclose(trajectory([], times_s), mouth, atol=1e-5)


def test_lips_meet_in_a_bilabial_between_open_vowels() -> None:
    segments = [Segment(0, 0.15, "aa", "ɑː"), Segment(0.15, 0.23, "PP", "b"), Segment(0.23, 0.4, "aa", "ɑː")]
    times_s = np.array([0.05, 0.19, 0.35])
    opening = gap(trajectory(segments, times_s))
    assert opening[1] < 0.05
    assert min(opening[0], opening[2]) > 0.5


def test_rounding_begins_before_its_vowel() -> None:
    segments = [Segment(0, 0.2, "SS", "s"), Segment(0.2, 0.4, "ou", "uː")]
    early, late = trajectory(segments, np.array([0.02, 0.17]))[:, ROUND]
    assert late > early + 0.1


def test_a_stressed_vowel_opens_further() -> None:
    plain, stressed = (trajectory([Segment(0, 0.2, "aa", name)], np.array([0.1]))[0] for name in ("a", "ˈa"))
    assert stressed[JAW] > plain[JAW] + 0.1
    assert stressed[WIDE] == pytest.approx(plain[WIDE])


def test_f_bites_and_leaves_the_lips_unsealed() -> None:
    mouth = trajectory([Segment(0, 0.1, "E", "ɛ"), Segment(0.1, 0.2, "FF", "f")], np.array([0.15]))[0]
    assert mouth[BITE] > 0.8
    assert mouth[PRESS] < 0.1


def test_indices_name_the_viseme_that_sounds() -> None:
    segments = [Segment(0, 0.1, "PP", "p"), Segment(0.1, 0.2, "aa", "a")]
    named = viseme_indices(segments, np.array([0.0, 0.05, 0.1, 0.15, 0.25]))
    assert [VISEMES[index] for index in named] == ["PP", "PP", "aa", "aa", "sil"]


@pytest.mark.parametrize("path", sorted(DATA.glob("sentence-*.json")), ids=lambda path: path.stem)
def test_recorded_truth_covers_its_sentence_and_is_rich_in_closures(path: Path) -> None:
    segments = read_segments(path)
    assert all(one.end_s == pytest.approx(two.start_s, abs=2e-4) for one, two in itertools.pairwise(segments))
    assert {segment.viseme for segment in segments} <= set(VISEMES)
    assert sum(segment.viseme == "PP" for segment in segments) >= 20
