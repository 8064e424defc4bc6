"""Photos: what is read, what is refused, and how a picture that does not move comes to move."""

import struct
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.footage import NotFootage
from avatar.photo import MOST_PIXELS, is_photo, photo_kind, read_photo, sway_moves, swaying

HEIGHT, WIDTH = 150, 200
KINDS = {"PNG": ".png", "JPEG": ".jpg", "WebP": ".webp"}


def painted() -> NDArray[np.uint8]:
    """Red at the left, blue at the right, darker below."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    return np.stack([across, 255 - down, 255 - across], axis=2).astype(np.uint8)


def encoded(kind: str) -> bytes:
    return cv2.imencode(KINDS[kind], painted())[1].tobytes()


def photo(folder: Path, data: bytes) -> Path:
    """A name that says nothing."""
    path = folder / "upload"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_told_by_its_content_and_read(tmp_path: Path, kind: str):
    path = photo(tmp_path, encoded(kind))
    assert is_photo(path) and photo_kind(path.read_bytes()[:12]) == kind
    assert np.abs(read_photo(path, 1920).astype(int) - painted()).mean() < 6
    assert read_photo(path, 100).shape == (74, 100, 3)


def test_it_is_turned_upright_as_the_camera_noted(tmp_path: Path):
    """EXIF orientation 6: stored lying, to be turned clockwise. Source: CIPA DC-008, 4.6.4."""
    tiff = b"MM\0*" + struct.pack(">IH", 8, 1) + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)
    exif = b"Exif\0\0" + tiff
    jpeg = encoded("JPEG")
    turned = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
    upright = read_photo(photo(tmp_path, turned), 1920)
    assert np.abs(upright.astype(int) - cv2.rotate(painted(), cv2.ROTATE_90_CLOCKWISE)).mean() < 6


@pytest.mark.parametrize("kind", KINDS)
def test_one_that_is_cut_off_is_refused(tmp_path: Path, kind: str):
    data = encoded(kind)
    for length in (12, 30, len(data) // 2):
        with pytest.raises(NotFootage, match=r"cut off|damaged"):
            read_photo(photo(tmp_path, data[:length]), 1920)


def test_one_that_would_fill_the_memory_is_refused_by_its_first_bytes(tmp_path: Path):
    data = bytearray(encoded("PNG"))
    data[16:24] = struct.pack(">II", 60_000, MOST_PIXELS // 60_000 + 1)
    with pytest.raises(NotFootage, match="too large"):
        read_photo(photo(tmp_path, bytes(data)), 1920)


def test_one_that_is_too_small_is_refused(tmp_path: Path):
    small = cv2.imencode(".png", painted()[:100])[1].tobytes()
    with pytest.raises(NotFootage, match="200x100 is too small"):
        read_photo(photo(tmp_path, small), 1920)


@settings(max_examples=40)
@given(st.sampled_from(sorted(KINDS)), st.integers(0, 400), st.binary(max_size=40))
def test_any_bytes_are_a_picture_or_no_footage(
    tmp_path_factory: pytest.TempPathFactory, kind: str, at: int, junk: bytes
):
    """No damage makes the reader raise anything but NotFootage."""
    data = bytearray(encoded(kind))
    data[12 + at : 12 + at + len(junk)] = junk
    path = photo(tmp_path_factory.getbasetemp(), bytes(data))
    try:
        assert read_photo(path, 1920).ndim == 3
    except NotFootage as error:
        assert str(error)


@pytest.mark.parametrize("shape", [(720, 1280), (1280, 720), (512, 512)])
def test_the_sway_is_slight_smooth_and_closes_and_shows_no_border(shape: tuple[int, int]):
    moves = sway_moves(shape)
    height, width = shape
    corners = np.array([[0, width - 1, 0, width - 1], [0, 0, height - 1, height - 1], [1, 1, 1, 1]])
    seen = moves @ corners
    for move in moves:
        under = cv2.invertAffineTransform(move) @ corners
        assert under.min() >= 0 and (under.max(axis=1) <= (width - 1, height - 1)).all(), "inside the photo"
    steps = np.linalg.norm(np.roll(seen, -1, axis=0) - seen, axis=1)
    assert 0.05 < steps.max() < 1.0, "it moves, by less than a pixel from one picture to the next"
    turns = np.linalg.norm(np.diff(seen, n=2, axis=0, append=seen[:2]), axis=1)
    assert turns.max() < 0.1, "also where the loop closes"
    assert np.ptp(seen, axis=0).max() < 0.03 * min(shape)


def test_each_picture_is_the_photo_moved():
    picture = painted()
    moves = sway_moves(picture.shape)[::50]
    for shown, move in zip(swaying(picture, moves), moves, strict=True):
        column, row, _ = np.vstack([move, [0, 0, 1]]) @ (100, 75, 1)
        assert shown.shape == picture.shape
        assert np.abs(shown[round(row), round(column)].astype(int) - picture[75, 100]).max() <= 2
