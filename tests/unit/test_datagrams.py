"""Datagrams over real sockets: in one call where the kernel can, one by one where it refuses, lost where it is full."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from types import SimpleNamespace

import pytest
from aioice.turn import TurnClientTcpProtocol, TurnTransport
from hypothesis import given
from hypothesis import strategies as st

from tests.clients.waiting import until
from whep_server.rtc import datagrams
from whep_server.rtc.datagrams import MAX_BYTES, MAX_SEGMENTS, RELAY_BYTES, Datagrams, RelayPath, SocketPath, runs

PICTURE = [b"parameters", *([b"f" * 1200] * 40), b"rest"]
SMALL = [bytes([at]) * 10 for at in range(200)]
"""More than any kernel puts into one call (UDP_MAX_SEGMENTS)."""


@given(st.lists(st.integers(1, 1400), max_size=300), st.integers(1, 3))
def test_runs_are_the_packets_in_order_in_as_few_calls_as_the_kernel_allows(sizes, repeats):
    packets = [bytes(size) for size in sizes for _ in range(repeats)]
    made = list(runs(packets))
    assert [packet for run in made for packet in run] == packets
    for run in made:
        assert len(run) <= MAX_SEGMENTS and sum(map(len, run)) <= MAX_BYTES
        assert {len(packet) for packet in run[:-1]} <= {len(run[0])} and len(run[-1]) <= len(run[0])
    for run, following in pairwise(made):  # the next packet would not have fitted
        full = len(run) == MAX_SEGMENTS or (len(run) + 1) * len(run[0]) > MAX_BYTES
        assert full or len(run[-1]) < len(run[0]) or len(following[0]) > len(run[0])


@contextmanager
def sockets(family: int) -> Iterator[tuple[SocketPath, socket.socket]]:
    """A path, and the socket at its other end. The first socket is closed, as an event loop may do."""
    host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
    with socket.socket(family, socket.SOCK_DGRAM) as far, socket.socket(family, socket.SOCK_DGRAM) as near:
        far.bind((host, 0))
        far.settimeout(5)
        path = SocketPath(near.fileno(), far.getsockname()[:2])
        near.close()
        try:
            yield path, far
        finally:
            path.close()


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_every_packet_arrives_as_a_datagram_of_its_own(family):
    with sockets(family) as (path, far):
        assert path.send(PICTURE) == path.send([b"sound"]) == 0
        assert [far.recv(2000) for _ in range(len(PICTURE) + 1)] == [*PICTURE, b"sound"]


def test_a_picture_is_one_call_or_two():
    with sockets(socket.AF_INET) as (path, far):
        calls, plain = [], path._socket
        path._socket = SimpleNamespace(
            sendmsg=lambda *given: calls.append(len(given[0])) or plain.sendmsg(*given),
            sendto=lambda *given: calls.append(1) or plain.sendto(*given),
            close=plain.close,
        )
        assert path.send(PICTURE) == 0
        assert calls == [1, len(PICTURE) - 1]
        assert [far.recv(2000) for _ in PICTURE] == PICTURE


def test_where_the_kernel_refuses_they_go_one_by_one_from_then_on(monkeypatch):
    monkeypatch.setattr(datagrams, "MAX_SEGMENTS", len(SMALL))
    with sockets(socket.AF_INET) as (path, far):
        assert path.send(SMALL) == 0
        assert [far.recv(2000) for _ in SMALL] == SMALL
        assert not path._segments
        assert path.send(PICTURE) == 0
        assert [far.recv(2000) for _ in PICTURE] == PICTURE


def test_what_a_full_socket_has_no_room_for_is_discarded_and_counted(monkeypatch, tmp_path):
    """Of a Unix socket, which unlike UDP over loopback can be full."""
    monkeypatch.setattr(datagrams, "SEGMENTS", False)
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as far,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as near,
    ):
        far.bind(str(tmp_path / "far"))
        path = SocketPath(near.fileno(), str(tmp_path / "far"))
        discarded = path.send(SMALL)
        assert 0 < discarded < len(SMALL)
        taken = len(SMALL) - discarded
        assert [far.recv(2000) for _ in range(taken)] == SMALL[:taken]
        assert path.send([b"next"]) == 0
        path.close()


class Turned(TurnClientTcpProtocol):
    """A client of a TURN server whose channel to the peer is bound already."""

    def __init__(self, peer: tuple[str, int]) -> None:
        super().__init__(("127.0.0.1", 1), "user", "password", 600, 1e9)
        self.peer_to_channel[peer] = 0x4000
        self.channel_refresh_at[0x4000] = 1e12


async def test_a_relay_that_takes_nothing_is_congested_until_it_does():
    """A real TCP connection, at whose other end nobody reads for a while."""
    peer, accepted = ("192.0.2.1", 9), asyncio.get_running_loop().create_future()
    server = await asyncio.start_server(lambda reader, writer: accepted.set_result((reader, writer)), "127.0.0.1", 0)
    address = server.sockets[0].getsockname()
    inner, turned = await asyncio.get_running_loop().create_connection(lambda: Turned(peer), *address)
    path, sent = RelayPath(TurnTransport(turned), peer), 0
    reader, writer = await accepted
    writer.transport.pause_reading()
    while not path.congested:
        assert path.send([b"x" * 1200] * 40) == 0
        sent += 40
        await asyncio.sleep(0)
    assert inner.get_write_buffer_size() < RELAY_BYTES + 40 * 1300
    unsent = inner.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT)
    assert unsent == RELAY_BYTES
    writer.transport.resume_reading()
    assert len(await reader.readexactly(sent * 1204)) == sent * 1204
    await until(lambda: not path.congested, 5, "room")
    path.close()
    inner.close()
    writer.close()
    server.close()


class Connection:
    """What is nominated: nothing, until a test says otherwise."""

    nominated = None


def pair(near: socket.socket, far: socket.socket) -> SimpleNamespace:
    """As much of aioice's as is looked at."""
    transport = SimpleNamespace(get_extra_info=lambda name: near if name == "socket" else None)
    return SimpleNamespace(protocol=SimpleNamespace(transport=transport), remote_addr=far.getsockname())


def test_the_nominated_pair_is_followed():
    connection = Connection()
    way = Datagrams(connection)
    assert way.path().send([b"nowhere", b"nowhere"]) == 2
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
    ):
        for far in (one, other):
            far.bind(("127.0.0.1", 0))
            far.settimeout(5)
        connection.nominated = pair(near, one)
        path = way.path()
        assert path.send([b"first"]) == 0 and one.recv(100) == b"first" and way.path() is path
        connection.nominated = pair(near, other)
        assert way.path().send([b"second"]) == 0 and other.recv(100) == b"second"
        assert path._socket.fileno() == -1, "the way before is closed"
        connection.nominated = None
        assert way.path().send([b"third"]) == 1
        connection.nominated = pair(near, one)
        last = way.path()
        way.close()
        assert last._socket.fileno() == -1
