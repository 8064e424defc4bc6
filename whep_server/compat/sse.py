"""Sessions whose speech comes as chunk files, announced by server-sent events.

A session is a stream: speech is made as fast as can be where nobody watches it, and live with the chunks of the same
pictures where somebody does.
"""

import math
import time
from collections.abc import Iterator
from contextlib import ExitStack, aclosing, contextmanager
from typing import Final

import msgspec
from litestar import delete, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.compat.announcements import Listener
from whep_server.compat.chunks import FILE_NAME
from whep_server.compat.delivery import HEADERS, Delivery, chunk_frames, event_stream
from whep_server.compat.dialect import (
    CHUNKS,
    REQUEST_ID,
    BatchSize,
    ChunkSeconds,
    Deleted,
    FrameRate,
    Params,
    new_id,
    ok,
    read_params,
)
from whep_server.compat.forms import MAX_SCALAR_BYTES, file_pieces, read_form
from whep_server.compat.lifetimes import CompatSession, Kind, nearest_rate
from whep_server.compat.office import Compat, Office
from whep_server.errors import BadRequest
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import DoorKept
from whep_server.web.bodies import HttpRequest
from whep_server.web.closing import ClosingEvent
from whep_server.web.describe import Operation, describe
from whep_server.web.downloads import MP4, cache_control, send_file
from whep_server.web.lease import lease_of
from whep_server.web.on_air import Config
from whep_server.web.replies import READ
from whep_server.web.speech import EVENTS_TYPE, events_head

PATH: Final = "/sessions/{session_id:str}"
KIND: Final = Kind.SSE


class Make(Params):
    """What a session is made of."""

    avatar_id: str
    user_id: str | None = None
    batch_size: BatchSize = 2
    fps: FrameRate = 15
    chunk_duration: ChunkSeconds = 2


class Made(msgspec.Struct, frozen=True):
    """A new session. ``player_url`` is a path."""

    session_id: str
    player_url: str
    avatar_id: str
    user_id: str | None
    config: dict[str, int | float]
    expires_in_seconds: int


class Streaming(msgspec.Struct, frozen=True):
    """Speech that is being made into chunks."""

    request_id: str
    session_id: str
    status: str = "streaming"
    message: str = "Chunks are announced on the session's events as they are made"


class Status(msgspec.Struct, frozen=True):
    """A session as it is now. Units: ``created_at`` and ``last_activity`` in seconds since 1970."""

    session_id: str
    avatar_id: str
    user_id: str | None
    active_stream: str | None
    created_at: float
    last_activity: float
    age_seconds: float
    idle_seconds: float


class Listed(msgspec.Struct, frozen=True):
    """A session among others."""

    session_id: str
    user_id: str | None
    avatar_id: str
    active_stream: str | None
    age_seconds: float
    idle_seconds: float


class Stats(msgspec.Struct, frozen=True):
    """All sessions."""

    total_sessions: int
    active_streams: int
    sessions: list[Listed]


class Speaker(Listed, frozen=True):
    """A session that speaks."""

    batch_size: int | float
    fps: int | float
    chunk_duration: int | float


class LiveSessions(msgspec.Struct, frozen=True):
    """Sessions that speak, of both families; there are no sessions of HLS."""

    total_live: int
    session_streams: list[Speaker]
    webrtc_streams: list[Speaker]
    hls_streams: list[Speaker] = []


@post("/sessions/create", status_code=200, opt=describe(Operation(CHUNKS, params=Make, reply=Made)))
async def make_session(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """A session to listen to. Errors: 400, 401, 404 (avatar), 422, 429, 503."""
    async with read_form(request, limit=MAX_SCALAR_BYTES, stall_s=config.upload_stall_s) as form:
        wanted = read_params(Make, request, form.scalars)
    rate = nearest_rate(wanted.fps)
    shown: dict[str, int | float] = {"batch_size": wanted.batch_size, "fps": rate}
    shown["chunk_duration"] = wanted.chunk_duration
    session = await compat.sessions.create(KIND, wanted.avatar_id, wanted.user_id, shown, fps=rate)
    compat.group.create_task(_until_off_air(session), name="compat-off-air")
    made = Made(
        session_id=session.id,
        player_url=f"{config.base_path}/player/session/{session.id}",
        avatar_id=session.avatar_id,
        user_id=session.user_id,
        config=session.config,
        expires_in_seconds=math.ceil(config.session_ttl_s),
    )
    return ok(request, made)


async def _until_off_air(session: CompatSession) -> None:
    """Send its listeners away when it is deleted, expires, or is taken off the air like any stream."""
    with session.stream.listen() as events:
        async for _ in events:
            pass
    session.told.close()


@post(
    f"{PATH}/stream",
    status_code=200,
    opt=describe(Operation(CHUNKS, files={"audio_file": "speech in any format that is known"}, reply=Streaming)),
)
async def stream_speech(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config
) -> ASGIResponse:
    """Make chunks of what a file holds; passed on while it arrives. What is no speech is told by an ``error`` event.

    Errors: 400, 401, 404, 408, 409 (chunks are being made), 413, 422, 429, 503.
    """
    session = compat.sessions.get(session_id, KIND)
    request_id = new_id(f"{session.avatar_id}_req_")
    upload = file_pieces(request, "audio_file", limit=config.max_upload_bytes, stall_s=config.upload_stall_s)
    with ExitStack() as held:
        session.claim(request_id)
        held.callback(session.release, request_id)
        async with aclosing(upload) as pieces:
            frames = chunk_frames(session.config["chunk_duration"], session.stream.format.fps)
            recording = await session.stream.record(pieces, chunk_frames=frames)
        delivery = Delivery(
            account=session.told.begin(request_id, time.monotonic()),
            store=compat.chunks,
            base=config.base_path,
            fps=session.stream.format.fps,
            held=held.pop_all(),
        )
        compat.group.create_task(delivery.run(recording), name="compat-chunks")
    return ok(request, Streaming(request_id, session.id))


@route(f"{PATH}/events", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=EVENTS_TYPE)))
async def session_events(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config, closing: ClosingEvent
) -> ASGIResponse:
    """Messages of one request: ``chunk``, then ``complete`` or ``error``, then the end; waits for the next if need be.

    Each has an id; who comes back with it as ``Last-Event-ID`` gets what it missed. Errors: 401, 404.
    """
    session = compat.sessions.get(session_id, KIND)
    if request.method == "HEAD":
        return events_head(HEADERS)
    session.told.forget(time.monotonic() - config.chunk_ttl_s)
    listener = session.told.listen(request.headers.get("last-event-id"))
    return event_stream(_listening(session, listener), listener, closing, lease_of(request.scope))


@contextmanager
def _listening(session: CompatSession, listener: Listener) -> Iterator[Listener]:
    """A session that is listened to is in use."""
    session.open += 1
    try:
        yield listener
    finally:
        session.open -= 1
        session.touch()


@route(f"{PATH}/status", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=Status)))
async def session_status(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config
) -> ASGIResponse:
    """How a session is. Errors: 401, 404."""
    session = compat.sessions.get(session_id, KIND)
    status = Status(
        session_id=session.id,
        avatar_id=session.avatar_id,
        user_id=session.user_id,
        active_stream=session.active_stream,
        created_at=session.created_at,
        last_activity=session.last_activity,
        age_seconds=session.age_s,
        idle_seconds=session.idle_s,
    )
    return ok(request, status)


@delete(PATH, status_code=200, opt=describe(Operation(CHUNKS, reply=Deleted)))
async def end_session(session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """End a session and its speech; listeners are told, if they are in the middle of it. Errors: 401, 404."""
    session = compat.sessions.get(session_id, KIND)
    await compat.sessions.delete(session)
    return ok(request, Deleted(session.id))


@route("/sessions/stats", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=Stats)))
async def session_stats(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """All sessions. Errors: 401."""
    listed = [
        Listed(each.id, each.user_id, each.avatar_id, each.active_stream, each.age_s, each.idle_s)
        for each in compat.sessions.all(KIND)
    ]
    return ok(request, Stats(len(listed), sum(each.active_stream is not None for each in listed), listed))


@route("/sessions/live", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=LiveSessions)))
async def live_sessions(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Sessions that speak. Errors: 401."""
    chunked, watched = _speakers(compat, Kind.SSE), _speakers(compat, Kind.WEBRTC)
    return ok(request, LiveSessions(len(chunked) + len(watched), chunked, watched))


def _speakers(compat: Office, kind: Kind) -> list[Speaker]:
    return [
        Speaker(
            session_id=each.id,
            user_id=each.user_id,
            avatar_id=each.avatar_id,
            active_stream=each.active_stream,
            age_seconds=each.age_s,
            idle_seconds=each.idle_s,
            **{name: each.config[name] for name in ("batch_size", "fps", "chunk_duration")},
        )
        for each in compat.sessions.all(kind)
        if each.active_stream is not None
    ]


@route(
    "/chunks/{request_id:str}/{name:str}",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(CHUNKS, reply=MP4, others=(206,))),
)
async def chunk_file(
    request_id: FromPath[str],
    name: FromPath[str],
    request: HttpRequest,
    compat: Compat,
    config: Config,
    door: DoorKept,
) -> ASGIResponse:
    """One chunk, or part of it. Errors: 400, 401, 403, 404, 416."""
    door.check_stream(request, Scope.WATCH, compat.requests.owner(request_id))
    if not REQUEST_ID.fullmatch(request_id) or not FILE_NAME.fullmatch(name):
        raise BadRequest("Invalid request ID or chunk name")
    headers = {"Content-Disposition": "inline", "Cache-Control": cache_control(config)}
    return await send_file(request, compat.chunks.path(request_id, name), headers)


ROUTES = [
    make_session,
    stream_speech,
    session_events,
    session_status,
    end_session,
    session_stats,
    live_sessions,
    chunk_file,
]
