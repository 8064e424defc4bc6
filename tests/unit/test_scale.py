"""Smaller pictures: nothing but their size changes."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.formats import VideoFormat, ladder
from avatar.scale import scale

SIZES = [(1280, 720), (720, 1280), (512, 512), (1920, 1080), (854, 480)]


def planes(picture: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    chroma = picture[height:].reshape(2, height // 2, width // 2)
    return [picture[:height], chroma[0], chroma[1]]


def photograph(width: int, height: int) -> NDArray[np.uint8]:
    """Soft shapes of all sizes in all colours, as a camera gives them: little above a third of the sampling rate."""
    random = np.random.default_rng(7)
    picture = np.empty((height * 3 // 2, width), np.uint8)
    for plane in planes(picture):
        rough = sum(
            cv2.resize(random.normal(0, amplitude, (plane.shape[0] // size, plane.shape[1] // size)), plane.shape[::-1])
            for size, amplitude in ((64, 40), (16, 10), (4, 2))
        )
        plane[...] = np.clip(cv2.GaussianBlur(128 + rough, (0, 0), 1.0), 16, 235)
    return picture


def scaled(picture: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    out = np.empty((height * 3 // 2, width), np.uint8)
    scale(picture, out)
    return out


def rungs(size: tuple[int, int]) -> list[tuple[int, int]]:
    return [(rung.width, rung.height) for rung in ladder(VideoFormat(*size))[1:]]


@pytest.mark.parametrize("size", SIZES)
def test_nothing_moves_and_no_colour_changes(size: tuple[int, int]):
    picture = photograph(*size)
    for width, height in rungs(size):
        for whole, small in zip(planes(picture), planes(scaled(picture, width, height)), strict=True):
            assert abs(float(whole.mean()) - float(small.mean())) < 0.3
            back = cv2.resize(small, whole.shape[::-1], interpolation=cv2.INTER_CUBIC).astype(float)
            psnr_db = 10 * np.log10(255**2 / np.mean((back - whole) ** 2))
            moved = np.mean((np.roll(back, 1, axis=1) - whole) ** 2)
            assert psnr_db > 40, "what a smaller picture cannot show is all that is lost"
            assert moved > 4 * np.mean((back - whole) ** 2), "a picture that moved by a sample would be further off"


@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 255), st.sampled_from(SIZES))
def test_a_flat_picture_stays_as_it_is(luma: int, cb: int, cr: int, size: tuple[int, int]):
    picture = np.empty((size[1] * 3 // 2, size[0]), np.uint8)
    for plane, value in zip(planes(picture), (luma, cb, cr), strict=True):
        plane[...] = value
    for rung in rungs(size):
        for plane, value in zip(planes(scaled(picture, *rung)), (luma, cb, cr), strict=True):
            assert (plane == value).all()
