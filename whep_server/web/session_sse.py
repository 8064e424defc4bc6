"""Server-sent events of a WHEP session, ``/whep/{stream}/{session}/events``: the extension of that name.

A player posts the types it wants and reads the stream at the URL it gets. A plain GET is taken too: it gets all types,
as some servers have it. Never needed to play.  [X-SSE-02] [X-SSE-05] [I-SE-21] [E-SE-12]
"""

from typing import Final

import msgspec
from litestar import HttpMethod, delete, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.errors import BadRequest
from whep_server.live.events import StreamEvent
from whep_server.live.session_events import RECONNECT
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.closing import ClosingEvent
from whep_server.web.describe import STANDARDS, Operation, describe
from whep_server.web.endpoints import Protocol, empty
from whep_server.web.on_air import Config, Live
from whep_server.web.replies import READ
from whep_server.web.speech import EVENTS_TYPE, EventStream, Farewells, encode_event, encoded, events_head

ENTRY = "/{stream:str}/{session:str}/events"
STREAM = "/{stream:str}/{session:str}/events/{events:str}"
MAX_BYTES: Final = 4096
JSON: Final = "application/json"
FAREWELL: Final = encode_event(StreamEvent(RECONNECT))


def farewell() -> bytes:
    """Told where the server ends: the player is to open a new session, here or wherever the address then leads."""
    return FAREWELL


def wanted_types(body: bytes, offered: tuple[str, ...]) -> list[str]:
    """The types a player asks for; all for an empty body. Errors: BadRequest."""
    if not body.strip():
        return list(offered)
    try:
        return msgspec.json.decode(body, type=list[str])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequest("the body must be a JSON array of event types") from None


@post(ENTRY, status_code=201, opt=describe(Operation(STANDARDS, body=JSON, headers={"Location": "the event stream"})))
async def ask_for_events(
    stream: FromPath[str], session: FromPath[str], request: HttpRequest, live: Live, config: Config, direction: Protocol
) -> ASGIResponse:
    """A further event stream. Errors: 400 for a type that is not offered, 404, 413, 429."""
    target = live.stream(stream)
    found = direction.find(target, session)
    body = await Upload(request, limit=MAX_BYTES, stall_s=config.upload_stall_s).read()
    name = found.events.open(wanted_types(body, direction.events), target.session_events())
    location = f"{config.base_url}/{direction.protocol}/{target.name}/{found.id}/events/{name}"
    return empty(201, [("Location", location)])


@route(ENTRY, http_method=READ, status_code=200, opt=describe(Operation(STANDARDS, reply=EVENTS_TYPE)))
async def all_events(
    stream: FromPath[str],
    session: FromPath[str],
    request: HttpRequest,
    live: Live,
    direction: Protocol,
    closing: ClosingEvent,
) -> ASGIResponse:
    """All types, from now on. Errors: 404, 429."""
    target = live.stream(stream)
    events = direction.find(target, session).events
    if request.method == "HEAD":
        return events_head()
    name = events.open(direction.events, target.session_events())
    return EventStream(encoded(events.reading(name, once=True)), closing, Farewells(farewell))


@route(STREAM, http_method=READ, status_code=200, opt=describe(Operation(STANDARDS, reply=EVENTS_TYPE)))
async def read_events(
    stream: FromPath[str],
    session: FromPath[str],
    events: FromPath[str],
    request: HttpRequest,
    live: Live,
    direction: Protocol,
    closing: ClosingEvent,
) -> ASGIResponse:
    """What was asked for, with all that came since. Errors: 404."""
    found = direction.find(live.stream(stream), session).events
    last_words = farewell if RECONNECT in found.types(events) else bytes
    if request.method == "HEAD":
        return events_head()
    return EventStream(encoded(found.reading(events)), closing, Farewells(last_words))


@delete(STREAM, status_code=200, opt=describe(Operation(STANDARDS)))
async def drop_events(
    stream: FromPath[str], session: FromPath[str], events: FromPath[str], live: Live, direction: Protocol
) -> ASGIResponse:
    """The event stream ends; reading it again is 404. Errors: 404."""
    direction.find(live.stream(stream), session).events.drop(events)
    return empty(200, [])


@route(ENTRY, http_method=[HttpMethod.OPTIONS])
async def entry_options() -> ASGIResponse:
    """What may be sent here."""
    return empty(204, [("Allow", "POST, GET, HEAD, OPTIONS"), ("Accept-Post", JSON)])


@route(STREAM, http_method=[HttpMethod.OPTIONS])
async def stream_options() -> ASGIResponse:
    """What may be sent here."""
    return empty(204, [("Allow", "GET, HEAD, DELETE, OPTIONS")])


ROUTES = [entry_options, ask_for_events, all_events, stream_options, read_events, drop_events]
