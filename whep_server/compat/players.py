"""The pages that play what the original server makes: its own addresses, our players.

They are for everybody: what they play is asked for with the token, if there is one. Of what is not there a browser is
told in a page, any other client as the original would.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import jinja2
import msgspec
from litestar import route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import ControllerRouterHandler

from avatar.messages import FRAME_RATES, AvatarInfo
from whep_server.compat.dialect import CHUNKS, REQUEST_ID, SERVICE, WEBRTC
from whep_server.compat.lifetimes import Kind
from whep_server.compat.office import Compat
from whep_server.compat.service import prefers_html
from whep_server.errors import BadRequest, NoSuchSession, NotOnAir, ServerError
from whep_server.settings import Settings
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import OPERATIONS, Operation, describe
from whep_server.web.on_air import Config, Live, Registry
from whep_server.web.pages import HTML, PageSet, avatar_files, player_config, render
from whep_server.web.policy import page_headers
from whep_server.web.replies import READ, reply

NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,256}")
"""A stream's name or a request's id."""
REQUEST: Final = "_req_"


class SessionPage(msgspec.Struct, frozen=True):
    """What the page of a session of chunks is told. All addresses are paths."""

    session: str
    title: str
    film: str
    poster: str | None
    events: str
    status: str
    base: str


class ChunkPage(msgspec.Struct, frozen=True):
    """What the page of one request's chunks is told."""

    title: str
    chunks: list[str]
    base: str
    width: int
    height: int


class AvatarChoice(msgspec.Struct, frozen=True):
    """An avatar of the form."""

    name: str
    title: str


class TryPage(msgspec.Struct, frozen=True):
    """What the form is told."""

    avatars: list[AvatarChoice]
    rates: list[int]
    generate: str
    samples: str
    base: str
    width: int
    height: int


class GonePage(msgspec.Struct, frozen=True):
    """What a person reads of what is not there."""

    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class Showing:
    """A request for a page, and what is needed to answer it."""

    request: HttpRequest
    settings: Settings
    pages: PageSet

    @property
    def base(self) -> str:
        """Where the server is mounted."""
        return self.settings.base_path

    def page(self, template: jinja2.Template, config: msgspec.Struct, status: int = 200) -> ASGIResponse:
        """The page."""
        return reply(self.request, render(template, config, self.base), HTML, status, page_headers(self.settings))

    def refuse(self, error: ServerError) -> ASGIResponse:
        """The error as a page for a browser; raised for any other client."""
        if not prefers_html(self.request):
            raise error
        return self.page(self.pages.gone, GonePage(error.title, f"{error.detail}."), error.status)


@route(
    "/player/session/{session_id:str}", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=HTML))
)
async def session_player(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config, pages: PageSet
) -> ASGIResponse:
    """The player of a session of chunks: shows the avatar's idle film, and what the session says as it comes.

    Errors: 404.
    """
    showing = Showing(request, config, pages)
    try:
        stream = compat.sessions.get(session_id, Kind.SSE).stream
    except NoSuchSession as error:
        return showing.refuse(error)
    poster, _ = avatar_files(config, stream.avatar, f"{stream.format.width}x{stream.format.height}")
    context = SessionPage(
        session=session_id,
        title=stream.title,
        film=f"{showing.base}/avatars/{stream.avatar}/video",
        poster=poster,
        events=f"{showing.base}/sessions/{session_id}/events",
        status=f"{showing.base}/sessions/{session_id}/status",
        base=showing.base,
    )
    return showing.page(pages.session_player, context)


@route(
    "/webrtc/player/{session_id:str}", http_method=READ, status_code=200, opt=describe(Operation(WEBRTC, reply=HTML))
)
async def webrtc_player(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config, pages: PageSet
) -> ASGIResponse:
    """The built-in player on a WebRTC session's stream. Errors: 404."""
    showing = Showing(request, config, pages)
    try:
        stream = compat.sessions.get(session_id, Kind.WEBRTC).stream
    except NoSuchSession as error:
        return showing.refuse(error)
    return showing.page(pages.player, player_config(stream, config))


@route("/player/{name:str}", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=HTML)))
async def player(name: FromPath[str], request: HttpRequest, live: Live, config: Config, pages: PageSet) -> ASGIResponse:
    """The built-in player of a stream on air; for a request's id (``…_req_…``) the player of its chunk files.

    Errors: 400, 404.
    """
    showing = Showing(request, config, pages)
    try:
        return await _player(showing, name, live)
    except (BadRequest, NotOnAir) as error:
        return showing.refuse(error)


async def _player(showing: Showing, name: str, live: Registry) -> ASGIResponse:
    try:
        stream = live.stream(name)
    except NotOnAir:
        if not NAME.fullmatch(name) or (REQUEST in name and not REQUEST_ID.fullmatch(name)):
            raise BadRequest("Invalid request ID format") from None
        if REQUEST not in name:
            raise
        files = await asyncio.to_thread(chunk_files, showing.settings.cache / "chunks" / name)
        if not files:
            raise
        return _chunk_player(showing, name, files)
    return showing.page(showing.pages.player, player_config(stream, showing.settings))


def _chunk_player(showing: Showing, request_id: str, files: list[str]) -> ASGIResponse:
    settings, base = showing.settings, showing.base
    chunks = [f"{base}/chunks/{request_id}/{file}" for file in files]
    return showing.page(
        showing.pages.chunk_player, ChunkPage(request_id, chunks, base, settings.width, settings.height)
    )


def chunk_files(folder: Path) -> list[str]:
    """Names of a request's chunk files, in order; none where there is no such request."""
    return sorted(path.name for path in folder.glob("chunk_*.mp4"))


def _usual_first(avatars: Sequence[AvatarInfo], config: Settings) -> list[AvatarInfo]:
    return sorted(avatars, key=lambda info: info.name != config.avatar)


@route("/ui", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=HTML)))
async def try_page(request: HttpRequest, live: Live, config: Config, pages: PageSet) -> ASGIResponse:
    """A form that has an avatar speak a file, and plays the chunks as they are made."""
    base = config.base_path
    context = TryPage(
        avatars=[AvatarChoice(info.name, info.title) for info in _usual_first(live.avatars, config)],
        rates=sorted(FRAME_RATES),
        generate=f"{base}/generate/stream",
        samples=f"{base}/assets/speech/index.json",
        base=base,
        width=config.width,
        height=config.height,
    )
    return Showing(request, config, pages).page(pages.try_page, context)


ROUTES: list[ControllerRouterHandler] = [session_player, webrtc_player, player, try_page]
