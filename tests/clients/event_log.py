"""The server's own account of what happens: its event stream and its speech endpoint, as a program uses them."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx

from tests.clients.waiting import until


@dataclass(frozen=True, slots=True)
class Event:
    """One server-sent event."""

    kind: str
    data: dict[str, object]


@dataclass(slots=True)
class EventLog:
    """Every event since the stream was opened, in order."""

    events: list[Event] = field(default_factory=list)

    def find(self, kind: str, **wanted: object) -> list[Event]:
        """The events of a kind whose data holds what is wanted."""
        return [
            event
            for event in self.events
            if event.kind == kind and all(event.data.get(key) == value for key, value in wanted.items())
        ]

    async def wait_nth(self, seconds: float, number: int, kind: str, **wanted: object) -> Event:
        """The one with that number, counted from 0, once it is there."""
        await until(lambda: len(self.find(kind, **wanted)) > number, seconds, f"{kind} {wanted}; had {self.events}")
        return self.find(kind, **wanted)[number]

    async def wait(self, seconds: float, kind: str, **wanted: object) -> Event:
        """The first of them, once it is there."""
        return await self.wait_nth(seconds, 0, kind, **wanted)

    def states(self) -> list[str]:
        """The stream's states so far, oldest first."""
        return [str(event.data["state"]) for event in self.events if event.kind == "state"]

    async def wait_idle(self, seconds: float) -> None:
        """Wait until the stream is idle."""
        await until(lambda: self.states()[-1] == "idle", seconds, f"idle again; states {self.states()}")


@asynccontextmanager
async def listening(base: str, stream: str = "demo") -> AsyncIterator[EventLog]:
    """Listen to a stream's events; the first ones are there when the block is entered."""
    log = EventLog()
    timeout = httpx.Timeout(10, read=None)
    async with (
        httpx.AsyncClient(base_url=base, timeout=timeout, trust_env=False) as client,
        client.stream("GET", f"/streams/{stream}/events") as response,
        asyncio.TaskGroup() as group,
    ):
        response.raise_for_status()
        reader = group.create_task(read_events(response, log))
        await log.wait(10, "state")
        try:
            yield log
        finally:
            reader.cancel()


async def read_events(response: httpx.Response, log: EventLog) -> None:
    """Parse server-sent events as far as the server writes them: ``event``, ``data``, a blank line."""
    kind, data = "message", ""
    async for line in response.aiter_lines():
        name, _, value = line.partition(":")
        if name == "event":
            kind = value.strip()
        elif name == "data":
            data += value.removeprefix(" ")
        elif not line and data:
            log.events.append(Event(kind, json.loads(data)))
            kind, data = "message", ""


async def speak(base: str, speech: bytes, stream: str = "demo") -> str:
    """Have the bytes of an audio file spoken; the utterance's id."""
    async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
        response = await client.post(f"/streams/{stream}/speech", content=speech)
        assert response.status_code == 202, response.text
        return str(response.json()["utterance"])
