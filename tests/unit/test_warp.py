import dataclasses

import numpy as np
import pytest

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.parameters import NEUTRAL, PARAMETERS
from avatar.engines.viseme.warp import WarpPainter
from avatar.engines.viseme.warp_state import WarpState
from avatar.faces import track_face
from avatar.lips import find_lips
from tests.portraits import as_bgr, nova, shown

COUNT = 10


def mouth(**values):
    return np.array([values.get(name, 0.1 if name == "wide" else 0) for name in PARAMETERS], np.float32)


@pytest.fixture(scope="module")
def filmed():
    """Nova as a video of a stranger: what is known of her drawing is not used."""
    pictures = [as_bgr(picture) for picture in shown(COUNT)]
    track = track_face(pictures, lambda _: None)
    lips = find_lips(pictures[track.reference], track.box)
    state = WarpState(track.moves @ np.vstack([lips.matrix(), [0, 0, 1]]), lips.bow)
    return dataclasses.replace(nova(), pictures=np.array(shown(COUNT)), state=state)


@pytest.fixture(scope="module")
def painter(filmed):
    return WarpPainter(filmed)


def spoken(filmed, painter, index, values):
    return compose(filmed.pictures[index], Patch(index, painter.box(index), painter.paint(index, values)))


def opening(filmed, painter, index, values):
    """As seen in the picture; where her lips are is known from the drawing."""
    return mouth_opening(spoken(filmed, painter, index, values), nova().state, index)


def test_the_neutral_mouth_is_the_picture_itself(filmed, painter):
    for index in range(COUNT):
        assert np.array_equal(spoken(filmed, painter, index, NEUTRAL), filmed.pictures[index])


def test_boxes_are_even_and_inside_the_picture(painter):
    for x, y, width, height in (painter.box(index) for index in range(COUNT)):
        assert not (x | y | width | height) & 1
        assert x >= 0 and y >= 0 and x + width <= 512 and y + height <= 512


@pytest.mark.parametrize("values", [mouth(jaw=1, wide=0.5), mouth(jaw=0.6, round=1), mouth(wide=1, teeth=1)])
def test_nothing_changes_outside_the_box_and_there_is_no_seam(filmed, painter, values):
    for index in (0, COUNT - 1):
        x, y, w, h = painter.box(index)
        change = np.abs(spoken(filmed, painter, index, values).astype(int) - filmed.pictures[index])[:512]
        assert change[y : y + h, x : x + w].max() > 30, "something does change"
        border = change[y : y + h, x : x + w].copy()
        border[2:-2, 2:-2] = 0
        assert border.max() <= 2
        change[y : y + h, x : x + w] = 0
        assert not change.any()


def test_opening_grows_with_the_jaw(filmed, painter):
    for index in (0, COUNT - 1):
        seen = [opening(filmed, painter, index, mouth(jaw=jaw)) for jaw in np.linspace(0, 1, 6)]
        assert np.diff(seen).min() > -0.01
        assert seen[0] < 0.03 and seen[-1] > 0.22


@pytest.mark.parametrize("others", [{}, {"wide": 1}, {"round": 1}, {"teeth": 1}, {"bite": 1}])
@pytest.mark.parametrize("jaw", [0, 0.5, 1])
def test_pressed_lips_are_sealed_whatever_the_rest_says(filmed, painter, jaw, others):
    assert opening(filmed, painter, 0, mouth(**{"jaw": jaw, "press": 1, **others})) < 0.03


def test_round_lips_are_narrower_and_wide_ones_wider(filmed, painter):
    def width(values):
        before, after = filmed.pictures[0][:512].astype(int), spoken(filmed, painter, 0, values)[:512].astype(int)
        throat = ((after < 75) & (before - after > 40))[300:350]
        return int(np.ptp(np.flatnonzero(throat.any(axis=0))))

    narrow, usual, wide = (width(mouth(jaw=0.7, **more)) for more in ({"round": 1}, {}, {"wide": 1}))
    assert narrow < 0.9 * usual and usual < 0.95 * wide


def test_teeth_are_seen_on_s_and_not_on_p(painter):
    def pale(values):
        rgba = painter.paint(0, values).astype(int)
        inside = rgba[..., 3] == 255
        return int((inside & (rgba[..., :3].min(axis=2) > 95) & (np.ptp(rgba[..., :3], axis=2) < 30)).sum())

    assert pale(mouth(wide=0.5, teeth=1)) > pale(mouth(jaw=0.4, press=1)) + 30


def test_patch_is_premultiplied(painter):
    patch = painter.paint(0, mouth(jaw=0.7, wide=0.4)).astype(int)
    assert (patch[..., :3].max(axis=2) <= patch[..., 3] + 1).all()


def test_a_small_strength_is_a_small_change(filmed, painter):
    """Speech is eased in: the first frames differ little from the idle picture that was before."""
    slight = spoken(filmed, painter, 0, mouth(jaw=0.02)).astype(int)
    assert np.abs(slight - filmed.pictures[0]).mean() < 0.05


def test_avatar_that_was_not_prepared_for_it_is_refused():
    with pytest.raises(TypeError, match="not prepared"):
        WarpPainter(nova())
