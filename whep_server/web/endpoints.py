"""The endpoint of a protocol, ``/whep/{stream}``: an offer in, an answer out.

WHEP and WHIP are one protocol in two directions: the handlers here and in ``sessions`` know which one only through
``Direction``, and a second router with another ``Direction`` is the other protocol.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from litestar import HttpMethod, post, route
from litestar.di import NamedDependency
from litestar.enums import MediaType
from litestar.params import FromPath, SkipValidation
from litestar.response.base import ASGIResponse

from whep_server.settings import Settings
from whep_server.signaling.headers import ice_server_link, session_location
from whep_server.web import exchange
from whep_server.web.bodies import HttpRequest, read_text, require_type
from whep_server.web.on_air import Config, Live, Session, Stream


@dataclass(frozen=True, slots=True)
class Direction:
    """What tells WHEP from WHIP: the name in the path, and what an offer opens."""

    protocol: str
    open: Callable[[Stream, str], Awaitable[Session]]
    find: Callable[[Stream, str], Session]


Protocol = NamedDependency[SkipValidation[Direction]]
"""The router's direction, as a handler's argument."""

WHEP = Direction(
    "whep", lambda stream, offer: stream.open_viewer(offer), lambda stream, session: stream.viewer(session)
)


def ice_links(settings: Settings) -> list[str]:
    """``Link`` values for the configured STUN and TURN servers."""
    secret = settings.turn_pass.get_secret_value()
    turn = [ice_server_link(url, settings.turn_user, secret) for url in settings.turn_urls]
    return [ice_server_link(url) for url in settings.stun_urls] + turn


def empty(status: int, lines: exchange.HeaderLines) -> ASGIResponse:
    """A reply without content."""
    return ASGIResponse(body=b"", status_code=status, headers=lines, media_type=MediaType.TEXT)


@post("/{stream:str}", status_code=201)
async def take_offer(
    stream: FromPath[str], request: HttpRequest, live: Live, config: Config, direction: Protocol
) -> ASGIResponse:
    """Offer in, complete answer out. Errors: 400, 404, 413, 415, 422, 503."""
    target = live.stream(stream)
    require_type(request.headers.get("content-type"), exchange.SDP)
    offer = await read_text(request, limit=config.max_sdp_bytes, stall_s=config.upload_stall_s)
    session = await direction.open(target, offer)
    location = session_location(config.public_base_path, direction.protocol, target.name, session.id)
    return ASGIResponse(
        body=session.answer.encode(),
        status_code=201,
        headers=exchange.created_headers(location, session.etag, ice_links(config)),
        media_type=exchange.SDP,
    )


@route("/{stream:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def show_endpoint(stream: FromPath[str], request: HttpRequest, live: Live) -> ASGIResponse:
    """Nothing, typed as SDP: a player may look here whether this is WHEP. Errors: 404."""
    live.stream(stream)
    return ASGIResponse(body=b"", headers=[("Accept-Post", exchange.SDP)], media_type=exchange.SDP)


@route("/{stream:str}", http_method=[HttpMethod.OPTIONS])
async def endpoint_options(request: HttpRequest, config: Config) -> ASGIResponse:
    """What may be sent here; the same for any stream, so that a preflight tells nobody what is on air."""
    return empty(204, exchange.options_headers(request.headers, exchange.ENDPOINT_METHODS, ice_links(config)))
