"""When pictures are encoded in haste, and when no more."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from avatar.haste import BEGINS_S, CALM_S, LONGEST_CALM_S, Haste
from avatar.scheduler import Demand

FPS = 25
ROUND_S = 0.04


def demand(ahead: int, *, granted: bool = True, now: int = 1000) -> Demand:
    """A stream whose next frame is due in so many frames."""
    return Demand("a", FPS, now + ahead, now + ahead + (4 if granted else 0), now)


class Worker:
    """Rounds, one after the other."""

    def __init__(self) -> None:
        self.haste = Haste()
        self.now_s = 0.0
        self.changes: list[tuple[float, bool]] = []

    def work(self, seconds: float, *demands: Demand) -> bool:
        """Whether it was in haste at the end."""
        for _ in range(round(seconds / ROUND_S)):
            self.now_s += ROUND_S
            before = self.haste.quick
            if self.haste.look(demands, self.now_s) != before:
                self.changes.append((self.now_s, self.haste.quick))
        return self.haste.quick


def test_a_worker_that_keeps_up_takes_its_time():
    assert not Worker().work(60, demand(3), demand(2), demand(1))


def test_one_that_is_behind_for_a_second_makes_haste_until_it_is_calm():
    worker = Worker()
    assert not worker.work(0.9 * BEGINS_S, demand(3), demand(0))
    assert worker.work(0.3 * BEGINS_S, demand(3), demand(-2))
    assert worker.work(0.9 * CALM_S, demand(3))
    assert not worker.work(0.3 * CALM_S, demand(3))


def test_a_stumble_is_no_reason():
    worker = Worker()
    for _ in range(20):
        assert not worker.work(0.4, demand(-1))
        assert not worker.work(0.6, demand(3))


def test_what_can_wait_and_what_is_made_already_is_not_late():
    recording = Demand("b", FPS, 5, 5000, 0)
    assert not Worker().work(20, recording, demand(-5, granted=False))


def test_a_worker_that_had_nothing_to_do_was_not_behind():
    haste = Haste()
    for now_s in range(0, 3, 2):
        assert not haste.look([demand(0)], float(now_s))


def test_who_ends_too_early_waits_the_longer():
    worker = Worker()
    for _ in range(9):
        worker.work(2 * BEGINS_S, demand(-1))
        while worker.haste.quick:
            worker.work(1.0, demand(3))
    began = [at_s for at_s, quick in worker.changes if quick]
    ended = [at_s for at_s, quick in worker.changes if not quick]
    lasted = [end - begin for begin, end in zip(began, ended, strict=True)]
    assert all(1.6 * before < after < 2.2 * before for before, after in pairwise(lasted[1:5]))
    assert max(lasted) <= LONGEST_CALM_S + 3


@given(st.lists(st.integers(-3, 4), max_size=300))
def test_it_never_flaps(aheads: list[int]):
    worker = Worker()
    for ahead in aheads:
        worker.work(0.4, demand(ahead))
    for (earlier_s, quick), (later_s, _) in pairwise(worker.changes):
        assert later_s - earlier_s >= (CALM_S if quick else BEGINS_S) - 2 * ROUND_S
