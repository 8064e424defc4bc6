"""X, the live half: the server-sent events of a session that plays (WHEP events extension, working text of March 2026).

Strict makes no difference here beyond the warnings.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Final

import httpx

from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.live_session import Live, playing
from conformance.resource import location_of
from conformance.target import Target, Unmet
from conformance.web_links import Link, MalformedLink, links_of

SHOULD = Severity.SHOULD
EVENTS_REL: Final = "urn:ietf:params:whep:ext:core:server-sent-events"
MOST_LINES: Final = 2000
"""Of a stream; a server that sends more in a few seconds is cut off."""


@dataclass(slots=True)
class Events:
    """An event stream as far as it was read: blocks of (field, value)."""

    blocks: list[list[tuple[str, str]]] = field(default_factory=lambda: [[]])
    ended: bool = False

    def line(self, text: str) -> None:
        """One more line (HTML, section "Interpreting an event stream"); comments are passed over."""
        if not text:
            self.blocks.append([])
        elif not text.startswith(":"):
            name, _, value = text.partition(":")
            self.blocks[-1].append((name, value.removeprefix(" ")))

    @property
    def told(self) -> list[list[tuple[str, str]]]:
        """The blocks that carry an event."""
        return [block for block in self.blocks if any(name in ("data", "event") for name, _ in block)]


@check(
    "X-06",
    on="whep",
    severity=SHOULD,
    live=True,
    tier=3,
    clauses=("X-SSE-02", "X-SSE-04", "X-SSE-05", "X-SSE-08", "X-SSE-09"),
    text="The event stream names its events, each with one line of JSON, and ends with the session.",
)
async def events_end_with_session(target: Target) -> Result:
    """Players read it by EventSource, which sends no token."""
    async with playing(target) as live:
        link = events_link(live)
        wanted = [kind for kind in (link.get("events") or "").split(",") if kind]
        url = live.session.reply.request.url.join(link.target)
        reply = await target.wire.request(
            "POST", url, headers={"Content-Type": "application/json"}, content=json.dumps(wanted) if wanted else ""
        )
        stream = location_of(reply)
        if reply.status_code != httpx.codes.CREATED or stream is None:
            return broken(f"{reply.status_code} to a POST of the wanted events")
        return await _read_to_end(live, stream, wanted)


def events_link(live: Live) -> Link:
    """Errors: Unmet where the 201 names no event source."""
    try:
        found = [link for link in links_of(live.session.reply) if link.rel == EVENTS_REL]
    except MalformedLink as error:
        raise Unmet(f"the Link headers cannot be read: {error}") from None
    if not found:
        raise Unmet("no server-sent events are advertised")
    return found[0]


async def _read_to_end(live: Live, url: httpx.URL, wanted: list[str]) -> Result:
    """Read the stream for a while, delete the session, and see whether the stream ends."""
    limits = live.target.wire.limits.live
    events = Events()
    client = live.target.wire.client
    async with client.stream("GET", url, headers={"Accept": "text/event-stream"}, timeout=None) as reply:
        kind = reply.headers.get("content-type", "no Content-Type")
        if not reply.is_success or not kind.startswith("text/event-stream"):
            return broken(f"the stream's GET gave {reply.status_code}, {kind}")
        async with asyncio.TaskGroup() as group:
            reader = group.create_task(_read(reply, events), name="events")
            await live.agent.wait_for(lambda: bool(events.told[:1]) or events.ended, limits.look_s)
            early = "the stream ended before the session" if events.ended else await _delete(live)
            await live.agent.wait_for(lambda: events.ended, limits.quiet_s)
            reader.cancel()
    fault = early or _fault_of(events, wanted)
    if fault is None and not events.ended:
        fault = f"the stream is still open {limits.quiet_s:g} s after the DELETE"
    return passed(f"{len(events.told)} events, the stream ended with the session") if fault is None else broken(fault)


async def _delete(live: Live) -> str | None:
    """End the session. What went wrong: an error here must not be wrapped up in the task group's."""
    try:
        reply = await live.session.delete()
    except httpx.TransportError as error:
        return f"DELETE failed: {error or type(error).__name__}"
    return None if reply.is_success else f"DELETE gave {reply.status_code}"


async def _read(reply: httpx.Response, events: Events) -> None:
    count = 0
    try:
        async for text in reply.aiter_lines():
            events.line(text)
            count += 1
            if count >= MOST_LINES:
                return
    except httpx.TransportError:
        pass  # the connection was closed in the middle of a chunk: that ends the stream, too
    events.ended = True


def _fault_of(events: Events, wanted: list[str]) -> str | None:
    """What is wrong with the events that came."""
    for number, block in enumerate(events.told):
        names = [value for name, value in block if name == "event"]
        data = [value for name, value in block if name == "data"]
        if len(names) != 1 or len(data) != 1:
            return f"an event with {len(names)} names and {len(data)} data lines"
        try:
            json.loads(data[0])
        except ValueError:
            return f"the data of {names[0]} is not JSON"
        if wanted and names[0] not in wanted:
            return f"{names[0]} came, which was not asked for"
        if number == 0 and names[0] == "inactive":
            return "the first event is inactive"
    return None


CHECKS: Final[tuple[Check, ...]] = (events_end_with_session,)
