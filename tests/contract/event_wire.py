"""A listener to server-sent events that keeps the bytes as they came, and what those bytes may be."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.contract.field_types import FILLED, NUMBER, differences

CHUNK: Final = {
    "event": "chunk",
    "index": int,
    "url": str,
    "total_chunks": int,
    "duration": NUMBER,
    "creation_time": NUMBER,
}
COMPLETE: Final = {"event": "complete", "total_chunks": int}
ERROR: Final = {"event": "error", "message": FILLED}
END: Final = b"\n\n"


@dataclass(frozen=True, slots=True)
class WireEvent:
    """One event."""

    message: dict[str, Any]
    """What its ``data`` line holds."""
    id: str | None
    """Of its ``id`` line; the original has none."""

    @property
    def kind(self) -> str:
        """Which of chunk, complete and error."""
        return str(self.message["event"])


def read_event(block: bytes) -> WireEvent | None:
    """The event in the bytes before a blank line, or None where there are comments alone.

    Errors: AssertionError where an old client would not see what it expects.
    """
    data: list[bytes] = []
    event_id: str | None = None
    for line in block.split(b"\n"):
        name, _, value = line.partition(b": ")
        if line.startswith(b":"):
            continue
        assert name in (b"data", b"id"), f"{line!r}: the kind is in the JSON; EventSource gets messages without a name"
        if name == b"id":
            event_id = value.decode()
        else:
            data.append(value)
    if not data and event_id is None:
        return None
    assert len(data) == 1, f"{block!r}: one line of data an event"
    return WireEvent(json.loads(data[0]), event_id)


@dataclass(slots=True)
class Listener:
    """An open event stream."""

    response: httpx.Response
    patience_s: float
    raw: bytearray = field(default_factory=bytearray)
    """Everything that came."""
    events: list[WireEvent] = field(default_factory=list)
    closed: bool = False
    """Whether the server has ended it."""
    _pieces: AsyncIterator[bytes] = field(init=False)
    _read: int = 0

    def __post_init__(self) -> None:
        self._pieces = self.response.aiter_raw()

    async def until(self, count: int) -> list[WireEvent]:
        """The first so many events; fewer where the server ends the stream."""
        async with asyncio.timeout(self.patience_s):
            while len(self.events) < count and not self.closed:
                await self._more()
        return self.events[:count]

    async def until_closed(self) -> list[WireEvent]:
        """All events up to the server's end of the stream. Errors: TimeoutError where it does not end it."""
        async with asyncio.timeout(self.patience_s):
            while not self.closed:
                await self._more()
        assert self._read == len(self.raw), f"half an event at the end: {bytes(self.raw[self._read :])!r}"
        return self.events

    async def _more(self) -> None:
        try:
            self.raw += await anext(self._pieces)
        except StopAsyncIteration:
            self.closed = True
        while (end := self.raw.find(END, self._read)) >= 0:
            event = read_event(bytes(self.raw[self._read : end]))
            self._read = end + len(END)
            if event is not None:
                self.events.append(event)


@asynccontextmanager
async def listening(
    http: httpx.AsyncClient, path: str, patience_s: float, headers: Mapping[str, str] | None = None
) -> AsyncIterator[Listener]:
    """An event stream whose head has come."""
    accept = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
    async with http.stream("GET", path, headers=accept | dict(headers or {})) as response:
        yield Listener(response, patience_s)


def assert_event_stream(response: httpx.Response) -> None:
    """The head of an event stream."""
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert response.headers["access-control-allow-origin"] == "*"


def assert_utterance(events: list[WireEvent], request_id: str) -> list[dict[str, Any]]:
    """Chunks in order, then ``complete``, as a client that shows one utterance needs them. Returns the chunks."""
    *chunks, last = [event.message for event in events]
    assert not (found := [line for chunk in chunks for line in differences(chunk, CHUNK)]), found
    assert not (found := differences(last, COMPLETE)), found
    assert [chunk["index"] for chunk in chunks] == list(range(len(chunks)))
    assert {chunk["total_chunks"] for chunk in chunks} == {last["total_chunks"]} == {len(chunks)}
    expected = [f"/chunks/{request_id}/chunk_{index:04d}.mp4" for index in range(len(chunks))]
    assert [chunk["url"] for chunk in chunks] == expected
    assert all(0 <= chunk["creation_time"] < 600 for chunk in chunks), "seconds of work, not a time of day"
    return chunks
