"""Who is sent to when: everybody once a round, nobody always last, and the event loop gets on with its other work."""

import asyncio
from collections import Counter
from itertools import pairwise

from tests.clients.waiting import until
from whep_server.rtc import turns
from whep_server.rtc.turns import Turns


class Guest:
    """Notes when it is served."""

    def __init__(self, name: int, log: list[int]) -> None:
        self.name, self._log = name, log

    def serve(self, now_s: float) -> None:
        self._log.append(self.name)


async def round_of(waiting: Turns, guests: list[Guest], log: list[int]) -> list[int]:
    """One round: in which order they were served."""
    log.clear()
    for guest in guests:
        waiting.join(guest)
    await until(lambda: len(log) == len(guests), 5, "all served")
    return list(log)


async def test_each_round_begins_with_another_and_serves_all_in_their_order():
    log: list[int] = []
    waiting, guests = Turns(), [Guest(name, log) for name in range(5)]
    rounds = [await round_of(waiting, guests, log) for _ in range(5)]
    assert all(sorted(order) == [0, 1, 2, 3, 4] for order in rounds)
    assert all((after - before) % 5 == 1 for order in rounds for before, after in pairwise(order))
    assert Counter(order[-1] for order in rounds) == Counter(range(5)), "nobody is last more often than others"


async def test_after_each_slice_the_event_loop_does_its_other_work(monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 1e-9)
    log: list[int] = []
    waiting, guests = Turns(), [Guest(name, log) for name in range(20)]
    for guest in guests:
        waiting.join(guest)
    seen = []
    while len(log) < len(guests):
        await asyncio.sleep(0)
        seen.append(len(log))
    assert seen == list(range(1, 21)), "one at a time, the slice being over with each"


async def test_who_comes_during_a_round_is_served_after_who_waits(monkeypatch):
    monkeypatch.setattr(turns, "SLICE_S", 1e-9)
    log: list[int] = []
    waiting, guests = Turns(), [Guest(name, log) for name in range(4)]
    for guest in guests[:3]:
        waiting.join(guest)
    await asyncio.sleep(0)
    assert len(log) == 1
    waiting.join(guests[3])
    await until(lambda: len(log) == len(guests), 5, "all served")
    assert log[-1] == 3
