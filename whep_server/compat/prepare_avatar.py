"""Making avatars, as the original server has it: answered when the avatar is there. Or, with ``wait=false``, at once,
with a job to ask about (``web/avatar_jobs.py``), which the original had not.
"""

from contextlib import AsyncExitStack
from typing import Final, Literal

import msgspec
import pydantic
from litestar import post
from litestar.response.base import ASGIResponse

from whep_server.compat.catalog import SINGLE_VIDEO, is_known
from whep_server.compat.dialect import AVATAR_ID, AVATARS, BatchSize, Params, ok, read_params
from whep_server.compat.forms import UPLOADS, Form, read_form
from whep_server.compat.office import Compat, Office
from whep_server.errors import BadRequest, NotAvatarVideo, ServerError
from whep_server.live.preparations import Making, Preparation, WantedAvatar
from whep_server.settings import Settings
from whep_server.web.avatar_jobs import JOBS, PreparationView, view
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.describe import Operation, describe
from whep_server.web.on_air import Config
from whep_server.web.replies import json_reply

VIDEO: Final = "video_file"
LANDMARKS: Final = "landmarks"
ABOUT: Final = """\
With `wait=false` it is answered as soon as the file is here: 202 with a job, or 200 as ever where the avatar is there
already. The job's address is in `Location`; it says how far it is and what came of it, and `DELETE` of it ends it.
Nothing is begun where too many avatars are in the making: 429, before the file is read."""


class PreparationFailed(ServerError):
    """No avatar can be made of the video; the original answers so whatever went wrong."""

    status, title = 500, "Preparation failed"


class Prepare(Params):
    """What an avatar is made of, beside the file. ``bbox_shift`` and ``batch_size`` are of no effect."""

    avatar_id: str
    bbox_shift: int = 0
    batch_size: BatchSize = 20
    force_recreate: bool = False
    engine: Literal["viseme", "musetalk"] = "viseme"
    wait: bool = pydantic.Field(default=True, description="Whether to answer only when the avatar is there")


class Prepared(msgspec.Struct, frozen=True):
    """The avatar can go on air."""

    avatar_id: str
    message: str
    status: str = "success"
    video_layout: str = SINGLE_VIDEO


@post(
    "/avatars/prepare",
    status_code=200,
    opt=describe(
        Operation(
            AVATARS,
            params=Prepare,
            files={VIDEO: "a video of a face, or a photo"},
            further_files={LANDMARKS: "where the face is, where it is not to be looked for: docs/avatars.md"},
            reply=Prepared,
            other_replies={202: PreparationView},
            headers={"Location": "of the job, where it is not waited for"},
            about=ABOUT,
        )
    ),
)
async def prepare(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Make an avatar of a video or a photo, which takes many seconds; nothing is done for one that is there already.

    Errors: 400, 401, 408, 409 (on air, shipped, cancelled), 413, 422, 429, 500 (no avatar can be made of it), 503.
    """
    check_room(request, compat, config)
    folder = config.cache / UPLOADS
    async with AsyncExitStack() as held:
        form = await held.enter_async_context(
            read_form(request, limit=config.max_video_bytes, stall_s=config.upload_stall_s, folder=folder)
        )
        asked = read_params(Prepare, request, form.scalars)
        wanted = wanted_of(asked, form)
        preparation = compat.live.begin_avatar(wanted)
        if preparation is None:
            return ok(request, Prepared(wanted.name, f"Avatar {wanted.name} was prepared before"))
        if not asked.wait:
            compat.group.create_task(_attend(compat, preparation, wanted, held.pop_all()), name="preparation")
            location = f"{config.base_url}{JOBS}/{preparation.job}"
            return json_reply(request, view(preparation, config.base_url), 202, [("Location", location)])
        try:
            await compat.live.preparations.made(preparation)
        except NotAvatarVideo as error:
            raise PreparationFailed(error.detail) from error
    if wanted.replace:
        compat.warmups.forget(wanted.name)
    return ok(request, Prepared(wanted.name, f"Avatar {wanted.name} is prepared"))


def check_room(request: HttpRequest, compat: Office, config: Settings) -> None:
    """So that no large file is sent for nothing. Errors: TooLarge, TooMany, BeingEnded."""
    Upload(request, limit=config.max_video_bytes, stall_s=config.upload_stall_s)  # whose end a refusal then waits for
    compat.live.check_open()
    query = request.query_params
    if "force_recreate" in query or not is_known(compat.live, query.get("avatar_id", "")):
        compat.live.preparations.check_room()


def wanted_of(asked: Prepare, form: Form) -> WantedAvatar:
    """What is to be made. Errors: BadRequest, Invalid."""
    video = form.file(VIDEO)
    if LANDMARKS in form.scalars:
        raise BadRequest(f"{LANDMARKS} has to be a file")
    if not AVATAR_ID.fullmatch(asked.avatar_id):
        raise BadRequest("avatar_id: letters, digits, dots, hyphens and underscores, at most 128")
    return WantedAvatar(
        asked.avatar_id,
        video.path,
        replace=asked.force_recreate,
        engine=asked.engine,
        landmarks=form.files[LANDMARKS].path if LANDMARKS in form.files else None,
    )


async def _attend(compat: Office, preparation: Preparation, wanted: WantedAvatar, held: AsyncExitStack) -> None:
    """Keep its files as long as they are needed."""
    async with held:
        await preparation.over.wait()
    if wanted.replace and preparation.state is Making.READY:
        compat.warmups.forget(wanted.name)


ROUTES = [prepare]
