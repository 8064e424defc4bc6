"""Speech made into one film, or into chunks that the response itself announces: without a session."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Final

import msgspec
from litestar import post, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.compat.announcements import Announcements, Listener, error_message
from whep_server.compat.delivery import Delivery, chunk_frames, event_stream
from whep_server.compat.dialect import (
    CHUNKS,
    BatchSize,
    ChunkSeconds,
    FrameRate,
    Params,
    new_id,
    ok,
    read_params,
)
from whep_server.compat.forms import Form, read_form
from whep_server.compat.lifetimes import nearest_rate, video_of
from whep_server.compat.office import Compat, Office
from whep_server.errors import NoSuchAvatar
from whep_server.web.bodies import HttpRequest
from whep_server.web.closing import ClosingEvent
from whep_server.web.describe import Operation, describe
from whep_server.web.downloads import MP4, send_file
from whep_server.web.on_air import Config, Recording
from whep_server.web.replies import READ
from whep_server.web.speech import EVENTS_TYPE

JOB: Final = "/generate/{job_id:str}"
FILES: Final = {"audio_file": "speech in any format that is known"}
PIECE_S: Final = 2
"""A film is written in pieces of so long."""


class FilmRequest(Params):
    """A film that is wanted."""

    avatar_id: str
    batch_size: BatchSize = 2
    fps: FrameRate = 25
    output_name: str | None = None


class ChunksRequest(Params):
    """Chunks that are wanted."""

    avatar_id: str
    batch_size: BatchSize = 2
    fps: FrameRate = 15
    chunk_duration: ChunkSeconds = 2


class Queued(msgspec.Struct, frozen=True):
    """A film will be made."""

    request_id: str
    avatar_id: str
    status: str = "queued"
    message: str = "Ask /generate/{request_id}/status until it is completed"


class FilmMade(msgspec.Struct, frozen=True):
    """How a job ended. ``output_path``: within the server's cache."""

    success: bool
    output_path: str | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET


class JobState(msgspec.Struct, frozen=True):
    """``processing``, or ``completed``: a job that failed is completed, too, without success."""

    status: str
    result: FilmMade | msgspec.UnsetType = msgspec.UNSET


@post(
    "/generate",
    status_code=200,
    opt=describe(Operation(CHUNKS, params=FilmRequest, files=FILES, reply=Queued)),
)
async def queue_film(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Make a film of what a file holds, in the background. Errors: 400, 401, 404 (avatar), 408, 413, 422, 429, 503."""
    job_id = new_id("gen_")
    async with read_form(request, limit=config.max_upload_bytes, stall_s=config.upload_stall_s) as form:
        wanted = read_params(FilmRequest, request, form.scalars)
        with ExitStack() as held:
            compat.requests.begin(job_id)
            held.callback(compat.requests.end, job_id)
            rate = nearest_rate(wanted.fps)
            recording = await _render(compat, wanted.avatar_id, rate, form, rate * PIECE_S, whole=True)
            film = compat.films.begin(job_id, wanted.output_name)
            compat.group.create_task(compat.films.run(film, recording, held.pop_all()), name="compat-film")
    return ok(request, Queued(job_id, wanted.avatar_id))


async def _render(compat: Office, avatar: str, rate: int, form: Form, frames: int, *, whole: bool = False) -> Recording:
    """Hand the form's speech on. Errors: as ``Registry.render``."""
    speech = form.file("audio_file")
    video = video_of(compat.live, compat.settings, avatar, rate)
    return await compat.live.render(avatar, video, speech.pieces(), chunk_frames=frames, whole=whole)


@route(f"{JOB}/status", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=JobState)))
async def film_status(job_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """How a job is; remembered for as long as its film. Errors: 401, 404."""
    film = compat.films.find(job_id)
    if film.done_s is None:
        return ok(request, JobState("processing"))
    result = (
        FilmMade(success=True, output_path=f"chunks/{film.job_id}/{film.file}")
        if film.error is None
        else FilmMade(success=False, error=film.error)
    )
    return ok(request, JobState("completed", result))


@route(f"{JOB}/download", http_method=READ, status_code=200, opt=describe(Operation(CHUNKS, reply=MP4, others=(206,))))
async def download_film(job_id: FromPath[str], request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """The film, or part of it. Errors: 400 (not done), 401, 404, 416, 500 (failed)."""
    film = compat.films.made(job_id)
    headers = {"Content-Disposition": f'attachment; filename="{film.file}"'}
    return await send_file(request, compat.chunks.path(film.job_id, film.file), headers)


@post(
    "/generate/stream",
    status_code=200,
    opt=describe(Operation(CHUNKS, params=ChunksRequest, files=FILES, reply=EVENTS_TYPE)),
)
async def stream_chunks(request: HttpRequest, compat: Compat, config: Config, closing: ClosingEvent) -> ASGIResponse:
    """Make chunks of what a file holds: the response announces them, as a session's events do, and ends.

    An unknown avatar is told by an ``error`` event, as the original did. Errors: 400, 401, 408, 413, 422, 429, 503.
    """
    async with read_form(request, limit=config.max_upload_bytes, stall_s=config.upload_stall_s) as form:
        wanted = read_params(ChunksRequest, request, form.scalars)
        told = Announcements()
        listener = told.listen()
        try:
            recording = await _begin(compat, wanted, form, told)
        except NoSuchAvatar as error:
            told.begin(new_id("none_req_"), time.monotonic()).end(error_message(error.detail))
            return event_stream(nullcontext(listener), listener, closing)
    return event_stream(_recorded(recording, listener), listener, closing)


async def _begin(compat: Office, wanted: ChunksRequest, form: Form, told: Announcements) -> Recording:
    """Begin to make chunks, and to tell of them."""
    request_id, rate = new_id(f"{wanted.avatar_id}_req_"), nearest_rate(wanted.fps)
    with ExitStack() as held:
        compat.requests.begin(request_id)
        held.callback(compat.requests.end, request_id)
        frames = chunk_frames(wanted.chunk_duration, rate)
        recording = await _render(compat, wanted.avatar_id, rate, form, frames)
        account = told.begin(request_id, time.monotonic())
        delivery = Delivery(account, compat.chunks, compat.settings.base_path, rate, held.pop_all())
        compat.group.create_task(delivery.run(recording), name="compat-chunks")
    return recording


@contextmanager
def _recorded(recording: Recording, listener: Listener) -> Iterator[Listener]:
    """A recording that nobody wants any more when its one listener is gone."""
    try:
        yield listener
    finally:
        recording.close()


ROUTES = [queue_film, film_status, download_film, stream_chunks]
