"""Make a stream speak, and hear what becomes of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, aclosing
from typing import Final

import msgspec
from litestar import post, route
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from whep_server.errors import NotSpeech
from whep_server.web.auth import Action, authorize
from whep_server.web.bodies import HttpRequest, Upload, file_pieces
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.on_air import Config, Event, Live
from whep_server.web.replies import READ, json_reply

HEARTBEAT_S: Final = 15.0
"""Below the 30 to 60 s after which proxies close a silent connection."""
RETRY_MS: Final = 2000
"""What a browser waits before it connects again."""


class Accepted(msgspec.Struct, frozen=True):
    """The reply to speech that stands in the queue."""

    utterance: str
    seconds: float | None
    queued: int


class Closing(asyncio.Event):
    """Set when the server is about to end; what would stay open for ever ends then."""


ClosingEvent = NamedDependency[SkipValidation[Closing]]
"""The event, as a handler's argument."""


@post(
    "/streams/{stream:str}/speech",
    status_code=202,
    opt=describe(Operation(STREAMS, body="audio/*, or multipart/form-data with one file", reply=Accepted)),
)
async def speak(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """An audio file, as the body itself or as the one file of a form; passed on while it arrives.

    Errors: 400, 401, 404, 408, 409, 413, 422, 429, 503.
    """
    authorize(request, config, Action.PUBLISH)
    target = live.stream(stream)
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
    """Server-sent events: ``state``, ``viewers``, ``publisher``, ``speech``, ``worker``. Errors: 401, 404."""
    authorize(request, config, Action.WATCH)
    target = live.stream(stream)
    return events_head() if request.method == "HEAD" else EventStream(target.listen(), closing)


def encode_event(event: Event) -> bytes:
    """One event; its JSON in exactly one ``data:`` line."""
    return b"event: %s\ndata: %s\n\n" % (event.kind.encode(), msgspec.json.encode(event.data))


EVENTS_TYPE: Final = "text/event-stream"
EVENTS_HEADERS: Final = [("Cache-Control", "no-store"), ("X-Accel-Buffering", "no")]


def events_head() -> ASGIResponse:
    """What HEAD is told of an event stream; nothing is opened."""
    return ASGIResponse(body=b"", media_type=EVENTS_TYPE, headers=EVENTS_HEADERS)


class EventStream(ASGIResponse):
    """Events until the stream is taken off air, the listener goes, falls too far behind, or the server ends."""

    _should_set_content_length = False

    def __init__(
        self, queue: AbstractContextManager[AsyncIterator[Event]], closing: Closing, farewell: bytes = b""
    ) -> None:
        """``farewell`` is sent last where the server ends."""
        super().__init__(media_type=EVENTS_TYPE, headers=EVENTS_HEADERS)
        self._queue = queue
        self._closing = closing
        self._farewell = farewell

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send until one of the reasons to end comes."""
        with self._queue as queue:
            async with asyncio.TaskGroup() as group:
                enders = [
                    group.create_task(self._until_gone(receive), name="sse-gone"),
                    group.create_task(self._until_closing(), name="sse-closing"),
                    group.create_task(self._send_events(queue, send), name="sse-events"),
                    group.create_task(self._send_heartbeats(send), name="sse-heartbeat"),
                ]
                await asyncio.wait(enders, return_when=asyncio.FIRST_COMPLETED)
                for task in enders:
                    task.cancel()
        last = self._farewell if self._closing.is_set() else b""
        with contextlib.suppress(OSError):
            await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _until_gone(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _until_closing(self) -> None:
        await self._closing.wait()

    async def _send_events(self, queue: AsyncIterator[Event], send: Send) -> None:
        await self._write(send, b"retry: %d\n\n" % RETRY_MS)
        async for event in queue:
            await self._write(send, encode_event(event))

    async def _send_heartbeats(self, send: Send) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_S)
            await self._write(send, b": still here\n\n")

    async def _write(self, send: Send, data: bytes) -> None:
        await send({"type": "http.response.body", "body": data, "more_body": True})


ROUTES = [speak, events]
