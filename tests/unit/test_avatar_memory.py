"""Which avatars are in memory: shared, as many as there is room for, and those that streams show whatever comes."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from avatar.avatar_memory import AvatarMemory, bytes_of
from avatar.memory_messages import AvatarsHeld
from avatar.prepared import AvatarInvalid, PreparedAvatar
from tests.fake_engine import SIZE, make_avatar

ONE = bytes_of(make_avatar("one"))
WAIT_S = 20.0


class Shelf:
    """Avatars that are made up, and what was loaded of them."""

    def __init__(self) -> None:
        self.loads: list[str] = []
        self.before: Callable[[str], object] = lambda name: None

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        self.before(name)
        if name == "damaged":
            raise AvatarInvalid("damaged")
        self.loads.append(name)
        return make_avatar(name)


class Room:
    """A memory with room for so many avatars."""

    def __init__(self, avatars: float) -> None:
        self.shelf, self.told = Shelf(), list[AvatarsHeld]()
        self.memory = AvatarMemory(self.shelf, int(avatars * ONE), self.told.append)

    def borrow(self, name: str) -> PreparedAvatar:
        return self.memory.borrow(name, SIZE)

    @property
    def held(self) -> dict[str, int]:
        """What is in memory, and how many streams show it."""
        assert all(each.held_bytes == ONE and (each.width, each.height) == SIZE for each in self.told[-1].held)
        return {each.name: each.streams for each in self.told[-1].held}

    @property
    def counts(self) -> tuple[int, int, int]:
        last = self.told[-1]
        return last.hits, last.misses, last.evictions


def test_the_one_asked_for_longest_ago_goes_first():
    room = Room(2)
    for name in ("a", "b", "a", "c", "a", "b"):
        room.memory.give_back(room.borrow(name))
    assert room.shelf.loads == ["a", "b", "c", "b"]
    assert list(room.held) == ["a", "b"] and room.counts == (2, 4, 2)


def test_what_streams_show_never_goes_and_is_one_for_all_of_them(caplog):
    room = Room(1)
    shown = room.borrow("shown")
    assert room.borrow("shown") is shown
    assert not [each for each in caplog.records if each.levelname == "WARNING"]
    room.memory.give_back(room.borrow("passing"))
    assert room.held == {"shown": 2} and room.counts == (1, 2, 1)
    caplog.clear()
    other = room.borrow("other")
    assert room.borrow("other") is other and room.held == {"shown": 2, "other": 2}
    room.memory.give_back(other)
    (warning,) = (each for each in caplog.records if each.levelname == "WARNING")
    assert "more than" in warning.getMessage()
    room.memory.give_back(shown)
    room.memory.give_back(shown)
    assert room.held == {"other": 1}, "nobody shows it, and there is too much"
    room.memory.give_back(other)
    assert room.held == {"other": 0}, "there is room for one"
    assert room.borrow("other") is other and room.shelf.loads.count("other") == 1


def test_what_is_larger_than_the_room_is_there_while_it_is_used():
    room = Room(0.5)
    used = room.memory.get("large", SIZE)
    assert room.held == {} and room.memory.get("large", SIZE) is used
    assert room.borrow("large") is used and room.held == {"large": 1}
    room.memory.give_back(used)
    assert room.held == {}
    del used
    room.memory.get("large", SIZE)
    assert room.shelf.loads == ["large", "large"]


def test_what_is_forgotten_is_loaded_anew_and_counts_as_long_as_it_is_shown():
    room = Room(3)
    old = room.borrow("me")
    happened: list[str] = []
    assert room.memory.forget("me", lambda: happened.append("replaced"))
    assert not room.memory.forget("me") and happened == ["replaced"]
    new = room.borrow("me")
    assert new is not old and room.shelf.loads == ["me", "me"]
    assert [(each.name, each.streams, each.loads) for each in room.told[-1].held] == [("me", 1, 2), ("me", 1, 2)]
    room.memory.give_back(old)
    assert room.held == {"me": 1} and len(room.told[-1].held) == 1
    assert room.memory.get("me", SIZE) is new


def test_what_cannot_be_loaded_or_replaced_changes_nothing():
    room = Room(2)
    kept = room.borrow("kept")
    with pytest.raises(AvatarInvalid):
        room.borrow("damaged")

    def fail() -> None:
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        room.memory.forget("kept", fail)
    assert room.borrow("kept") is kept and room.held == {"kept": 2} and room.counts == (1, 1, 0)


def test_two_that_ask_at_once_get_one_and_nobody_else_waits_for_the_disk():
    room = Room(3)
    here = room.borrow("here")
    asked, loading = threading.Event(), threading.Event()

    def slowly(name: str) -> None:
        loading.set()
        assert asked.wait(WAIT_S)

    room.shelf.before = slowly
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(room.borrow, "slow") for _ in range(2)]
        assert loading.wait(WAIT_S)
        assert room.borrow("here") is here
        room.memory.give_back(here)
        asked.set()
        first, second = (each.result(WAIT_S) for each in both)
    assert first is second and room.shelf.loads == ["here", "slow"]
    assert room.held == {"here": 1, "slow": 2} and room.counts == (1, 2, 0)
