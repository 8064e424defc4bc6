"""A session resource, ``/whep/{stream}/{session}``. Its id is a capability: who has the URL may do everything here."""

from litestar import HttpMethod, delete, patch, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.errors import NotAcceptable
from whep_server.signaling.headers import check_if_match
from whep_server.web import exchange
from whep_server.web.bodies import HttpRequest, media_type, read_text, require_type
from whep_server.web.describe import STANDARDS, Operation, describe
from whep_server.web.endpoints import Protocol, empty
from whep_server.web.on_air import Config, Live

PATH = "/{stream:str}/{session:str}"


@patch(
    PATH,
    status_code=200,
    opt=describe(Operation(STANDARDS, body=exchange.FRAGMENT, reply=exchange.FRAGMENT, others=(204,))),
)
async def change_session(
    stream: FromPath[str],
    session: FromPath[str],
    request: HttpRequest,
    live: Live,
    config: Config,
    direction: Protocol,
) -> ASGIResponse:
    """Candidates of the peer: 204 and nothing else. An ICE restart: 200, our new end and a new tag.

    [I-SE-13] [E-SE-09] [I-SE-16]

    Errors: 400, 401, 404, 408, 412, 413, 415, 422, 428, 429, 503.
    """
    target = direction.find(live.stream(stream), session)
    require_fragment(request.headers.get("content-type"), awaits_answers=direction.protocol == "whep")
    check_if_match(request.headers.get("if-match"), target.etag, strict=config.strict)
    body = await read_text(request, limit=config.max_sdp_bytes, stall_s=config.upload_stall_s)
    restarted = await target.patch(body)
    if restarted is None:
        return ASGIResponse(body=b"", status_code=204)
    headers = [("ETag", restarted.etag)]
    return ASGIResponse(body=restarted.fragment.encode(), headers=headers, media_type=exchange.FRAGMENT)


def require_fragment(content_type: str | None, *, awaits_answers: bool) -> None:
    """Errors: UnsupportedType (415); NotAcceptable (422) for an SDP answer, which WHEP knows and nobody asked for.

    [I-SE-06] [I-SE-07] [E-SE-05] [E-SE-06]
    """
    if awaits_answers and media_type(content_type) == exchange.SDP:
        raise NotAcceptable("no answer is awaited: this session came of your offer")
    require_type(content_type, exchange.FRAGMENT)


@delete(PATH, status_code=200, opt=describe(Operation(STANDARDS)))
async def end_session(
    stream: FromPath[str],
    session: FromPath[str],
    request: HttpRequest,
    live: Live,
    config: Config,
    direction: Protocol,
) -> ASGIResponse:
    """The session ends now, whatever If-Match says.  [I-SE-09]

    Errors: 401, 429; 404, also the second time.
    """
    await direction.end(live.stream(stream), session)
    return empty(200, [])


@route(
    PATH,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    status_code=200,
    opt=describe(Operation(STANDARDS, reply=exchange.SDP)),
)
async def show_session(stream: FromPath[str], session: FromPath[str], live: Live, direction: Protocol) -> ASGIResponse:
    """Nothing, typed as SDP.  [I-SE-01] [E-SE-01]

    Errors: 404.
    """
    direction.find(live.stream(stream), session)
    return ASGIResponse(body=b"", headers=[("Accept-Patch", exchange.FRAGMENT)], media_type=exchange.SDP)


@route(PATH, http_method=[HttpMethod.OPTIONS])
async def session_options(request: HttpRequest) -> ASGIResponse:
    """What may be sent here."""
    return empty(204, exchange.options_headers(request.headers, exchange.SESSION_METHODS, []))
