"""The figure moved in a finished picture: as far as it is told, there and nowhere else."""

import threading

import numpy as np
import pytest

from avatar.engines.view import View
from avatar.engines.viseme.mover import FigureMover
from avatar.engines.viseme.portrait import VIEWS
from avatar.motion import STILL, Motion
from avatar.poses import pose_motion

MOUTH, CROWN, COAT, WALL = (500, 569), (500, 200), (500, 900), (60, 400)
ROOM = 120


def spots(view: View) -> np.ndarray:
    """A picture of a soft spot about each of these places."""
    width, height = view.size
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    y, x = np.mgrid[:height, :width]
    luma = np.full((height, width), ROOM, np.float64)
    for place in (MOUTH, CROWN, COAT, WALL):
        px, py = place_of(view, place)
        luma += 100 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / (2 * 6.0**2))
    picture[:height] = np.rint(luma)
    return picture


def place_of(view: View, place: tuple[float, float]) -> np.ndarray:
    return (view.matrix() @ (*place, 1))[:2] - 0.5


def seen(view: View, picture: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """Where the spot about a place is now, in design units from there. Shapes: (2,)."""
    px, py = np.rint(place_of(view, place)).astype(int)
    reach = 34
    part = picture[py - reach : py + reach, px - reach : px + reach].astype(float) - ROOM
    y, x = np.mgrid[-reach:reach, -reach:reach]
    offset = np.array([(part * x).sum(), (part * y).sum()]) / part.sum()
    return np.asarray((offset + np.array([px, py]) - place_of(view, place)) / view.scale)


def moved(view: View, motion: Motion) -> np.ndarray:
    picture = spots(view)
    FigureMover(view)(picture, motion)
    return picture


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view.size}")
def test_without_motion_every_sample_stays(view: View):
    noise = np.random.default_rng(1).integers(0, 256, spots(view).shape, np.uint8)
    for motion in (STILL, Motion(nod=1e-9), Motion(brow=1e-9)):
        picture = noise.copy()
        FigureMover(view)(picture, motion)
        assert np.array_equal(picture, noise)


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: f"{view.size}")
def test_the_head_goes_where_it_is_told(view: View):
    nod = moved(view, Motion(nod=8))
    assert seen(view, nod, MOUTH) == pytest.approx([0, 8], abs=0.4)
    assert seen(view, nod, CROWN) == pytest.approx([0, 8], abs=0.4)
    roll = moved(view, Motion(roll=2))
    assert seen(view, roll, CROWN) == pytest.approx([np.radians(2) * 570, 0], abs=0.8)
    assert seen(view, roll, MOUTH) == pytest.approx([np.radians(2) * 201, 0], abs=0.6)


def test_shoulders_and_room_stay():
    for motion in (Motion(nod=8), Motion(roll=3, lean=0.02), pose_motion("listening", 40, 200)):
        for view, place in ((VIEWS[0], WALL), (VIEWS[2], COAT)):
            assert seen(view, moved(view, motion), place) == pytest.approx([0, 0], abs=0.05)


def test_an_accent_changes_nothing_outside_of_the_face():
    (view, *_) = VIEWS
    still, accent = moved(view, STILL), moved(view, Motion(brow=3.6, dip=3))
    rows, columns = np.nonzero(still[: view.size[1]] != accent[: view.size[1]])
    x, y = view.x + columns / view.scale, view.y + rows / view.scale
    assert (x.min(), x.max(), y.min(), y.max()) == pytest.approx((500, 500, 480, 480), abs=190)
    assert seen(view, accent, MOUTH) == pytest.approx([0, 3], abs=0.3), "the mouth comes along as a whole"
    assert seen(view, accent, CROWN) == pytest.approx([0, 0], abs=0.05)


def test_threads_do_not_disturb_each_other():
    (view, *_) = VIEWS
    mover, motions = FigureMover(view), [Motion(nod=n, brow=n / 2) for n in range(1, 5)]
    expected = [moved(view, motion) for motion in motions]
    wrong: list[int] = []

    def work() -> None:
        for number, motion in enumerate(motions * 3):
            picture = spots(view)
            mover(picture, motion)
            if not np.array_equal(picture, expected[number % len(motions)]):
                wrong.append(number)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
