"""The avatars that can go on air, and what preparing has left of those that were made of a video or a photo."""

from typing import Final

import msgspec
from litestar import route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from avatar.messages import AvatarInfo, Quality
from whep_server.errors import NoSuchFile
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import AVATARS, Operation, describe
from whep_server.web.downloads import send_file
from whep_server.web.on_air import Live
from whep_server.web.replies import READ, json_reply

JPEG: Final = "image/jpeg"
JSON: Final = "application/json"
PREVIEW: Final = "preview.jpg"
QUALITY: Final = "quality.json"


class AvatarList(msgspec.Struct, frozen=True):
    """All avatars, with the sizes each can be shown at."""

    avatars: list[AvatarInfo]


@route("/avatars", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=AvatarList)))
async def list_avatars(request: HttpRequest, live: Live) -> ASGIResponse:
    """All avatars; empty while the worker is still starting."""
    return json_reply(request, AvatarList(list(live.avatars)))


async def _left_by_preparing(request: HttpRequest, live: Live, avatar: str, file: str, media_type: str) -> ASGIResponse:
    try:
        return await send_file(request, live.avatar_file(avatar, file), {"Cache-Control": "no-cache"}, media_type)
    except NoSuchFile:
        what = file.partition(".")[0]
        raise NoSuchFile(f"{avatar} has no {what}: it was not prepared here, or by an older version") from None


@route(
    "/avatars/{avatar_id:str}/preview.jpg",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(AVATARS, reply=JPEG, others=(206,))),
)
async def show_preview(avatar_id: FromPath[str], request: HttpRequest, live: Live) -> ASGIResponse:
    """An avatar that was prepared here: the face that was found, what its mouth does. Errors: 401, 404, 416, 503."""
    return await _left_by_preparing(request, live, avatar_id, PREVIEW, JPEG)


@route(
    "/avatars/{avatar_id:str}/quality",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(AVATARS, reply=Quality, others=(206,))),
)
async def show_quality(avatar_id: FromPath[str], request: HttpRequest, live: Live) -> ASGIResponse:
    """How good an avatar the video or photo has given, in figures and words. Errors: 401, 404, 416, 503."""
    return await _left_by_preparing(request, live, avatar_id, QUALITY, JSON)


ROUTES = [list_avatars, show_preview, show_quality]
