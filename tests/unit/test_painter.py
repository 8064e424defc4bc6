import dataclasses
import threading
from pathlib import Path

import numpy as np
import pytest

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.prepared import load_prepared

AVATARS = Path(__file__).resolve().parents[2] / "assets" / "avatars"
NAMES = ["nova", "jonah"]
SIZES = [(1280, 720), (512, 512), (720, 1280)]


def mouth(**values):
    names = ("jaw", "wide", "round", "press", "bite", "teeth", "tongue")
    return np.array([values.get(name, 0.1 if name == "wide" else 0) for name in names], np.float32)


@pytest.fixture(scope="module", params=[(name, size) for name in NAMES for size in SIZES], ids=str)
def stage(request):
    name, size = request.param
    avatar = load_prepared(AVATARS / name, size)
    return avatar, MouthPainter(avatar)


@pytest.fixture(scope="module", params=NAMES)
def small(request):
    avatar = load_prepared(AVATARS / request.param, (512, 512))
    return avatar, MouthPainter(avatar)


def shown(stage, index, values):
    avatar, painter = stage
    return compose(avatar.pictures[index], Patch(index, painter.box(index), painter.paint(index, values)))


def test_boxes_are_even_inside_the_picture_and_of_one_size(stage):
    avatar, painter = stage
    boxes = np.array([painter.box(k) for k in range(len(avatar.pictures))])
    assert not (boxes % 2).any()
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, 0] + boxes[:, 2]).max() <= avatar.size[0]
    assert (boxes[:, 1] + boxes[:, 3]).max() <= avatar.size[1]
    assert len({tuple(size) for size in boxes[:, 2:].tolist()}) == 1


def test_patch_is_premultiplied_and_as_large_as_its_box(stage):
    avatar, painter = stage
    for index in range(0, len(avatar.pictures), 40):
        patch = painter.paint(index, mouth(jaw=0.7, wide=0.4))
        assert patch.shape == (painter.box(index).height, painter.box(index).width, 4)
        assert (patch[..., :3].max(axis=-1).astype(int) <= patch[..., 3].astype(int) + 1).all()


@pytest.mark.parametrize("values", [mouth(), mouth(jaw=1, wide=0.3), mouth(jaw=1, round=1), mouth(wide=1, teeth=1)])
def test_patch_has_no_seam_at_its_border(stage, values):
    avatar, painter = stage
    for index in range(0, len(avatar.pictures), 23):
        x, y, w, h = painter.box(index)
        before = avatar.pictures[index][: avatar.size[1]].astype(int)
        after = shown(stage, index, values)[: avatar.size[1]].astype(int)
        change = np.abs(after - before)[y : y + h, x : x + w]
        border = np.concatenate(
            [change[:2].ravel(), change[-2:].ravel(), change[:, :2].ravel(), change[:, -2:].ravel()]
        )
        assert border.max() <= 2


@pytest.mark.parametrize("jaw", [0, 0.2, 0.4, 0.6, 0.8, 1])
@pytest.mark.parametrize("others", [{}, {"wide": 1}, {"round": 1}, {"teeth": 1}, {"bite": 1}, {"tongue": 1}])
def test_pressed_lips_are_sealed_whatever_the_rest_says(small, jaw, others):
    values = mouth(**{"jaw": jaw, "press": 1, **others})
    avatar, _ = small
    for index in (0, 70, 140):
        assert mouth_opening(shown(small, index, values), avatar.state, index) < 0.02


def test_opening_grows_with_the_jaw(small):
    avatar, _ = small
    for index in (0, 50, 100, 150):
        openings = [
            mouth_opening(shown(small, index, mouth(jaw=jaw)), avatar.state, index) for jaw in np.linspace(0, 1, 11)
        ]
        assert np.diff(openings).min() > -0.005
        assert openings[0] < 0.02
        assert openings[-1] > 0.6


def test_neutral_mouth_moves_no_skin(small):
    _, painter = small
    patch = painter.paint(0, NEUTRAL)
    assert (patch[..., 3] == 255).mean() < 0.05, "lips only: the rest is a glaze"


def test_two_threads_paint_as_one_does(small):
    _, painter = small
    values = [mouth(jaw=jaw, wide=wide) for jaw in (0.1, 0.5, 0.9) for wide in (0.0, 0.6)]
    expected = [painter.paint(k, value) for k, value in enumerate(values)]
    wrong = []

    def work():
        other = MouthPainter(small[0])
        for _ in range(20):
            wrong.extend(
                k for k, value in enumerate(values) if not np.array_equal(painter.paint(k, value), expected[k])
            )
            wrong.extend(k for k, value in enumerate(values) if not np.array_equal(other.paint(k, value), expected[k]))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert wrong == []


def test_avatar_of_another_engine_is_refused(small):
    with pytest.raises(TypeError, match="engine"):
        MouthPainter(dataclasses.replace(small[0], state=None))
