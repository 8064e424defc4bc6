"""A loop is closed where the video comes back to itself, without a jump and without a face that is seen twice."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.appraise import GOOD_SEAM
from avatar.faces import FaceTrack, track_face
from avatar.loop_seam import BLEND, Seam, blend, find_seam, seam_of
from tests.moving_portraits import returning, sway, video


def followed(pictures: NDArray[np.uint8]) -> FaceTrack:
    return track_face(list(pictures), lambda _: None)


@pytest.fixture(scope="module")
def swaying() -> tuple[NDArray[np.uint8], FaceTrack, Seam]:
    """A video that comes back to itself all but exactly, as people do, and its seam."""
    pictures = returning()
    track = followed(pictures)
    seam = find_seam(pictures, track)
    assert seam is not None
    return pictures, track, seam


def test_a_motion_that_comes_back_gets_a_seam_within_the_usual_step(swaying):
    pictures, track, seam = swaying
    assert seam.end - seam.first == 75 and seam.first >= BLEND
    closed = pictures.copy()
    blend(closed, track, seam)
    assert np.array_equal(closed[: seam.end - BLEND], pictures[: seam.end - BLEND]), "all others stay as they are"
    assert seam_of(closed[seam.first : seam.end], BLEND) < min(1.3, GOOD_SEAM)


def test_no_face_is_seen_twice_in_the_blend(swaying):
    """As sharp as the pictures beside it, where a bare cross-fade of the same pictures is not."""
    seam = swaying[2]
    apart = video(lambda k: sway(k + 6 * (k > 60)), lambda _: 1.0)
    track = followed(apart)
    assert seam_of(apart[seam.first : seam.end], 0) > 1.5, "there is something to be blended"
    closed, bare = apart.copy(), apart.copy()
    blend(closed, track, seam)
    assert seam_of(closed[seam.first : seam.end], BLEND) < 1.3
    for one, other, share in seam.shares:
        bare[one] = cv2.addWeighted(apart[one], 1 - share, apart[other], share, 0)
    middle = seam.end - BLEND // 2
    beside = detail(apart[middle - BLEND], track, middle - BLEND)
    moves = seam.cut(track.moves)
    blended_move = moves[middle - seam.first]
    assert detail(closed[middle], track, middle, blended_move) > 0.9 * beside
    assert detail(bare[middle], track, middle, blended_move) < detail(closed[middle], track, middle, blended_move) - 1


def detail(picture: NDArray[np.uint8], track: FaceTrack, index: int, move: NDArray[np.float64] | None = None) -> float:
    """How much is to be seen of the face's edges, noise left out."""
    x, y, width, height = track.box
    middle = (track.moves[index] if move is None else move) @ (x + width / 2, y + height / 2, 1)
    grey = cv2.GaussianBlur(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (0, 0), 1.0)
    face = cv2.getRectSubPix(grey, (width, height), (float(middle[0]), float(middle[1])))
    return float(np.hypot(cv2.Sobel(face, cv2.CV_32F, 1, 0), cv2.Sobel(face, cv2.CV_32F, 0, 1)).mean())


def test_what_is_known_of_the_face_goes_over_with_the_picture(swaying):
    """The mouth's place never jumps, and is where the blended picture shows it."""
    pictures, track, seam = swaying
    closed = pictures.copy()
    blend(closed, track, seam)
    moves = seam.cut(track.moves)
    x, y, width, height = track.box
    mouth = moves @ (x + width / 2, y + 0.8 * height, 1)
    steps = np.hypot(*(np.roll(mouth, -1, axis=0) - mouth).T)
    assert len(moves) == 75 and steps.max() < 1.5 * np.percentile(steps[:-BLEND], 95)
    again = followed(closed[seam.first : seam.end])
    back = np.linalg.inv(np.vstack([moves[again.reference], [0, 0, 1]]))
    expected = moves @ back @ (*again.box[:2], 1)
    assert np.abs(again.moves @ (*again.box[:2], 1) - expected).max() < 0.7


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(lambda: video(lambda k: (0.4 * k, 0, 0), lambda _: 1.0), id="wanders off"),
        pytest.param(lambda: video(sway, lambda k: 1 - k / 400), id="the light goes"),
    ],
)
def test_a_video_that_does_not_come_back_has_no_seam(pictures):
    made = pictures()
    assert find_seam(made, followed(made)) is None


def test_a_video_too_short_for_it_has_no_seam(swaying):
    """A second, and what is blended with it, must fit."""
    _, track, _ = swaying
    still = np.repeat(swaying[0][:1], 25 + BLEND, axis=0)
    standing = replace(track, moves=np.tile(np.eye(2, 3), (len(still), 1, 1)))
    assert find_seam(still, standing) == Seam(BLEND, 25 + BLEND)
    assert find_seam(still[:-1], replace(standing, moves=standing.moves[:-1])) is None
