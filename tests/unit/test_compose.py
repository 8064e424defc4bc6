from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL
from avatar.prepared import Box, load_prepared

NOVA = Path(__file__).resolve().parents[2] / "assets" / "avatars" / "nova"
OPEN = np.array([1, 0.25, 0, 0, 0, 0, 0], np.float32)


def picture_of(width, height, seed=0):
    return np.random.default_rng(seed).integers(16, 236, (height * 3 // 2, width), np.uint8)


def planes(picture):
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return picture[:height], chroma[0], chroma[1]


@given(st.integers(0, 24), st.integers(0, 14), st.integers(1, 8), st.integers(1, 8), st.integers(0, 9))
def test_nothing_outside_the_box_changes(x, y, w, h, seed):
    picture = picture_of(64, 46, seed)
    rgba = np.random.default_rng(seed).integers(0, 256, (2 * h, 2 * w, 4), np.uint8)
    shown = compose(picture, Patch(0, Box(2 * x, 2 * y, 2 * w, 2 * h), rgba))
    for before, after, s in zip(planes(picture), planes(shown), (2, 1, 1), strict=True):
        kept = np.ones(before.shape, bool)
        kept[y * s : (y + h) * s, x * s : (x + w) * s] = False
        assert np.array_equal(before[kept], after[kept])


def test_transparent_patch_leaves_every_value():
    picture = picture_of(64, 46)
    shown = compose(picture, Patch(0, Box(0, 0, 64, 46), np.zeros((46, 64, 4), np.uint8)))
    assert np.array_equal(shown, picture)
    assert not np.shares_memory(shown, picture)


@pytest.mark.parametrize(
    ("rgb", "yuv"),
    [
        ((255, 255, 255), (235, 128, 128)),
        ((0, 0, 0), (16, 128, 128)),
        ((255, 0, 0), (81, 90, 240)),
        ((0, 0, 255), (41, 240, 110)),
    ],
)
def test_opaque_colours_are_bt601_limited(rgb, yuv):
    rgba = np.full((46, 64, 4), 255, np.uint8)
    rgba[..., :3] = rgb
    shown = compose(picture_of(64, 46), Patch(0, Box(0, 0, 64, 46), rgba))
    for plane, value in zip(planes(shown), yuv, strict=True):
        assert np.abs(plane.astype(int) - value).max() <= 1


def test_half_transparent_white_is_half_way():
    rgba = np.full((46, 64, 4), 128, np.uint8)
    picture = np.full((69, 64), 100, np.uint8)
    luma, *_ = planes(compose(picture, Patch(0, Box(0, 0, 64, 46), rgba)))
    assert np.abs(luma.astype(int) - 168).max() <= 1


def test_out_array_is_filled_and_returned():
    picture, out = picture_of(64, 46), np.zeros((69, 64), np.uint8)
    patch = Patch(0, Box(2, 2, 8, 8), np.full((8, 8, 4), 255, np.uint8))
    assert compose(picture, patch, out) is out
    assert np.array_equal(out, compose(picture, patch))


@pytest.mark.parametrize("box", [(1, 0, 8, 8), (0, 0, 7, 8), (58, 0, 8, 8), (-2, 0, 8, 8), (0, 40, 8, 8), (0, 0, 8, 6)])
def test_box_that_does_not_fit_is_refused(box):
    with pytest.raises(ValueError, match="patch"):
        compose(picture_of(64, 46), Patch(0, Box(*box), np.zeros((8, 8, 4), np.uint8)))


@pytest.mark.parametrize("size", [(1280, 720), (512, 512), (720, 1280)])
def test_neutral_mouth_gives_the_idle_picture_again_after_any_speech(size):
    """Idle pictures and speech at rest come from one call: the same bytes, whatever was painted between."""
    avatar = load_prepared(NOVA, size)
    idle, live = MouthPainter(avatar), MouthPainter(avatar)
    for index in range(0, len(avatar.pictures), 9):
        shown = compose(avatar.pictures[index], Patch(index, idle.box(index), idle.paint(index, NEUTRAL)))
        compose(avatar.pictures[index], Patch(index, live.box(index), live.paint(index, OPEN)))
        again = compose(avatar.pictures[index], Patch(index, live.box(index), live.paint(index, NEUTRAL.copy())))
        assert np.array_equal(shown, again)
