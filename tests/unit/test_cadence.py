"""Which pictures are drawn where not all are."""

import pytest

from avatar.cadence import Cadence


def drawn(cadence: Cadence, frames: range) -> list[int]:
    return [frame for frame in frames if cadence.draws(frame, needed=False)]


@pytest.mark.parametrize(
    ("fps", "drawn_fps", "expected"),
    [(25, 0, list(range(1, 11))), (30, 15, [2, 4, 6, 8, 10]), (25, 10, [3, 5, 8, 10]), (30, 10, [3, 6, 9])],
)
def test_as_many_are_drawn_as_is_asked_for(fps: int, drawn_fps: int, expected: list[int]):
    assert drawn(Cadence(fps, drawn_fps, 0), range(1, 11)) == expected


@pytest.mark.parametrize(("fps", "every"), [(30, 2), (25, 2), (20, 2), (15, 1), (10, 1)])
def test_in_haste_all_are_shown_for_equally_long(fps: int, every: int):
    cadence = Cadence(fps, 0, 15)
    assert drawn(cadence, range(1, 31)) == list(range(1, 31))
    cadence.quick = True
    assert drawn(cadence, range(31, 61)) == [frame for frame in range(31, 61) if frame % every == 0]


def test_one_that_was_due_and_was_left_out_is_made_up_for_by_the_next():
    cadence = Cadence(30, 15, 0)
    assert drawn(cadence, range(1, 4)) == [2]
    assert drawn(cadence, range(7, 9)) == [7, 8]  # 4 and 6 were too late
    assert [frame for frame in range(10, 100, 4) if cadence.draws(frame, needed=False)] == list(range(10, 100, 4))


def test_one_that_is_needed_is_drawn():
    cadence = Cadence(30, 10, 0)
    assert [cadence.draws(frame, needed=frame == 4) for frame in range(3, 7)] == [True, True, False, True]
