"""Avatars in the making: what is known of each job, and taking one back. ``POST /avatars/prepare`` begins them."""

from typing import Final

import msgspec
from litestar import HttpMethod, delete, route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from avatar.messages import Quality
from whep_server.live.preparations import Making, Preparation
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import AVATARS, Operation, describe
from whep_server.web.endpoints import empty
from whep_server.web.on_air import Config, Live
from whep_server.web.replies import READ, json_reply

JOBS: Final = "/avatars/preparations"


class PreparationView(msgspec.Struct, frozen=True):
    """An avatar in the making, or what became of it. Units: seconds since 1970."""

    job: str
    avatar_id: str
    engine: str
    state: str
    """queued, preparing, ready, failed or cancelled."""
    stage: str
    """What is being done, in words."""
    done: float
    """0 to 1, of all."""
    submitted_at: float
    started_at: float | None
    updated_at: float
    completed_at: float | None
    error: str | None
    """Why there is no avatar."""
    notes: list[str]
    """What was left out."""
    quality: Quality | None
    """What was found in the video, once the avatar is made."""
    preview_url: str | None
    """A picture of what was made."""


class PreparationList(msgspec.Struct, frozen=True):
    """Those that wait or are being made, and the last ones that are over; oldest first."""

    preparations: list[PreparationView]


def view(preparation: Preparation, base: str) -> PreparationView:
    """A job as it is now; ``base`` is put before its paths."""
    ready = preparation.state is Making.READY
    return PreparationView(
        job=preparation.job,
        avatar_id=preparation.avatar,
        engine=preparation.engine,
        state=preparation.state.value,
        stage=preparation.stage,
        done=round(preparation.done, 3),
        submitted_at=preparation.submitted_at,
        started_at=preparation.started_at,
        updated_at=preparation.updated_at,
        completed_at=preparation.completed_at,
        error=None if preparation.fault is None else preparation.fault.detail,
        notes=list(preparation.notes),
        quality=preparation.quality,
        preview_url=f"{base}/avatars/{preparation.avatar}/preview.jpg" if ready else None,
    )


@route(JOBS, http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=PreparationList)))
async def list_preparations(request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """Avatars that are being made or wait for it, and what became of the last ones. Errors: 401."""
    jobs = [view(each, config.base_url) for each in live.preparations.all()]
    return json_reply(request, PreparationList(jobs))


@route(
    f"{JOBS}/{{job:str}}", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=PreparationView))
)
async def show_preparation(job: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """How far one avatar is. Errors: 401, 404 (never begun, or long over)."""
    return json_reply(request, view(live.preparations.find(job), config.base_url))


@delete(f"{JOBS}/{{job:str}}", status_code=200, opt=describe(Operation(AVATARS, reply=PreparationView)))
async def cancel_preparation(job: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """Make no avatar of it; one of that name that was there before stays. All is gone when this answers.

    Errors: 401, 404, 409 (it is over), 503.
    """
    return json_reply(request, view(await live.preparations.cancel(job), config.base_url))


@route(f"{JOBS}/{{job:str}}", http_method=[HttpMethod.OPTIONS])
async def preparation_options() -> ASGIResponse:
    """What may be sent here. The framework's own answer knows only the methods of the handler that came first."""
    return empty(204, [("Allow", "GET, HEAD, DELETE, OPTIONS")])


ROUTES = [preparation_options, list_preparations, show_preparation, cancel_preparation]
