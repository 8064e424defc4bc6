"""The report on a video: good where it is good, and says of each thing that is poor what to do."""

import cv2
import numpy as np
import pytest

from avatar.appraise import Closing, advice, appraise
from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.phonemes import POSES
from avatar.faces import track_face
from avatar.lips import find_lips
from avatar.quality import THERE_AND_BACK, Quality
from tests.portraits import as_bgr, nova, shown

COUNT = 20
SIDE = 320
"""Smaller than she is on disk: it is quicker."""
CLOSING = Closing(there_and_back=True, seam=0.0)


@pytest.fixture(scope="module")
def quiet():
    return [small(picture) for picture in shown(COUNT)]


def small(picture):
    return cv2.resize(as_bgr(picture), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


def report(pictures, hints=()) -> Quality:
    track = track_face(pictures, lambda _: None)
    return appraise(pictures, track, find_lips(pictures[track.reference], track.box), CLOSING, hints)


@pytest.fixture(scope="module")
def good(quiet) -> Quality:
    return report(quiet, ["a hint"])


def test_a_good_video_has_good_figures_and_nothing_to_mend(good: Quality):
    assert good.notes == ["a hint"]
    assert 130 < good.face_width < 170 and good.face_part == pytest.approx(good.face_width / SIDE, abs=1e-3)
    assert good.sharpness > 100 and good.hidden == 0 and good.mouth_moves < 0.02
    assert (good.loop, good.seam) == (THERE_AND_BACK, 0)


def test_a_mouth_that_speaks_is_noticed():
    painter = MouthPainter(nova())
    spoken = ["sil", "aa", "E", "PP", "ou", "nn", "aa", "ih"]
    pictures = []
    for k in range(COUNT):
        part = k / 4
        one, other = (POSES[spoken[(int(part) + ahead) % 8]] for ahead in (0, 1))
        mouth = (one * (1 - part % 1) + other * (part % 1)).astype(np.float32)
        pictures.append(small(compose(nova().pictures[k], Patch(k, painter.box(k), painter.paint(k, mouth)))))
    spoke = report(pictures)
    assert spoke.mouth_moves > 0.2 and [note for note in spoke.notes if "shut and quiet" in note]


def test_blur_is_noticed_and_the_file_s_size_is_not(quiet, good: Quality):
    blurred = report([cv2.GaussianBlur(picture, (0, 0), 2) for picture in quiet])
    assert blurred.sharpness < 30 and [note for note in blurred.notes if "blurred" in note]
    larger = report([cv2.resize(picture, (480, 480), interpolation=cv2.INTER_CUBIC) for picture in quiet[:6]])
    assert larger.sharpness == pytest.approx(good.sharpness, rel=0.4)


def test_a_covered_face_is_noticed(quiet):
    pictures = [picture.copy() for picture in quiet]
    for picture in pictures[13:]:
        cv2.rectangle(picture, (112, 156), (206, 250), (40, 60, 90), -1)
    covered = report(pictures)
    assert covered.hidden == pytest.approx(1 / 4) and [note for note in covered.notes if "covered" in note]


def test_each_poor_figure_has_its_own_advice(good: Quality):
    poor = {"face_width": 80, "face_part": 0.15, "seam": 2.0, "sharpness": 20.0, "hidden": 0.3, "mouth_moves": 0.2}
    said = [tuple(advice(changed(good, **{name: value}))) for name, value in poor.items()]
    assert all(len(each) == 1 for each in said) and len(set(said)) == len(poor)
    assert len(advice(changed(good, **poor))) == len(poor) - 1, "of a small face in a small picture, once"


def changed(figures: Quality, **values: float) -> Quality:
    return Quality(**{name: getattr(figures, name) for name in figures.__struct_fields__} | values)  # type: ignore[arg-type]
