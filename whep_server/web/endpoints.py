"""The endpoint of a protocol, ``/whep/{stream}`` or ``/whip/{stream}``: an offer in, an answer out.

WHEP and WHIP are one protocol in two directions: the handlers here and in ``sessions`` know which one only through
``Direction``. Never a redirect: some clients follow none, others lose the token or the method.  [I-EP-19] [E-EP-19]
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from litestar import HttpMethod, post, route
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath, SkipValidation
from litestar.response.base import ASGIResponse

from whep_server.errors import BadRequest
from whep_server.live.session_events import TYPES
from whep_server.settings import BargeIn, Settings
from whep_server.signaling.headers import EVENTS_REL, extension_link, session_location
from whep_server.signaling.ice_servers import ice_servers
from whep_server.signaling.tokens import Scope
from whep_server.web import exchange
from whep_server.web.auth import DoorKept
from whep_server.web.bodies import HttpRequest, read_text, require_type
from whep_server.web.describe import STANDARDS, Operation, describe
from whep_server.web.on_air import Config, Live, Session, Stream


@dataclass(frozen=True, slots=True)
class Direction:
    """What tells WHEP from WHIP: the name in the path, what a token must allow, what an offer opens, which events."""

    protocol: str
    scope: Scope
    open: Callable[[Stream, str, Mapping[str, str]], Awaitable[Session]]
    """Takes the offer and the query."""
    find: Callable[[Stream, str], Session]
    end: Callable[[Stream, str], Awaitable[None]]
    events: tuple[str, ...] = ()
    """Types of the server-sent events extension; empty where there is none."""


Protocol = NamedDependency[SkipValidation[Direction]]
"""The router's direction, as a handler's argument."""


def publish(stream: Stream, offer: str, query: Mapping[str, str]) -> Awaitable[Session]:
    """``?interrupt=`` says what the publisher's voice does to what is being spoken; else it is as configured.

    Errors: BadRequest for what nobody knows; those of ``Stream.open_publisher``.
    """
    wanted = query.get("interrupt")
    if wanted is not None and wanted not in set(BargeIn):
        raise BadRequest(f"interrupt={wanted}: must be {', '.join(BargeIn)}")
    return stream.open_publisher(offer, interrupts=None if wanted is None else BargeIn(wanted))


WHEP = Direction(
    "whep",
    Scope.WATCH,
    lambda stream, offer, _: stream.open_viewer(offer),
    lambda stream, session: stream.viewer_session(session),
    lambda stream, session: stream.end_viewer(session),
    events=TYPES,
)
WHIP = Direction(
    "whip",
    Scope.PUBLISH,
    publish,
    lambda stream, session: stream.publisher_session(session),
    lambda stream, session: stream.end_publisher(session),
)


OFFER: Final = Operation(
    STANDARDS,
    body=exchange.SDP,
    reply=exchange.SDP,
    headers={
        "Location": "the session",
        "ETag": "its ICE session",
        "Link": "STUN and TURN servers, extensions",
        "Accept-Patch": exchange.FRAGMENT,
    },
)


def ice_links(settings: Settings) -> list[str]:
    """``Link`` values for the configured STUN and TURN servers."""
    servers = ice_servers(settings.stun_urls, settings.turn_urls, settings.turn_login, time.time())
    return [server.to_link() for server in servers]


def empty(status: int, lines: exchange.HeaderLines) -> ASGIResponse:
    """A reply without content."""
    return ASGIResponse(body=b"", status_code=status, headers=lines, media_type=MediaType.TEXT)


@post("/{stream:str}", status_code=201, opt=describe(OFFER))
async def take_offer(
    stream: FromPath[str], request: HttpRequest, live: Live, config: Config, direction: Protocol
) -> ASGIResponse:
    """Offer in, complete answer out.  [I-EP-03] [I-EP-04] [I-EP-07] [I-EP-08] [E-EP-10] [I-EP-21] [E-EP-20]

    Never 406, which would announce a counter-offer.  [E-EP-08]

    Errors: 400, 401, 404, 408, 409, 413, 415, 422, 429, 503.
    """
    target = live.stream(stream)
    require_type(request.headers.get("content-type"), exchange.SDP)
    offer = await read_text(request, limit=config.max_sdp_bytes, stall_s=config.upload_stall_s)
    session = await direction.open(target, offer, request.query_params)
    location = session_location(config.base_url, direction.protocol, target.name, session.id)
    links = ice_links(config)
    if direction.events:
        links.append(extension_link(f"{location}/events", EVENTS_REL, direction.events))
    return ASGIResponse(
        body=session.answer.encode(),
        status_code=201,
        headers=exchange.created_headers(location, session.etag, links),
        media_type=exchange.SDP,
    )


@route(
    "/{stream:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    status_code=200,
    opt=describe(Operation(STANDARDS, reply=exchange.SDP)),
)
async def show_endpoint(stream: FromPath[str], request: HttpRequest, live: Live) -> ASGIResponse:
    """Nothing, typed as SDP: a player may look here whether this is WHEP.  [I-EP-01] [E-EP-01] [E-EP-02] [E-EP-03]

    Errors: 404.
    """
    live.stream(stream)
    return ASGIResponse(body=b"", headers=[("Accept-Post", exchange.SDP)], media_type=exchange.SDP)


@route("/{stream:str}", http_method=[HttpMethod.OPTIONS])
async def endpoint_options(
    stream: FromPath[str], request: HttpRequest, config: Config, direction: Protocol, door: DoorKept
) -> ASGIResponse:
    """What may be sent here; the same for any stream, so that a preflight tells nobody what is on air.  [I-EP-10]"""
    links = ice_links(config) if door.may(request, direction.scope, stream) else []
    return empty(204, exchange.options_headers(request.headers, exchange.ENDPOINT_METHODS, links))
