"""Avatars as the original server names them: list, video, delete, cache; ``prepare_avatar`` makes them."""

import asyncio
from typing import Final

import msgspec
import pydantic
from litestar import delete, post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.compat.dialect import AVATAR_ID, AVATARS, BatchSize, FrameRate, Params, ok, read_params
from whep_server.compat.lifetimes import nearest_rate, video_of
from whep_server.compat.office import Compat, Office
from whep_server.compat.session_views import POSE
from whep_server.compat.warming import Warmth, Warmup
from whep_server.errors import BadRequest, NoSuchAvatar, ServerError
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import Operation, describe
from whep_server.web.downloads import MP4, cache_control, send_file
from whep_server.web.on_air import Config, Live, Registry
from whep_server.web.replies import READ, json_reply

AVATAR: Final = "/avatars/{avatar_id:str}"
SINGLE_VIDEO: Final = "single_video"
"""The layout of an avatar that is one video, idle and speaking."""
ROLES: Final = ("idle", "talking", "input")
MOST_WAIT_S: Final = 600.0


class WarmingFailed(ServerError):
    """The avatar could not be loaded."""

    status, title = 500, "Loading failed"


class Entry(msgspec.Struct, frozen=True):
    """One avatar. ``version`` is the engine that moves it."""

    avatar_id: str
    version: str
    bbox_shift: int = 0
    video_layout: str = SINGLE_VIDEO
    has_idle_video: bool = True
    idle_poses: tuple[str, ...] = (POSE,)


class Catalog(msgspec.Struct, frozen=True):
    """All avatars that can go on air."""

    avatars: list[Entry]


class Forget(Params):
    """How far an avatar is to go."""

    from_disk: bool = False


class Forgotten(msgspec.Struct, frozen=True):
    """What was done. ``disk_path`` is below the folder of avatars."""

    avatar_id: str
    evicted_from_cache: bool
    deleted_from_disk: bool
    disk_path: str | None
    message: str
    status: str = "success"


class Film(Params):
    """Which film. There is one: idle, with the mouth shut; ``v`` and ``pose_id`` are taken and of no effect."""

    role: str | None = pydantic.Field(default=None, description="idle, talking or input")


class Warm(Params):
    """How to load an avatar. ``fps`` is ours: what is prepared depends on it."""

    batch_size: BatchSize = 2
    wait: bool = False
    timeout_seconds: float = pydantic.Field(default=60.0, ge=0, le=MOST_WAIT_S, allow_inf_nan=False)
    fps: FrameRate = 10


class CacheState(msgspec.Struct, frozen=True):
    """Whether an avatar is in memory, and what became of loading it. Units: seconds since 1970."""

    avatar_id: str
    status: str
    """not_cached, missing, queued, loading_into_memory, ready or failed."""
    cached: bool
    disk_prepared: bool
    request_id: str | None = None
    batch_size: int | None = None
    submitted_at: float | None = None
    started_at: float | None = None
    updated_at: float | None = None
    completed_at: float | None = None
    error: str | None = None
    deduped: bool = False
    s3_enabled: bool = False
    s3_restore_required: bool = False


class Pose(msgspec.Struct, frozen=True):
    """A pose. ``video_url`` is a path."""

    pose_id: str
    video_url: str


class Poses(msgspec.Struct, frozen=True):
    """All poses of an avatar: one."""

    avatar_id: str
    poses: list[Pose]
    default_pose_id: str = POSE


def check_name(avatar: str) -> None:
    """Errors: NoSuchAvatar for what cannot be the name of one, and must not become part of a path."""
    if not AVATAR_ID.fullmatch(avatar):
        raise NoSuchAvatar("Avatar not found")


def is_known(live: Registry, avatar: str) -> bool:
    """Whether it can go on air."""
    return any(info.name == avatar for info in live.avatars)


def is_held(live: Registry, avatar: str) -> bool:
    """Whether it is in memory, at any size."""
    return any(each.name == avatar for each in live.worker_facts.avatars.held)


@route("/avatars/list", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=Catalog)))
async def list_catalog(request: HttpRequest, live: Live) -> ASGIResponse:
    """All avatars; none while the worker is still starting."""
    return ok(request, Catalog([Entry(info.name, info.engine) for info in live.avatars]))


@route(
    f"{AVATAR}/video",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(AVATARS, params=Film, reply=MP4, others=(206,))),
)
async def show_film(avatar_id: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """The idle loop as a film, or a part of it. Errors: 400 (role), 401, 404, 416."""
    check_name(avatar_id)
    role = read_params(Film, request).role
    if role is not None and role not in ROLES:
        raise BadRequest(f"role must be one of {', '.join(ROLES)}")
    name = f"{avatar_id}_input" if role is None else f"{avatar_id}_{role}_{POSE}"
    headers = {"Cache-Control": cache_control(config), "Content-Disposition": f'inline; filename="{name}.mp4"'}
    return await send_file(request, live.avatar_film(avatar_id), headers)


@delete(AVATAR, status_code=200, opt=describe(Operation(AVATARS, params=Forget, reply=Forgotten)))
async def forget(avatar_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Take an avatar out of memory, with ``from_disk`` also from disk.

    Errors: 401, 404, 409 (on air, or shipped), 422, 503.
    """
    check_name(avatar_id)
    from_disk = read_params(Forget, request).from_disk
    dropped = await compat.live.delete_avatar(avatar_id, from_disk=from_disk)
    compat.warmups.forget(avatar_id)
    deleted = dropped.path is not None
    done = "deleted" if deleted else "taken out of memory" if dropped.evicted else "was not in memory"
    reply = Forgotten(
        avatar_id=avatar_id,
        evicted_from_cache=dropped.evicted,
        deleted_from_disk=deleted,
        disk_path=f"avatars/{avatar_id}" if deleted else None,
        message=f"Avatar {avatar_id} {done}",
    )
    return ok(request, reply)


def cache_state(office: Office, avatar: str, *, deduped: bool = False) -> CacheState:
    """Whether an avatar is in memory, and what came of loading it; one that was loaded may have had to go since."""
    if not is_known(office.live, avatar):
        return CacheState(avatar, "missing", cached=False, disk_prepared=False)
    cached, warmup = is_held(office.live, avatar), office.warmups.newest(avatar)
    if warmup is None or (warmup.status is Warmth.READY and not cached):
        return CacheState(avatar, "ready" if cached else "not_cached", cached=cached, disk_prepared=True)
    return CacheState(
        avatar,
        warmup.status,
        cached=cached,
        disk_prepared=True,
        request_id=warmup.request_id,
        batch_size=warmup.batch_size,
        submitted_at=warmup.submitted_at,
        started_at=warmup.started_at,
        updated_at=warmup.updated_at,
        completed_at=warmup.completed_at,
        error=warmup.error,
        deduped=deduped,
    )


@post(
    f"{AVATAR}/cache/warm",
    status_code=200,
    opt=describe(Operation(AVATARS, params=Warm, reply=CacheState, others=(202,))),
)
async def warm(avatar_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Load an avatar before its first session: 200 when it is there, 202 while it comes.

    Errors: 401, 404, 422, 500 (it cannot be loaded), 503.
    """
    check_name(avatar_id)
    wanted = read_params(Warm, request)
    video = video_of(compat.live, config, avatar_id, nearest_rate(wanted.fps))
    known = compat.warmups.newest(avatar_id)
    deduped = known is not None and known.video == video and _holds(known, compat.live)
    warmup = (
        known
        if known is not None and deduped
        else compat.warmups.begin(compat.group, avatar_id, video, wanted.batch_size)
    )
    if wanted.wait:
        await _wait(warmup, wanted.timeout_seconds)
    if warmup.status is Warmth.FAILED:
        raise WarmingFailed(warmup.error or "the avatar could not be loaded")
    status = 200 if warmup.status is Warmth.READY else 202
    return json_reply(request, cache_state(compat, avatar_id, deduped=deduped), status)


def _holds(warmup: Warmup, live: Registry) -> bool:
    """Whether it is under way, or what it has loaded is still there."""
    return is_held(live, warmup.avatar) if warmup.status is Warmth.READY else warmup.status is not Warmth.FAILED


async def _wait(warmup: Warmup, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await warmup.over.wait()
    except TimeoutError:
        return


@route(f"{AVATAR}/cache/status", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=CacheState)))
async def show_cache(avatar_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Whether an avatar is in memory. Errors: 401, 404 for what is no avatar's name."""
    check_name(avatar_id)
    return ok(request, cache_state(compat, avatar_id))


@route(f"{AVATAR}/idle-poses", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=Poses)))
async def list_poses(avatar_id: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """The one pose of an avatar. Errors: 404."""
    check_name(avatar_id)
    if not is_known(live, avatar_id):
        raise NoSuchAvatar("Avatar not found")
    return ok(request, Poses(avatar_id, [Pose(POSE, f"{config.base_path}/avatars/{avatar_id}/video")]))


ROUTES = [list_catalog, show_film, forget, warm, show_cache, list_poses]
