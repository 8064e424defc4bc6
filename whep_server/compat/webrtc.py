"""WebRTC sessions with the original signalling: offer and candidates as JSON.

A session is a stream: each offer is answered with a viewer of its own, so that a page may be loaded again and others
may watch along, and ``POST /whep/{session_id}`` plays the same.
"""

import math
import time
from contextlib import aclosing
from typing import Final, Literal

import msgspec
import pydantic
from litestar import delete, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.compat.candidates import Told, as_fragment, offered_ufrag, read_candidate
from whep_server.compat.dialect import (
    WEBRTC,
    BatchSize,
    ChunkSeconds,
    Deleted,
    FrameRate,
    Params,
    new_id,
    ok,
    parse_json,
    read_params,
)
from whep_server.compat.forms import MAX_SCALAR_BYTES, file_pieces, read_form
from whep_server.compat.lifetimes import CompatSession, Kind, nearest_rate
from whep_server.compat.office import Compat
from whep_server.compat.session_views import POSE, SessionList, SessionState, session_list, session_state
from whep_server.compat.speaking import speak_live
from whep_server.errors import BadRequest, NoSuchSession
from whep_server.settings import Settings
from whep_server.signaling.ice_servers import ice_servers
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import DoorKept
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.describe import Operation, describe
from whep_server.web.on_air import Config
from whep_server.web.pages import IceServer
from whep_server.web.replies import READ

PATH: Final = "/webrtc/sessions/{session_id:str}"
MOST_PREBUFFER_S: Final = 10.0


class Create(Params):
    """What a session is made of."""

    avatar_id: str
    user_id: str | None = None
    fps: FrameRate = 10
    playback_fps: FrameRate | None = None
    batch_size: BatchSize = 2
    chunk_duration: ChunkSeconds = 2
    prebuffer_seconds: float | None = pydantic.Field(
        default=None, description="0 to 10, told back, and of no effect: nothing needs to be held before speech starts"
    )

    @property
    def rates(self) -> tuple[int, int]:
        """How many pictures are drawn a second, and how many are sent: never fewer."""
        played = nearest_rate(self.fps if self.playback_fps is None else self.playback_fps)
        return min(nearest_rate(self.fps), played), played

    def config(self) -> dict[str, int | float]:
        """What the session really has."""
        drawn, played = self.rates
        config: dict[str, int | float] = {"fps": drawn, "playback_fps": played, "batch_size": self.batch_size}
        config["chunk_duration"] = self.chunk_duration
        if self.prebuffer_seconds is not None:
            config["prebuffer_seconds"] = self.prebuffer_seconds
        return config


class Created(msgspec.Struct, frozen=True):
    """A new session. ``player_url`` and ``whep_url`` are paths."""

    session_id: str
    player_url: str
    whep_url: str
    avatar_id: str
    user_id: str | None
    ice_servers: list[IceServer]
    expires_in_seconds: int
    config: dict[str, int | float]
    idle_pose_id: str = POSE
    live_pose_id: str = POSE
    available_pose_ids: tuple[str, ...] = (POSE,)
    ice_transport_policy: str = "all"


class Description(Params):
    """A browser's offer, as ``RTCSessionDescription`` has it."""

    sdp: str
    type: Literal["offer"]


class Answer(msgspec.Struct, frozen=True):
    """The answer, with all of the server's candidates."""

    sdp: str
    type: str = "answer"


class Candidate(Params):
    """A browser's candidate, as ``RTCIceCandidate`` has it; none, or an empty one, says that it was the last."""

    candidate: str | None = None
    sdp_mid: str | None = pydantic.Field(default=None, alias="sdpMid")
    sdp_m_line_index: int | None = pydantic.Field(default=None, alias="sdpMLineIndex")
    username_fragment: str | None = pydantic.Field(default=None, alias="usernameFragment", max_length=256)


class Taken(msgspec.Struct, frozen=True):
    """A candidate was taken, whether it is of use or not."""

    status: str = "ok"


class Speaking(msgspec.Struct, frozen=True):
    """Speech that is being said."""

    request_id: str
    session_id: str
    status: str = "streaming"
    message: str = "Speaking; the session is free for the next when all of it was heard"


def told_ice_servers(settings: Settings) -> list[IceServer]:
    """For a browser's RTCPeerConnection: STUN in one entry, TURN in another, whose credentials expire."""
    known = ice_servers(settings.stun_urls, settings.turn_urls, settings.turn_login, time.time())
    stun = [each.url for each in known if each.username is None]
    turn = [each for each in known if each.username is not None]
    entries = [IceServer(stun)] if stun else []
    if turn:
        entries.append(IceServer([each.url for each in turn], turn[0].username or "", turn[0].credential or ""))
    return entries


@post("/webrtc/sessions/create", status_code=200, opt=describe(Operation(WEBRTC, params=Create, reply=Created)))
async def create_session(request: HttpRequest, compat: Compat, config: Config, door: DoorKept) -> ASGIResponse:
    """A session to watch. Errors: 400, 401, 404 (avatar), 422, 429, 503."""
    async with read_form(request, limit=MAX_SCALAR_BYTES, stall_s=config.upload_stall_s) as form:
        wanted = read_params(Create, request, form.scalars)
    if wanted.prebuffer_seconds is not None and not 0 <= wanted.prebuffer_seconds <= MOST_PREBUFFER_S:
        raise BadRequest(f"prebuffer_seconds must be from 0 to {MOST_PREBUFFER_S:g}")
    drawn, played = wanted.rates
    session = await compat.sessions.create(
        Kind.WEBRTC,
        wanted.avatar_id,
        wanted.user_id,
        wanted.config(),
        fps=played,
        drawn_fps=drawn if drawn < played else 0,
    )
    may_watch = door.may(request, Scope.WATCH, session.id)
    created = Created(
        session_id=session.id,
        player_url=player_url(session, config),
        whep_url=f"{config.base_path}/whep/{session.id}",
        avatar_id=session.avatar_id,
        user_id=session.user_id,
        ice_servers=told_ice_servers(config) if may_watch else [],  # TURN costs money
        expires_in_seconds=math.ceil(config.session_ttl_s),
        config=session.config,
    )
    return ok(request, created)


def player_url(session: CompatSession, settings: Settings) -> str:
    """Where a person watches it."""
    return f"{settings.base_path}/webrtc/player/{session.id}"


@post(f"{PATH}/offer", status_code=200, opt=describe(Operation(WEBRTC, body=Description, reply=Answer)))
async def take_description(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config
) -> ASGIResponse:
    """An offer in, the complete answer out; each offer is a viewer of its own.

    Errors: 400, 401, 404, 408, 413, 422, 429, 503.
    """
    session = compat.sessions.get(session_id, Kind.WEBRTC)
    # in JSON a line's end takes four characters
    upload = Upload(request, limit=2 * config.max_sdp_bytes, stall_s=config.upload_stall_s)
    offer = parse_json(Description, await upload.read()).sdp
    viewer = await session.stream.open_viewer(offer)
    session.offered.append(viewer)
    early = session.trickle.joined(viewer.id, offered_ufrag(offer))
    if early:
        await viewer.patch(as_fragment(early))
    return ok(request, Answer(viewer.answer))


@post(f"{PATH}/ice", status_code=200, opt=describe(Operation(WEBRTC, body=Candidate, reply=Taken)))
async def take_candidate(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config
) -> ASGIResponse:
    """A candidate, for the viewer whose ufrag it names, else for the newest. Errors: 401, 404, 408, 413, 422, 429."""
    session = compat.sessions.get(session_id, Kind.WEBRTC)
    body = await Upload(request, limit=MAX_SCALAR_BYTES, stall_s=config.upload_stall_s).read()
    candidate = parse_json(Candidate, body)
    told = read_candidate(candidate.candidate or "", candidate.username_fragment)
    if told is not None:
        await _hand_on(session, told)
    return ok(request, Taken())


async def _hand_on(session: CompatSession, told: Told) -> None:
    viewer = session.trickle.viewer_of(told)
    if viewer is None:
        return
    try:
        await session.stream.viewer_session(viewer).patch(as_fragment([told.value]))
    except NoSuchSession:
        session.trickle.left(viewer)


@post(
    f"{PATH}/stream",
    status_code=200,
    opt=describe(Operation(WEBRTC, files={"audio_file": "speech in any format that is known"}, reply=Speaking)),
)
async def speak(session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Say what a file holds, live, whether anybody watches or not; passed on while it arrives.

    Errors: 400, 401, 404, 408, 409 (it speaks), 413, 422, 429, 503.
    """
    session = compat.sessions.get(session_id, Kind.WEBRTC)
    request_id = new_id(f"{session.avatar_id}_webrtc_")
    upload = file_pieces(request, "audio_file", limit=config.max_upload_bytes, stall_s=config.upload_stall_s)
    async with aclosing(upload) as pieces:
        await speak_live(compat, session, request_id, pieces)
    return ok(request, Speaking(request_id, session.id))


@delete(PATH, status_code=200, opt=describe(Operation(WEBRTC, reply=Deleted)))
async def delete_session(
    session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config
) -> ASGIResponse:
    """End a session, its viewers and its speech. Errors: 401, 404."""
    session = compat.sessions.get(session_id, Kind.WEBRTC)
    await compat.sessions.delete(session)
    return ok(request, Deleted(session.id))


@route(f"{PATH}/status", http_method=READ, status_code=200, opt=describe(Operation(WEBRTC, reply=SessionState)))
async def show_session(session_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """How a session is, with each viewer's connection. Errors: 401, 404."""
    session = compat.sessions.get(session_id, Kind.WEBRTC)
    return ok(request, session_state(session, player_url(session, config)))


@route("/webrtc/sessions/stats", http_method=READ, status_code=200, opt=describe(Operation(WEBRTC, reply=SessionList)))
async def list_sessions(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """All sessions. Errors: 401."""
    sessions = compat.sessions.all(Kind.WEBRTC)
    shown = [session_state(each, player_url(each, config)) for each in sessions]
    return ok(request, session_list(shown, compat.live.worker_facts))


ROUTES = [
    create_session,
    take_description,
    take_candidate,
    speak,
    delete_session,
    show_session,
    list_sessions,
]
