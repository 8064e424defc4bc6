"""Poses: seamless loops on one timeline, and ways from one to another on which nothing jumps."""

import itertools

import numpy as np
import pytest

from avatar.engines.viseme.mover import field_of
from avatar.formats import NEUTRAL_POSE, POSES
from avatar.motion import STILL, Motion
from avatar.poses import EASE_S, MOST_STEP, PoseTrack, pose_motion

PICTURES, FPS = 200, 25
EASE = round(EASE_S * FPS)
FIELD = field_of(*np.meshgrid(np.linspace(140, 860, 19), np.linspace(100, 850, 26)))
WAYS = list(itertools.permutations(POSES, 2))


def furthest(motions: list[Motion]) -> float:
    """How far any point of the figure goes from one motion to the next, at most. Units: design units."""
    steps = np.diff(np.array(motions), axis=0)
    return float(np.linalg.norm(np.tensordot(steps, FIELD, 1), axis=1).max())


def test_the_neutral_pose_adds_nothing():
    assert {pose_motion(NEUTRAL_POSE, picture, PICTURES) for picture in range(PICTURES)} == {STILL}


@pytest.mark.parametrize("pose", POSES)
def test_a_loop_closes_without_a_seam(pose: str):
    whole = [pose_motion(pose, picture % PICTURES, PICTURES) for picture in range(PICTURES + 1)]
    assert np.allclose(whole[0], pose_motion(pose, PICTURES, PICTURES))
    assert furthest(whole[-2:]) <= furthest(whole) <= MOST_STEP


def test_poses_can_be_told_apart():
    listening, nodding = (
        np.array([pose_motion(pose, picture, PICTURES) for picture in range(PICTURES)])
        for pose in ("listening", "nodding")
    )
    nod = Motion._fields.index("nod")
    assert abs(listening[:, 0].mean() - nodding[:, 0].mean()) > 2, "a listener tilts the head"
    assert np.ptp(nodding[:, nod]) > 2 * np.ptp(listening[:, nod]), "and does not nod as much"


@pytest.mark.parametrize(("before", "after"), WAYS)
def test_no_point_moves_further_than_stated_on_the_way_whenever_it_begins(before: str, after: str):
    for start in range(0, PICTURES, 7):
        track = PoseTrack(FPS, 0, before)
        track.change(start + 10, after)
        frames = range(start + 8, start + 12 + EASE)
        assert furthest([track.motion(frame, frame % PICTURES, PICTURES) for frame in frames]) <= MOST_STEP


def test_a_change_on_the_way_to_another_pose_begins_where_the_figure_is():
    for between in range(1, EASE):
        track = PoseTrack(FPS)
        track.change(10, "listening")
        track.change(10 + between, "nodding")
        motions = [track.motion(frame, frame, PICTURES) for frame in range(70)]
        assert furthest(motions) <= MOST_STEP
        assert motions[-1] == pose_motion("nodding", 69, PICTURES)


def test_it_is_settled_when_it_is_wholly_in_its_pose():
    track = PoseTrack(FPS, 50)
    assert track.settled(50) and track.weights(50) == {NEUTRAL_POSE: 1}
    track.change(60, "nodding")
    assert next(frame for frame in range(50, 99) if track.settled(frame)) == 60 + EASE
    assert track.weights(60 + EASE) == {"nodding": 1}
    assert set(track.weights(60 + EASE // 2)) == {NEUTRAL_POSE, "nodding"}
    for frame in range(90):
        assert sum(track.weights(frame).values()) == pytest.approx(1)


def test_frames_that_are_made_again_are_the_same_and_later_changes_come_with_them():
    track = PoseTrack(FPS)
    track.change(20, "listening")
    before = [track.motion(frame, frame, PICTURES) for frame in range(60)]
    track.rewind(60)
    assert [track.motion(frame, frame, PICTURES) for frame in range(60)] == before
    track.rewind(5)
    assert track.motion(5, 5, PICTURES) == STILL
    assert track.settled(5 + EASE) and not track.settled(4 + EASE)


def test_the_pose_that_it_has_already_is_no_change():
    track = PoseTrack(FPS, 0, "nodding")
    track.change(30, "nodding")
    assert track.settled(30) and track.pose == "nodding"


def test_a_long_stretch_with_many_changes_keeps_what_can_be_made_again():
    track = PoseTrack(FPS)
    poses = [POSES[1 + number % 2] for number in range(100)]
    for number, pose in enumerate(poses):
        track.change(100 * number, pose)
    assert len(track._changes) < 10
    for number in range(96, 100):
        assert track.weights(100 * number + EASE) == {poses[number]: 1}
