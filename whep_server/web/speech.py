"""Make a stream speak, and hear what becomes of it."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import Final

import msgspec
from litestar import post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from whep_server.errors import NotSpeech
from whep_server.live.events import StreamEvent
from whep_server.web.bodies import HttpRequest, Upload, file_pieces
from whep_server.web.closing import Closing, ClosingEvent
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.exchange import HeaderLines
from whep_server.web.lease import OVER, Lease, lease_of
from whep_server.web.narrator import Narrating
from whep_server.web.on_air import Config, Event, Live
from whep_server.web.replies import READ, json_reply
from whep_server.web.text import PLAIN, TextRequest, is_text, read_words

logger = logging.getLogger(__name__)

HEARTBEAT_S: Final = 15.0
"""Below the 30 to 60 s after which proxies close a silent connection."""
RETRY_MS: Final = 2000
"""What a browser waits before it connects again."""
WRITE_S: Final = 30.0
"""A listener that has not taken what was sent for so long is cut off."""


class Accepted(msgspec.Struct, frozen=True):
    """The reply to speech that stands in the queue."""

    utterance: str
    seconds: float | None
    queued: int


@post(
    "/streams/{stream:str}/speech",
    status_code=202,
    opt=describe(
        Operation(
            STREAMS,
            files={"file": "speech in any format that is known, under any name"},
            body=("audio/*", "application/octet-stream", PLAIN, TextRequest),
            reply=Accepted,
        )
    ),
)
async def speak(
    stream: FromPath[str], request: HttpRequest, live: Live, config: Config, narrator: Narrating
) -> ASGIResponse:
    """An audio file, as the body itself or as the one file of a form, or text to be read aloud.

    Either is spoken while it arrives or is made. Errors: 400, 401, 404, 408, 409, 413, 415, 422, 429, 501, 502, 503.
    """
    target = live.stream(stream)
    if is_text(request.headers.get("content-type")):
        spoken = await narrator.speak(target, await read_words(request, config), request)
        return json_reply(request, Accepted(spoken.id, spoken.seconds, spoken.queued), 202)
    upload = Upload(request, limit=config.max_upload_bytes, stall_s=config.upload_stall_s)
    if request.headers.get("content-length") == "0":
        raise NotSpeech("the body is empty")
    async with aclosing(file_pieces(upload, request.headers.get("content-type"))) as pieces:
        utterance = await target.speak(pieces)
    return json_reply(request, Accepted(utterance.id, utterance.seconds, utterance.queued), 202)


@route(
    "/streams/{stream:str}/events",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(STREAMS, reply="text/event-stream")),
)
async def events(
    stream: FromPath[str], request: HttpRequest, live: Live, config: Config, closing: ClosingEvent
) -> ASGIResponse:
    """Server-sent events: ``state``, ``viewers``, ``publisher``, ``pose``, ``speech``, ``worker``; ``expired`` with the
    token.

    Errors: 401, 404.
    """
    target = live.stream(stream)
    if request.method == "HEAD":
        return events_head()
    return EventStream(encoded(target.listen()), closing, Farewells(expired=EXPIRED), lease=lease_of(request.scope))


def encode_event(event: Event) -> bytes:
    """One event; its JSON in exactly one ``data:`` line."""
    return b"event: %s\ndata: %s\n\n" % (event.kind.encode(), msgspec.json.encode(event.data))


class _Encoded:
    """Events as bytes, after what a browser has to know first."""

    def __init__(self, events: AsyncIterator[Event]) -> None:
        self._events = events
        self._opening = b"retry: %d\n\n" % RETRY_MS

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        opening, self._opening = self._opening, b""
        return opening or encode_event(await anext(self._events))


@contextlib.contextmanager
def encoded(queue: AbstractContextManager[AsyncIterator[Event]]) -> Iterator[AsyncIterator[bytes]]:
    """The events of a queue as they are sent."""
    with queue as events:
        yield _Encoded(events)


EVENTS_TYPE: Final = "text/event-stream"
EVENTS_HEADERS: Final[HeaderLines] = [("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]


def events_head(headers: HeaderLines = EVENTS_HEADERS) -> ASGIResponse:
    """What HEAD is told of an event stream; nothing is opened."""
    return ASGIResponse(body=b"", media_type=EVENTS_TYPE, headers=headers)


EXPIRED: Final = encode_event(StreamEvent("expired", {"detail": OVER}))
"""The listener may come back with another token."""


@dataclass(frozen=True, slots=True)
class Farewells:
    """What is sent last, by what ends an event stream."""

    closing: Callable[[], bytes] = bytes
    """Where the server ends."""
    expired: bytes = b""
    """Where the listener's token does."""


FAREWELLS: Final = Farewells()


class EventStream(ASGIResponse):
    """Events until their source ends, the listener goes or does not read, its token ends, or the server does."""

    _should_set_content_length = False

    def __init__(
        self,
        source: AbstractContextManager[AsyncIterator[bytes]],
        closing: Closing,
        farewells: Farewells = FAREWELLS,
        headers: HeaderLines = EVENTS_HEADERS,
        lease: Lease | None = None,
    ) -> None:
        super().__init__(media_type=EVENTS_TYPE, headers=headers)
        self._source = source
        self._closing = closing
        self._farewells = farewells
        self._lease = lease or Lease()
        self._stuck = False

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send until one of the reasons to end comes."""
        with self._source as source:
            async with asyncio.TaskGroup() as group:
                expiry = group.create_task(self._lease.until_over(), name="sse-lease")
                enders = [
                    expiry,
                    group.create_task(self._until_gone(receive), name="sse-gone"),
                    group.create_task(self._until_closing(), name="sse-closing"),
                    group.create_task(self._send_events(source, send), name="sse-events"),
                    group.create_task(self._send_heartbeats(send), name="sse-heartbeat"),
                ]
                await asyncio.wait(enders, return_when=asyncio.FIRST_COMPLETED)
                expired = expiry.done()
                for task in enders:
                    task.cancel()
            last = self._farewells.expired if expired else b""
            if self._closing.is_set():
                last = self._farewells.closing()
        if self._stuck:
            logger.info("a listener to events does not read; cut off")
        else:
            await self._write(send, last, more=False)

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _until_closing(self) -> None:
        await self._closing.wait()

    async def _send_events(self, source: AsyncIterator[bytes], send: Send) -> None:
        async for data in source:
            if not await self._write(send, data):
                return

    async def _send_heartbeats(self, send: Send) -> None:
        taken = True
        while taken:
            await asyncio.sleep(HEARTBEAT_S)
            taken = await self._write(send, b": still here\n\n")

    async def _write(self, send: Send, data: bytes, *, more: bool = True) -> bool:
        """Whether it was taken."""
        try:
            async with asyncio.timeout(WRITE_S):
                await send({"type": "http.response.body", "body": data, "more_body": more})
        except OSError:  # a timeout is one, too
            self._stuck = True
        return not self._stuck


ROUTES = [speak, events]
