"""Messages to the server: their order, whichever are made when, and those of which nothing comes."""

import socket
import threading
from collections.abc import Iterator

import pytest

from avatar.framing import MessageReader, decode_from_worker
from avatar.messages import Codec, FromWorker, Pong, Unit, WorkerStats
from avatar.outbox import TOGETHER, Outbox

READ_BYTES = 65_536


class Server:
    """The other end of the socket."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._reader = sock, MessageReader()
        self._read: list[FromWorker] = []

    def read(self, count: int) -> list[FromWorker]:
        """The next ``count`` messages."""
        while len(self._read) < count:
            self._read += map(decode_from_worker, self._reader.feed(self._sock.recv(READ_BYTES)))
        read, self._read = self._read[:count], self._read[count:]
        return read


@pytest.fixture
def ends() -> Iterator[tuple[Outbox, Server]]:
    here, there = socket.socketpair()
    there.settimeout(20)
    with here, there:
        yield Outbox(here), Server(there)


def unit(number: int) -> Unit:
    return Unit("a", 0, Codec.OPUS, number, keyframe=True, data=b"packet")


def pong(serial: int) -> Pong:
    return Pong(serial, WorkerStats())


def test_what_is_made_late_comes_in_the_order_in_which_it_was_sent(ends: tuple[Outbox, Server]):
    outbox, server = ends
    may = threading.Event()

    def slow() -> Unit:
        may.wait()
        return unit(0)

    sent = [slow, *[(lambda number=number: unit(number)) if number % 3 else pong(number) for number in range(1, 100)]]
    for message in sent:
        outbox.send(message)
    may.set()
    assert server.read(100) == [unit(0), *[unit(number) if number % 3 else pong(number) for number in range(1, 100)]]


def test_what_nobody_wants_any_more_and_what_cannot_be_made_is_left_out(
    ends: tuple[Outbox, Server], caplog: pytest.LogCaptureFixture
):
    outbox, server = ends

    def broken() -> Unit:
        raise RuntimeError("no encoder")

    for message in (unit(1), lambda: None, broken, lambda: unit(2), lambda: None, unit(3)):
        outbox.send(message)
    assert server.read(3) == [unit(1), unit(2), unit(3)]
    assert [record.exc_info is not None for record in caplog.records] == [True]


def test_what_is_made_is_made_by_one_thread_that_is_not_the_senders(ends: tuple[Outbox, Server]):
    outbox, server = ends
    makers = set()

    def make(number: int) -> Unit:
        makers.add(threading.current_thread().name)
        return unit(number)

    for number in range(3 * TOGETHER):
        outbox.send(lambda number=number: make(number))
    server.read(3 * TOGETHER)
    assert makers == {"outbox"}


def test_who_flushes_waits_for_all_that_was_sent(ends: tuple[Outbox, Server]):
    outbox, server = ends
    outbox.send(lambda: unit(1))
    outbox.send(pong(2))
    outbox.flush(20.0)
    assert server.read(2) == [unit(1), pong(2)]
