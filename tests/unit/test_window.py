import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.window import window_for

SIZES = [(1280, 720), (512, 512), (720, 1280), (64, 48)]
side = st.integers(64, 400)


@given(side, side, st.tuples(*[st.floats(-0.2, 1.2)] * 4), st.sampled_from(SIZES))
def test_every_size_shows_the_whole_head_as_large_as_can_be(tall, wide, head, size):
    left, right = sorted((head[0] * wide, head[1] * wide))
    top, bottom = sorted((head[2] * tall, head[3] * tall))
    window = window_for((tall, wide, 3), (left, top, right, bottom), size)
    assert window.width / window.height == pytest.approx(size[0] / size[1], rel=0.05)
    assert window.x <= max(0, left) + 1 and window.x + window.width >= min(wide, right) - 2
    assert window.y <= max(0, top) + 1 and window.y + window.height >= min(tall, bottom) - 2
    assert window.width >= wide - 2 or window.height >= tall - 2, "it shows the video's whole width or height"
    shown = window.show(np.full((tall, wide, 3), 200, np.uint8))
    assert shown.shape == (size[1] * 3 // 2, size[0])


def test_what_fits_is_cut_out_of_the_video_and_nothing_is_added():
    picture = np.random.default_rng(1).integers(100, 255, (360, 640, 3), np.uint8)
    window = window_for(picture.shape, (300, 50, 420, 250), (512, 512))
    assert (window.y, window.width, window.height) == (0, 360, 360)
    assert window.x == 180, "about the head"
    assert window.show(picture)[:512].min() > 60


def test_where_the_head_does_not_fit_the_picture_goes_on_in_its_own_colours():
    picture = np.full((640, 360, 3), 200, np.uint8)
    window = window_for(picture.shape, (0, 20, 360, 600), (1280, 720))
    assert window.height >= 580 and window.x < 0
    luma = window.show(picture)[:720].astype(int)
    assert abs(luma[360, 640] - luma[360, 2]) > 30, "dimmed at the side"
    assert luma.min() > 60
