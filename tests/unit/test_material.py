"""What an avatar is made of, read from a video's file: a loop, and the face in every picture of it."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from avatar.engines.viseme.film import write_film
from avatar.engines.viseme.mouth import MOUTH_X, MOUTH_Y
from avatar.material import Material, read_video_material
from tests.face_landmarks import file_of, points_68
from tests.moving_portraits import COUNT, SIDE, returning
from tests.portraits import nova

SIZE = (SIDE, SIDE)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "returning.mp4"
    pictures = (np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8) for picture in returning())
    write_film(path, pictures, 25, "libx264", {"crf": "8", "preset": "ultrafast"})
    return path


def read(film: Path, folder: Path, landmarks: str = "") -> Material:
    return read_video_material(film, folder / "scratch", 1280, landmarks, lambda *_: None)


def mouths(material: Material) -> np.ndarray:
    return material.track.moves @ (material.lips.x, material.lips.y, 1)


def test_a_loop_with_a_seam_and_the_mouth_in_every_picture(film: Path, tmp_path: Path):
    made = read(film, tmp_path)
    assert (len(made.pictures), made.closing.there_and_back) == (75, False) and made.closing.seam < 1.3
    assert made.notes == ["the loop is 3 s long: 0.6 s of the video are left out"]
    assert [len(part) for part in (made.track.moves, made.points.points, made.points.bridge)] == [75] * 3
    across = mouths(made)[:, 0]
    steps = np.abs(np.roll(across, -1) - across)
    assert np.ptp(across) > 8 and steps.max() < 1.0, "also from the last picture to the first"


def test_landmarks_of_every_picture_place_mouth_and_outline(film: Path, tmp_path: Path):
    """Whose points are off by ten pixels gets a mouth that is: it is the user's word, not the search's, that counts."""
    x, y = nova().state.matrices[0] @ (MOUTH_X, MOUTH_Y, 1) * SIDE / 512  # type: ignore[attr-defined]
    searched = read(film, tmp_path)
    file = tmp_path / "landmarks.json"
    for entries in (1, COUNT):
        points = [points_68(at=(x + 10, y), scale=0.45) for _ in range(entries)]
        file.write_text(json.dumps(file_of(points, size=SIZE)))
        made = read(film, tmp_path, str(file))
        assert np.abs(mouths(made) - mouths(searched) - [10, 0])[:20].max() < 7
        assert made.track.seen.all() and made.lips.half_width == pytest.approx(0.45 * 30.1, abs=0.1)
        assert made.points.points.shape == (75, 68, 2)
