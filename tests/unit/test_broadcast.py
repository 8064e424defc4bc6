"""What goes to one viewer, in its turn; and that its troubles are its own."""

import asyncio

from tests.clients.waiting import until
from whep_server.live.packetize import Packetised
from whep_server.rtc.broadcast import WAITING, Broadcast, Delivery
from whep_server.rtc.datagrams import Path

SOUND, PICTURE = "sound", "picture"


class Unconnected:
    """A connection without a pair."""

    nominated = None


class Track:
    """Notes what leaves, and when reports are due."""

    def __init__(self, name: str, left: list[tuple[str, int]]) -> None:
        self._name, self._left = name, left
        self.reports: list[float] = []
        self.fault: Exception | None = None

    def leave(self, unit: Packetised, path: Path, now_s: float) -> None:
        if self.fault is not None:
            raise self.fault
        self._left.append((self._name, unit.rtp_time))

    def report(self, path: Path, now_s: float) -> None:
        if self.fault is not None:
            raise self.fault
        self.reports.append(now_s)


class Guest:
    """A viewer with both tracks."""

    def __init__(self, broadcast: Broadcast) -> None:
        self.left: list[tuple[str, int]] = []
        self.faults: list[Exception] = []
        self.delivery = Delivery(broadcast)
        self.delivery.on_fault = self.faults.append
        self.picture, self.sound = Track(PICTURE, self.left), Track(SOUND, self.left)
        for track in (self.picture, self.sound):
            self.delivery.open(track, Unconnected())

    def put(self, at: int) -> None:
        for track in (self.picture, self.sound):
            self.delivery.put(track, Packetised((b"x",), at, True))

    def close(self) -> None:
        for track in (self.picture, self.sound):
            self.delivery.close(track, b"goodbye")


def both(*times: int) -> list[tuple[str, int]]:
    return [(name, at) for at in times for name in (PICTURE, SOUND)]


async def test_both_tracks_leave_together_and_in_order():
    broadcast = Broadcast(0.0)
    guests = [Guest(broadcast) for _ in range(3)]
    for guest in guests:
        guest.put(1)
        assert guest.left == [], "the turn comes when the loop is free"
    await until(lambda: all(guest.left for guest in guests), 5, "a turn each")
    assert [guest.left for guest in guests] == [both(1)] * 3


async def test_who_is_not_served_in_time_is_served_at_once():
    guest = Guest(Broadcast(0.0))
    for at in range(10):
        guest.put(at)
    assert len(guest.left) >= 20 - WAITING and guest.left == both(*range(10))[: len(guest.left)]
    await until(lambda: len(guest.left) == 20, 5, "the rest")
    assert guest.left == both(*range(10))


async def test_one_viewers_fault_costs_nobody_else_a_turn():
    broadcast = Broadcast(0.0)
    before, broken, after = (Guest(broadcast) for _ in range(3))
    broken.picture.fault = ValueError("of a test")
    for guest in (before, broken, after):
        guest.put(1)
    await until(lambda: before.left and after.left, 5, "the others' turns")
    assert broken.faults == [broken.picture.fault] and broken.left == []
    broken.put(2)
    await asyncio.sleep(0)
    assert len(broken.faults) == 1, "it is not tried again"
    broken.close()


async def test_reports_of_both_tracks_are_of_one_instant_and_end_with_the_last_track():
    broadcast = Broadcast(0.0)
    guest, other = Guest(broadcast), Guest(broadcast)
    await until(lambda: len(guest.sound.reports) == 1, 5, "a first report, soon")
    assert guest.picture.reports == guest.sound.reports
    other.picture.fault = ValueError("of a test")
    other.delivery.report(1.0)
    assert other.faults == [other.picture.fault]
    guest.delivery.close(guest.picture, b"goodbye")
    guest.delivery.report(2.0)
    assert (guest.picture.reports[-1], guest.sound.reports[-1]) != (2.0, 2.0) and guest.sound.reports[-1] == 2.0
    guest.delivery.close(guest.sound, b"goodbye")
    other.close()
    assert broadcast.reports._timer is None
    guest.put(5)
    await asyncio.sleep(0)
    assert guest.left == []


async def test_a_track_that_has_ended_takes_what_waits_for_it_along():
    guest = Guest(Broadcast(0.0))
    guest.put(1)
    guest.delivery.close(guest.picture, b"goodbye")
    await until(lambda: guest.left, 5, "its turn")
    assert guest.left == [(SOUND, 1)]
    guest.delivery.close(guest.sound, b"goodbye")
