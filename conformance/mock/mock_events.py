"""The mock's server-sent events: a POST makes a stream of the wanted types, a GET reads it, a DELETE drops it."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

from conformance.mock.http import Reply, Request

KINDS: Final = frozenset({"active", "inactive", "layers"})
MOST_QUEUED: Final = 16
"""Of one stream; the mock has little to tell."""


@dataclass(slots=True)
class EventStreams:
    """The event streams of one session: by id, what is queued for each."""

    queues: dict[str, asyncio.Queue[tuple[str, str] | None]] = field(default_factory=dict)
    wanted: dict[str, frozenset[str]] = field(default_factory=dict)

    def open(self, kinds: frozenset[str]) -> str:
        """A new stream; what is queued first is that media flows."""
        name = secrets.token_urlsafe(12)
        self.queues[name], self.wanted[name] = asyncio.Queue(MOST_QUEUED), kinds
        if "active" in kinds:
            self.queues[name].put_nowait(("active", "{}"))
        return name

    def drop(self, name: str) -> None:
        """End one stream; what it still had queued is gone."""
        self.wanted.pop(name, None)
        queue = self.queues.pop(name, None)
        if queue is not None:
            queue.put_nowait(None)

    def end(self) -> None:
        """End all streams."""
        for name in list(self.queues):
            self.drop(name)

    async def read(self, name: str) -> AsyncIterator[bytes]:
        """A stream's events as they go over the wire, until it ends."""
        queue = self.queues[name]
        while name in self.queues and (item := await queue.get()) is not None:
            yield f"event: {item[0]}\ndata: {item[1]}\n\n".encode()


def events_reply(request: Request, streams: EventStreams, name: str | None) -> Reply:
    """What a request to the events' URL, or to a stream below it, gets."""
    if name is None:
        return _opened(request, streams)
    if name not in streams.queues:
        return Reply(404)
    if request.method == "DELETE":
        streams.drop(name)
        return Reply(200)
    if request.method == "GET":
        return Reply(200, (("Content-Type", "text/event-stream"),), stream=streams.read(name))
    return Reply(405, (("Allow", "GET, DELETE, OPTIONS"),))


def _opened(request: Request, streams: EventStreams) -> Reply:
    if request.method != "POST":
        return Reply(405, (("Allow", "POST, OPTIONS"),))
    try:
        wanted = json.loads(request.body) if request.body else sorted(KINDS)
    except ValueError:
        return Reply(400)
    if not isinstance(wanted, list) or not all(isinstance(kind, str) and kind in KINDS for kind in wanted):
        return Reply(400)
    name = streams.open(frozenset(wanted))
    return Reply(201, (("Location", f"{request.path.rstrip('/')}/{name}"),))
