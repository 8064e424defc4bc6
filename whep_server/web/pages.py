"""The pages a person sees. Each gets all it needs as one JSON object."""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import jinja2
import msgspec
from litestar import route
from litestar.di import NamedDependency
from litestar.params import FromPath, SkipValidation
from litestar.response.base import ASGIResponse

from whep_server.settings import Settings
from whep_server.signaling.ice_servers import ice_servers
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import is_asked
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import OPERATIONS, Operation, describe
from whep_server.web.on_air import Config, Live, Registry, Stream
from whep_server.web.policy import page_headers
from whep_server.web.replies import READ, reply
from whep_server.web.streams import StreamView, view

HTML: Final = "text/html; charset=utf-8"


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a browser's ``iceServers``."""

    urls: list[str]
    username: str = ""
    credential: str = ""


class PlayerConfig(msgspec.Struct, frozen=True, rename={"ice_servers": "iceServers"}):
    """What the pages of one stream are told, the player and the publisher page. All addresses are paths."""

    stream: str
    title: str
    whep: str
    whip: str
    events: str
    speech: str
    interrupt: str
    samples: str
    poster: str | None
    loop: list[str]
    ice_servers: list[IceServer]
    base: str
    width: int
    height: int


class LandingConfig(msgspec.Struct, frozen=True):
    """What the landing page is told."""

    streams: list[StreamView]
    base: str


@dataclass(frozen=True, slots=True)
class Pages:
    """The templates, loaded at start."""

    player: jinja2.Template
    publish: jinja2.Template
    landing: jinja2.Template
    reference: jinja2.Template
    session_player: jinja2.Template
    chunk_player: jinja2.Template
    try_page: jinja2.Template
    gone: jinja2.Template


@cache  # compiling them takes longer than all else about an application; tests make hundreds
def load_pages(folder: Path) -> Pages:
    """The templates of ``folder``."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(folder), autoescape=True, auto_reload=False, undefined=jinja2.StrictUndefined
    )
    names = ("player", "publish", "landing", "reference", "session_player", "chunk_player", "try", "gone")
    return Pages(*(environment.get_template(f"{name}.html") for name in names))


def page_ice_servers(settings: Settings) -> list[IceServer]:
    """What a player in our own pages needs to reach us."""
    if is_asked(settings, Scope.WATCH):
        return []  # this page is for everybody; who has the token gets them with the answer
    known = ice_servers(settings.stun_urls, settings.turn_urls, settings.turn_login, time.time())
    return [IceServer([each.url], each.username or "", each.credential or "") for each in known]


def avatar_files(settings: Settings, avatar: str, size: str) -> tuple[str | None, list[str]]:
    """Paths of an avatar's poster at ``size`` and of its small idle loop, for when the stream cannot be had."""
    folder = settings.assets / "avatars" / avatar
    base = f"{settings.base_path}/assets/avatars/{avatar}"
    poster = f"poster-{size}.jpg"
    loops = [name for name in ("loop.mp4", "loop.webm") if (folder / name).is_file()]
    return (f"{base}/{poster}" if (folder / poster).is_file() else None), [f"{base}/{name}" for name in loops]


def player_config(stream: Stream, settings: Settings) -> PlayerConfig:
    """What the pages of ``stream`` are told."""
    base, name = settings.base_path, stream.name
    poster, loop = avatar_files(settings, stream.avatar, f"{stream.format.width}x{stream.format.height}")
    return PlayerConfig(
        stream=name,
        title=stream.title,
        whep=f"{base}/whep/{name}",
        whip=f"{base}/whip/{name}",
        events=f"{base}/streams/{name}/events",
        speech=f"{base}/streams/{name}/speech",
        interrupt=f"{base}/streams/{name}/interrupt",
        samples=f"{base}/assets/speech/index.json",
        poster=poster,
        loop=loop,
        ice_servers=page_ice_servers(settings),
        base=base,
        width=stream.format.width,
        height=stream.format.height,
    )


def render(template: jinja2.Template, config: msgspec.Struct, base: str) -> bytes:
    """The page; ``config`` is to be written with ``tojson``, which is safe inside a script element."""
    return template.render(config=msgspec.to_builtins(config), base=base).encode()


PageSet = NamedDependency[SkipValidation[Pages]]


@route("/publish/{stream:str}", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=HTML)))
async def publish(
    stream: FromPath[str], request: HttpRequest, live: Live, config: Config, pages: PageSet
) -> ASGIResponse:
    """A microphone for the avatar. Errors: 404."""
    context = player_config(live.stream(stream), config)
    return reply(request, render(pages.publish, context, config.base_path), HTML, headers=page_headers(config))


def landing_page(request: HttpRequest, live: Registry, config: Settings, pages: Pages) -> ASGIResponse:
    """What is on air. The root's route is the original server's (``compat/service.py``), which has JSON there."""
    base = config.base_path
    context = LandingConfig([view(stream, base) for stream in live.streams() if stream.listed], base)
    return reply(
        request, render(pages.landing, context, base), HTML, headers=[*page_headers(config), ("Vary", "Accept")]
    )


ROUTES = [publish]
