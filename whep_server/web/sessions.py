"""A session resource, ``/whep/{stream}/{session}``. Its id is a capability: who has the URL may do everything here."""

from litestar import HttpMethod, delete, patch, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.signaling.headers import check_if_match
from whep_server.web import exchange
from whep_server.web.bodies import HttpRequest, read_text, require_type
from whep_server.web.endpoints import Protocol, empty
from whep_server.web.on_air import Config, Live

PATH = "/{stream:str}/{session:str}"


@patch(PATH, status_code=204)
async def trickle(
    stream: FromPath[str], session: FromPath[str], request: HttpRequest, live: Live, config: Config, direction: Protocol
) -> None:
    """Candidates of the peer. Errors: 400, 404, 412, 413, 415."""
    target = direction.find(live.stream(stream), session)
    require_type(request.headers.get("content-type"), exchange.FRAGMENT)
    check_if_match(request.headers.get("if-match"), target.etag)
    await target.trickle(await read_text(request, limit=config.max_sdp_bytes, stall_s=config.upload_stall_s))


@delete(PATH, status_code=200)
async def end_session(stream: FromPath[str], session: FromPath[str], live: Live, direction: Protocol) -> ASGIResponse:
    """The session ends now. Errors: 404, also the second time."""
    await direction.find(live.stream(stream), session).close()
    return empty(200, [])


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD], status_code=200)
async def show_session(stream: FromPath[str], session: FromPath[str], live: Live, direction: Protocol) -> ASGIResponse:
    """Nothing, typed as SDP. Errors: 404."""
    direction.find(live.stream(stream), session)
    return ASGIResponse(body=b"", headers=[("Accept-Patch", exchange.FRAGMENT)], media_type=exchange.SDP)


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def session_options(request: HttpRequest) -> ASGIResponse:
    """What may be sent here."""
    return empty(204, exchange.options_headers(request.headers, exchange.SESSION_METHODS, []))
