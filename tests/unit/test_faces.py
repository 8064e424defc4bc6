import cv2
import numpy as np
import pytest

from avatar.engines.viseme.mouth import MOUTH_X, MOUTH_Y
from avatar.faces import track_face
from avatar.footage import NotFootage
from avatar.lips import find_lips
from avatar.prepared import Box
from tests.portraits import as_bgr, nova, shown

COUNT = 40


def silent(_):
    pass


@pytest.fixture(scope="module")
def pictures():
    return [as_bgr(picture) for picture in shown(COUNT)]


@pytest.fixture(scope="module")
def track(pictures):
    return track_face(pictures, silent)


def at(matrices, point):
    return matrices @ np.array([*point, 1.0])


def test_a_face_is_followed_to_a_part_of_a_pixel(track):
    """Where her mouth truly is in each picture, beside where the track carries it from the reference."""
    true = at(nova().state.matrices[:COUNT], (MOUTH_X, MOUTH_Y))
    assert np.ptp(true, axis=0).max() > 1.5, "she moves"
    followed = at(track.moves, true[track.reference])
    assert np.abs(followed - true).max() < 0.4


def test_a_head_that_moves_far_turns_and_comes_nearer_is_followed(pictures):
    """A camera's shake, a step forward: known, since we make it."""
    still = pictures[0]
    moves = []
    for k in range(30):
        turn = cv2.getRotationMatrix2D((256, 256), 6 * np.sin(k / 5), 1 + 0.12 * np.sin(k / 9))
        turn[:, 2] += (30 * np.sin(k / 7), 12 * np.cos(k / 6))
        moves.append(turn)
    track = track_face([cv2.warpAffine(still, move, (512, 512)) for move in moves], silent)
    square = np.vstack([moves[track.reference], [0, 0, 1]])
    mouth = (256, 330)
    true = at(np.array(moves), mouth)
    assert np.abs(at(track.moves, (square @ (*mouth, 1))[:2]) - true).max() < 2


def test_the_line_between_the_lips_is_found(pictures, track):
    lips = find_lips(pictures[track.reference], track.box)
    reference = nova().state.matrices[track.reference]
    left, right = (at(reference, (MOUTH_X + side, MOUTH_Y)) for side in (-62, 62))
    assert left[0] < lips.x - lips.half_width < lips.x + lips.half_width < right[0]
    assert abs(lips.x - (left + right)[0] / 2) < 6
    assert abs(lips.tilt) < 0.1 and abs(lips.bow) < 0.35
    row = as_bgr(shown(COUNT)[track.reference])[:, round(lips.x)].sum(axis=1).astype(int)
    around = row[round(lips.y) - 12 : round(lips.y) + 13]
    assert abs(int(around.argmin()) - 12) <= 3, "it is the darkest there"


def test_where_no_lips_are_to_be_seen_the_usual_place_is_taken():
    lips = find_lips(np.full((400, 400, 3), 120, np.uint8), Box(100, 100, 200, 200))
    assert (lips.x, lips.tilt) == (pytest.approx(200, abs=3), pytest.approx(0, abs=0.01))
    assert lips.y == pytest.approx(100 + 0.785 * 200, abs=4)


def test_no_face_is_refused():
    noise = np.random.default_rng(1).integers(0, 255, (6, 240, 320, 3), np.uint8)
    with pytest.raises(NotFootage, match="no face"):
        track_face(list(noise), silent)


def test_a_face_that_is_seldom_seen_is_refused(pictures):
    blank = np.zeros_like(pictures[0])
    with pytest.raises(NotFootage, match="2 of 6"):
        track_face([*pictures[:6], *[blank] * 20], silent)


def test_a_face_that_is_too_small_is_refused(pictures):
    small = [cv2.resize(picture, (120, 120), interpolation=cv2.INTER_AREA) for picture in pictures[:5]]
    with pytest.raises(NotFootage, match="pixels wide"):
        track_face(small, silent)
