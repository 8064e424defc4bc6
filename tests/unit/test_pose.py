import numpy as np

from avatar.engines.viseme.pose import PICTURES, displacement, mouth_matrix, pose_at, source_of


def test_wrap_step_is_no_larger_than_ordinary_steps():
    matrices = np.array([mouth_matrix(k) for k in range(PICTURES)])
    mouth = matrices @ (500.0, 569.0, 1.0)
    steps = np.linalg.norm(np.diff(mouth, axis=0, append=mouth[:1]), axis=1)
    assert steps[-1] <= steps[:-1].max()
    assert steps.max() < 0.6, "the head moves slowly: design units a picture"


def test_eyes_at_the_wrap_do_not_jump():
    last, first = pose_at(PICTURES - 1), pose_at(0)
    assert abs(last.lids - first.lids) < 0.02
    assert np.hypot(last.gaze[0] - first.gaze[0], last.gaze[1] - first.gaze[1]) < 0.1


def test_lids_blink_four_times_and_shut_fully():
    shut = np.array([pose_at(k).lids for k in range(PICTURES)]) < 0.1
    starts = int(np.sum(shut & ~np.roll(shut, 1)))
    assert starts == 4
    assert min(pose_at(k).lids for k in range(PICTURES)) == 0


def test_motion_of_the_next_round_is_the_same():
    assert pose_at(PICTURES + 17).sway == pose_at(17).sway or np.allclose(pose_at(PICTURES + 17).sway, pose_at(17).sway)


def test_source_is_the_inverse_of_displacement():
    x, y = np.meshgrid(np.linspace(250, 750, 21), np.linspace(150, 1200, 31))
    for picture in range(0, PICTURES, 13):
        pose = pose_at(picture)
        from_x, from_y = source_of(x, y, pose)
        dx, dy = displacement(from_x, from_y, pose)
        assert np.abs(from_x + dx - x).max() < 0.02
        assert np.abs(from_y + dy - y).max() < 0.02


def test_mouth_matrix_is_close_to_the_motion_field():
    x, y = np.meshgrid(np.linspace(450, 550, 5), np.linspace(545, 615, 5))
    for picture in range(0, PICTURES, 13):
        dx, dy = displacement(x, y, pose_at(picture))
        mapped = np.einsum("ij,jhw->ihw", mouth_matrix(picture), np.stack([x, y, np.ones_like(x)]))
        assert np.abs(mapped - np.stack([x + dx, y + dy])).max() < 0.4
