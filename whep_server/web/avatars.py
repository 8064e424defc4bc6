"""The avatars that can go on air."""

import msgspec
from litestar import route
from litestar.response.base import ASGIResponse

from avatar.messages import AvatarInfo
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import AVATARS, Operation, describe
from whep_server.web.on_air import Live
from whep_server.web.replies import READ, json_reply


class AvatarList(msgspec.Struct, frozen=True):
    """All avatars, with the sizes each can be shown at."""

    avatars: list[AvatarInfo]


@route("/avatars", http_method=READ, status_code=200, opt=describe(Operation(AVATARS, reply=AvatarList)))
async def list_avatars(request: HttpRequest, live: Live) -> ASGIResponse:
    """All avatars; empty while the worker is still starting."""
    return json_reply(request, AvatarList(list(live.avatars)))


ROUTES = [list_avatars]
