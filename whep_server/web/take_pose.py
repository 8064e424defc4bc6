"""Have a stream's figure take another pose: ``POST /streams/{stream}/pose``."""

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from whep_server.errors import BadRequest
from whep_server.web.bodies import HttpRequest, Upload
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.on_air import Config, Live
from whep_server.web.replies import json_reply

MAX_BYTES = 4 * 1024


class PoseRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which one: ``neutral``, ``listening`` or ``nodding``."""

    pose: str


class Posed(msgspec.Struct, frozen=True):
    """The pose that the figure goes over to, or is in, and those that it can take."""

    pose: str
    poses: list[str]


def parse_pose(body: bytes) -> str:
    """Errors: BadRequest, saying what is wrong."""
    try:
        return msgspec.json.decode(body, type=PoseRequest).pose
    except msgspec.DecodeError as error:  # ValidationError is one too
        raise BadRequest(f"not a pose to take: {error}") from None
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


@post(
    "/streams/{stream:str}/pose",
    status_code=200,
    opt=describe(Operation(STREAMS, body=PoseRequest, reply=Posed)),
)
async def take_pose(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """Go over to another pose, which takes a second, and stay in it, under speech, too.

    Errors: 400, 401, 404, 408, 409 (this avatar cannot be moved), 413, 422 (no such pose).
    """
    figure = live.stream(stream).figure
    figure.take(parse_pose(await Upload(request, limit=MAX_BYTES, stall_s=config.upload_stall_s).read()))
    return json_reply(request, Posed(figure.pose, list(figure.poses)))


ROUTES = [take_pose]
