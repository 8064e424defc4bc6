"""What is made together, in which order, and who is told when it fails."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future

import pytest

from avatar.engines.musetalk.batches import Batches

WAIT_S = 20.0


class Oven:
    """Makes batches of four when it may."""

    def __init__(self) -> None:
        self.made: list[list[str]] = []
        self.may = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.threads: set[int] = set()
        self.batches: Batches[str, str] = Batches(self.make, 4, lambda: self.threads.add(threading.get_ident()))

    def make(self, asked: Sequence[str]) -> list[str]:
        self.threads.add(threading.get_ident())
        self.begun.release()
        assert self.may.acquire(timeout=WAIT_S)
        self.made.append(list(asked))
        if "burnt" in asked:
            raise RuntimeError("smoke")
        return [each.upper() for each in asked]

    def busy_with(self, first: str) -> "Future[str]":
        """Have it begin, and be not done."""
        (future,) = self.batches.put([first], [1.0])
        assert self.begun.acquire(timeout=WAIT_S)
        return future


def test_what_gathers_meanwhile_is_made_together_the_most_urgent_first():
    oven = Oven()
    first = oven.busy_with("first")
    later = oven.batches.put(["patient", "far"], [60.0, 30.0])
    soon = oven.batches.put(["third", "second"], [0.3, 0.2])
    others = oven.batches.put(["fourth"], [0.4])
    assert not oven.batches.idle
    for _ in range(3):
        oven.may.release()
    assert [each.result(WAIT_S) for each in (first, *later, *soon, *others)] == [
        "FIRST",
        "PATIENT",
        "FAR",
        "THIRD",
        "SECOND",
        "FOURTH",
    ]
    assert oven.made == [["first"], ["second", "third", "fourth", "far"], ["patient"]]
    assert len(oven.threads) == 1 and threading.get_ident() not in oven.threads


def test_who_waits_for_a_batch_that_fails_is_told_and_the_next_is_made():
    oven = Oven()
    first = oven.busy_with("first")
    lost = oven.batches.put(["burnt", "beside"], [1.0, 1.0])
    for _ in range(3):
        oven.may.release()
    assert first.result(WAIT_S) == "FIRST"
    for each in lost:
        with pytest.raises(RuntimeError, match="smoke"):
            each.result(WAIT_S)
    (after,) = oven.batches.put(["after"], [0.0])
    assert after.result(WAIT_S) == "AFTER"


def test_what_cannot_be_prepared_is_told_at_once():
    def broken() -> None:
        raise ValueError("no oven")

    with pytest.raises(ValueError, match="no oven"):
        Batches(lambda asked: asked, 4, broken)
