"""An event stream whose listener does not read: cut off, and nobody waits for it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest

from whep_server.web import speech
from whep_server.web.closing import Closing
from whep_server.web.speech import EventStream


async def nothing() -> dict[str, object]:
    """A connection on which the client says nothing, and which it does not close."""
    await asyncio.Event().wait()
    raise AssertionError


class Source:
    """Events without an end."""

    def __init__(self) -> None:
        self.given = 0
        self.open = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        self.given += 1
        return b"data: %d\n\n" % self.given

    @contextmanager
    def listening(self) -> Iterator[AsyncIterator[bytes]]:
        self.open = True
        yield self
        self.open = False


class Silence(Source):
    """No event, ever."""

    async def __anext__(self) -> bytes:
        await asyncio.Event().wait()
        raise AssertionError


class Connection:
    """A client that takes so many messages, and then none."""

    def __init__(self, takes: int) -> None:
        self.takes = takes
        self.sent: list[dict[str, object]] = []

    async def send(self, message: dict[str, object]) -> None:
        self.sent.append(message)
        if len(self.sent) > self.takes:
            await asyncio.Event().wait()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "WRITE_S", 0.05)


async def sent(source: Source, connection: Connection) -> list[object]:
    """What the connection was given until it was given up."""
    stream = EventStream(source.listening(), Closing(), lambda: b"never sent")
    async with asyncio.timeout(10):
        await stream.send_body(connection.send, nothing)  # type: ignore[arg-type]
    assert all(message["more_body"] for message in connection.sent), "no end, which it could not take either"
    assert not source.open
    return [message["body"] for message in connection.sent]


async def test_a_listener_that_does_not_read_is_cut_off(caplog):
    caplog.set_level("INFO")
    assert await sent(Source(), Connection(takes=2)) == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]
    assert "does not read" in caplog.text


async def test_so_is_one_that_is_told_nothing_but_that_it_is_still_there(monkeypatch):
    monkeypatch.setattr(speech, "HEARTBEAT_S", 0.01)
    assert await sent(Silence(), Connection(takes=2)) == [b": still here\n\n"] * 3
