"""MuseTalk's own rules of box, crop and mask, on points of a face whose measures are known."""

import numpy as np
import pytest

from avatar.engines.musetalk.prepare_faces import MARGIN, NoFaceThere, face_of, place_face
from avatar.face_points import guessed_points
from avatar.lips import Lips
from avatar.prepared import Box
from tests.face_landmarks import SHAPE, points_68
from tests.musetalk_avatars import crop_box

POINTS = np.array(points_68())
BRIDGE = POINTS[29]


def test_the_box_goes_from_chin_to_as_far_above_the_bridge():
    place = place_face(POINTS, BRIDGE, SHAPE)
    assert place.face == (230, 190 - 120, 410, 310 + MARGIN)
    assert list(place.crop) == crop_box(list(place.face))


def test_the_mask_is_the_jaw_in_the_lower_half_and_fades_inside_the_face():
    place = place_face(POINTS, BRIDGE, SHAPE)
    left, top, right, bottom = place.crop
    assert place.mask.shape == (bottom - top, right - left)

    def at(x: float, y: float) -> int:
        return int(place.mask[round(y) - top, round(x) - left])

    mouth, chin = POINTS[48:68], POINTS[8]
    assert min(at(*point) for point in mouth) > 250
    assert at(*chin) > 40, "it drops when the mouth opens"
    assert max(at(*point) for point in POINTS[17:27]) == max(at(*point) for point in POINTS[36:48]) == 0, "brows, eyes"
    corners = [(x, y) for x in (place.face[0], place.face[2] - 1) for y in (place.face[1], place.face[3] - 1)]
    assert max(at(*corner) for corner in corners) == 0
    steps = np.abs(np.diff(place.mask.astype(int), axis=0)).max(), np.abs(np.diff(place.mask.astype(int), axis=1)).max()
    assert max(steps) < 40, "soft"


def test_a_face_at_the_edge_is_cut_to_its_picture():
    inside, beyond = np.array([200, 100]), np.array([260, 0])
    place = place_face(POINTS + inside, BRIDGE + inside, SHAPE)
    assert place.face == (430, 170, 610, 420)
    cut = place_face(POINTS + beyond, BRIDGE + beyond, SHAPE)
    assert cut.face == (490, 70, 640, 320)
    picture = np.random.default_rng(3).integers(0, 255, (*SHAPE, 3), np.uint8)
    face = face_of(picture, cut.face)
    assert face.shape == (256, 256, 3)
    assert abs(int(face[..., 0].mean()) - int(picture[70:320, 490:640, 2].mean())) <= 1, "RGB"


@pytest.mark.parametrize("shift", [(500, 0), (0, 420), (-400, 0)])
def test_a_face_outside_its_picture_is_refused(shift: tuple[int, int]):
    with pytest.raises(NoFaceThere, match="inside the picture"):
        place_face(POINTS + shift, BRIDGE + shift, SHAPE)


def test_where_only_box_and_mouth_are_known_the_mouth_is_in_the_middle_of_the_new_half():
    """As in MuseTalk's own crops: half-way between the bridge and the chin."""
    lips = Lips(320, 250, 32, 0.1, 0.0)
    points = guessed_points(Box(220, 94, 200, 200), lips)
    place = place_face(points.points[0], points.bridge[0], SHAPE)
    left, top, right, bottom = place.face
    assert abs((left + right) / 2 - 320) < 12 and 0.70 < (250 - top) / (bottom - top) < 0.78
    assert 160 < right - left < 200
    assert place.mask[250 - place.crop[1], 320 - place.crop[0]] == 255
