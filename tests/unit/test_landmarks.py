"""A user's own points of the face: where they say the mouth is, and what is said of those that cannot be."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.faces import KnownFace
from avatar.footage import NotFootage
from avatar.landmarks import Landmarks, known_face, read_landmarks
from tests.face_landmarks import SHAPE, file_of, points_68, six

SIZE = (SHAPE[1], SHAPE[0])


def read(path: Path, content: Any, pictures: int = 1, shape: tuple[int, int] = SHAPE) -> Landmarks:
    path = path / "landmarks.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_landmarks(path, pictures, shape)


@pytest.mark.parametrize("entry", [points_68(), six()], ids=["68", "six"])
def test_the_mouth_is_where_the_points_are(tmp_path: Path, entry: Any):
    marks = read(tmp_path, file_of([entry]))
    lips = marks.lips(0)
    assert (lips.x, lips.y, lips.half_width) == pytest.approx((320, 250, 30))
    assert lips.tilt == pytest.approx(0) and lips.bow == pytest.approx(-0.1), "its ends are higher: it smiles"
    known = known_face(marks)
    assert (known.reference, known.moves) == (0, None)
    x, y, width, height = known.box
    assert width == height == 200 and x < 320 < x + width and y + 0.7 * height < 250 < y + 0.85 * height
    jaw = marks.face_points().points[0, :17]
    assert jaw[:, 1].max() == pytest.approx(310) and jaw[0, 0] < 260 < 380 < jaw[16, 0]
    assert np.allclose(marks.face_points().bridge, [[320, 190]])


def test_the_documented_example_is_one(tmp_path: Path):
    block = (Path(__file__).parents[2] / "docs" / "avatars.md").read_text().split("```json\n")[1].split("```")[0]
    marks = read(tmp_path, block, shape=(720, 1280))
    assert marks.lips(0).half_width == pytest.approx(46, abs=0.1)


def test_they_are_scaled_from_the_size_that_they_are_in(tmp_path: Path):
    marks = read(tmp_path, file_of([points_68()]), shape=(240, 320))
    assert (marks.lips(0).x, marks.lips(0).half_width) == pytest.approx((160, 15))
    with pytest.raises(NotFootage, match="640x480, these are 480x640"):
        read(tmp_path, file_of([points_68()]), shape=(640, 480))


def test_a_video_s_own_rate_becomes_ours_between_its_pictures(tmp_path: Path):
    """At 50 a second every other one is ours; at 20 there is one between."""
    entries = [points_68(shift=float(k)) for k in range(20)]
    fast = read(tmp_path, file_of(entries, fps=50), pictures=10)
    assert [fast.lips(k).x for k in range(10)] == pytest.approx([320 + 2 * k for k in range(10)])
    slow = read(tmp_path, file_of(entries, fps=20), pictures=24)
    assert [slow.lips(k).x for k in (0, 1, 23)] == pytest.approx([320, 320.8, 338.4])
    with pytest.raises(NotFootage, match="20 pictures at 25 a second, the video needs 1 s"):
        read(tmp_path, file_of(entries), pictures=25)


def test_a_photo_has_one_picture_s(tmp_path: Path):
    with pytest.raises(NotFootage, match="2 pictures; a photo is one"):
        read(tmp_path, file_of([six(), six()]))


def test_head_motion_follows_from_the_points(tmp_path: Path):
    entries = [points_68(shift=3.0 * k, turn=0.05 * k) for k in range(5)]
    known: KnownFace = known_face(read(tmp_path, file_of(entries), pictures=5))
    assert known.reference == 2 and known.moves is not None
    one, other = (np.array(entries[k]) for k in (known.reference, 4))
    moved = one @ known.moves[4, :, :2].T + known.moves[4, :, 2]
    assert np.abs(moved - other).max() < 1e-6


def mixed(number: int, **changed: Any) -> dict[str, Any]:
    entries: list[Any] = [six() for _ in range(3)]
    entries[number] = entries[number] | changed
    return file_of(entries)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[", "landmarks file: "),
        ('{"size": [640, 480]}', "pictures"),
        (file_of([]), "length >= 1"),
        (file_of([points_68()[:67]]), "picture 0: .*68"),
        (file_of([points_68(), [*points_68()[:67], [1]]]), "picture 1: .*length 2"),
        (file_of([points_68(), None]), "picture 1: .*null"),
        (file_of([points_68(), six()]), "of one kind"),
        (mixed(2, chin="low"), "picture 2: .*chin"),
        (mixed(1, hat=[1, 2]), "picture 1: .*hat"),
        (mixed(1, chin=[320, 200]), "picture 1: the chin is above the lips"),
        (mixed(1, left_corner=[350, 247], right_corner=[290, 247]), "picture 1: .*interchanged"),
        (mixed(2, nose_bridge=[320, 280]), "picture 2: the nose's bridge"),
        (mixed(2, right_corner=[291, 250]), "picture 2: the mouth is .* wide"),
        (mixed(0, left_corner=[-5, 247]), "picture 0: the mouth lies outside"),
        (mixed(0, chin=[320, 9e99]), "picture 0: a point lies far outside"),
        (file_of([points_68()], fps=0), "fps"),
        ({**file_of([points_68()]), "size": [1, 1]}, "size"),
    ],
)
def test_what_cannot_be_is_said_with_the_picture(tmp_path: Path, content: Any, says: str):
    with pytest.raises(NotFootage, match=says):
        read(tmp_path, content, pictures=3)


numbers = st.floats(allow_nan=False) | st.integers() | st.none() | st.text(max_size=3)
points = st.lists(st.lists(numbers, max_size=3), min_size=66, max_size=69)
marks = st.dictionaries(st.sampled_from(sorted(six())), st.lists(numbers, min_size=1, max_size=3))


@settings(max_examples=25)
@given(st.lists(points | marks, max_size=3), st.tuples(numbers, numbers), numbers)
def test_any_json_is_landmarks_or_no_footage(tmp_path_factory: pytest.TempPathFactory, pictures, size, fps):
    try:
        read(tmp_path_factory.getbasetemp(), {"size": size, "pictures": pictures, "fps": fps}, pictures=2)
    except NotFootage as error:
        assert str(error)
