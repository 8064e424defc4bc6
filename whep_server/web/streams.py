"""What is on air: list it, put an avatar on air, take it off. JSON."""

from typing import Annotated

import msgspec
from litestar import HttpMethod, delete, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from avatar.messages import Codec, VideoFormat
from whep_server.errors import BadRequest
from whep_server.settings import Settings
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import DoorKept
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.endpoints import empty
from whep_server.web.on_air import Config, Live, Stream
from whep_server.web.replies import READ, json_reply

MAX_JSON_BYTES = 16 * 1024


class StreamView(msgspec.Struct, frozen=True):
    """One stream as the API shows it. ``whep``, ``whip``, ``player`` and ``publish`` are paths."""

    name: str
    avatar: str
    title: str
    state: str
    width: int
    height: int
    fps: int
    codecs: list[Codec]
    viewers: int
    publisher: bool
    queued: int
    pose: str
    poses: list[str]
    on_air_s: float
    whep: str
    whip: str
    player: str
    publish: str


class StreamList(msgspec.Struct, frozen=True):
    """All that is on air."""

    streams: list[StreamView]


class StreamRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to put on air; what is left out is as in the settings."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    avatar: str | None = None
    width: int | None = None
    height: int | None = None
    fps: int | None = None
    bitrate_bps: Annotated[int, msgspec.Meta(ge=100_000, le=20_000_000)] | None = None

    def format(self, settings: Settings) -> VideoFormat:
        """Size, rate and bitrate, completed by the settings."""
        return VideoFormat(
            width=settings.width if self.width is None else self.width,
            height=settings.height if self.height is None else self.height,
            fps=settings.fps if self.fps is None else self.fps,
            bitrate_bps=settings.bitrate_bps if self.bitrate_bps is None else self.bitrate_bps,
        )


def view(stream: Stream, base: str) -> StreamView:
    """A stream as it is now; ``base`` is put before its paths."""
    return StreamView(
        name=stream.name,
        avatar=stream.avatar,
        title=stream.title,
        state=str(stream.state),
        width=stream.format.width,
        height=stream.format.height,
        fps=stream.format.fps,
        codecs=list(stream.codecs),
        viewers=stream.viewer_count,
        publisher=stream.publisher,
        queued=stream.queued,
        pose=stream.figure.pose,
        poses=list(stream.figure.poses),
        on_air_s=round(stream.on_air_s, 3),
        whep=f"{base}/whep/{stream.name}",
        whip=f"{base}/whip/{stream.name}",
        player=f"{base}/player/{stream.name}",
        publish=f"{base}/publish/{stream.name}",
    )


def parse_request(body: bytes) -> StreamRequest:
    """Errors: BadRequest, saying which member is wrong."""
    try:
        return msgspec.json.decode(body, type=StreamRequest)
    except msgspec.DecodeError as error:  # ValidationError is one too
        raise BadRequest(f"not a stream to put on air: {error}") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


@route("/streams", http_method=READ, status_code=200, opt=describe(Operation(STREAMS, reply=StreamList)))
async def list_streams(request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """All that is on air."""
    return json_reply(
        request, StreamList([view(stream, config.base_url) for stream in live.streams() if stream.listed])
    )


@post("/streams", status_code=201, opt=describe(Operation(STREAMS, body=StreamRequest, reply=StreamView)))
async def put_on_air(request: HttpRequest, live: Live, config: Config, door: DoorKept) -> ASGIResponse:
    """Put an avatar on air under a name. Errors: 400, 401, 403, 404 (avatar), 409, 413, 429, 503."""
    body = await Upload(request, limit=MAX_JSON_BYTES, stall_s=config.upload_stall_s).read()
    wanted = parse_request(body)
    door.check_stream(request, Scope.CREATE, wanted.name)
    stream = await live.put_on_air(wanted.name, wanted.avatar or config.avatar, wanted.format(config))
    location = f"{config.base_url}/streams/{stream.name}"
    return json_reply(request, view(stream, config.base_url), 201, [("Location", location)])


@route("/streams/{stream:str}", http_method=READ, status_code=200, opt=describe(Operation(STREAMS, reply=StreamView)))
async def show_stream(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """One stream. Errors: 404."""
    return json_reply(request, view(live.stream(stream), config.base_url))


@delete("/streams/{stream:str}", status_code=204, opt=describe(Operation(STREAMS)))
async def take_off_air(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> None:
    """Take it off air; its viewers are closed. Errors: 401, 404."""
    await live.take_off_air(stream)


@route("/streams", http_method=[HttpMethod.OPTIONS])
async def streams_options() -> ASGIResponse:
    """What may be sent here. The framework's own answer knows only the methods of the handler that came first."""
    return empty(204, [("Allow", "GET, HEAD, POST, OPTIONS"), ("Accept-Post", "application/json")])


@route("/streams/{stream:str}", http_method=[HttpMethod.OPTIONS])
async def stream_options() -> ASGIResponse:
    """What may be sent here."""
    return empty(204, [("Allow", "GET, HEAD, DELETE, OPTIONS")])


ROUTES = [streams_options, stream_options, list_streams, put_on_air, show_stream, take_off_air]
