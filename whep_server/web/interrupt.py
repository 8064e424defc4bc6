"""Have a stream fall silent: ``POST /streams/{stream}/interrupt``."""

import msgspec
from litestar import post
from litestar.params import FromPath
from litestar.response.base import ASGIResponse

from avatar.messages import AUDIO_HZ
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import STREAMS, Operation, describe
from whep_server.web.on_air import Config, Interruption, Live
from whep_server.web.replies import json_reply


class Silenced(msgspec.Struct, frozen=True):
    """What an interruption did: what was cut off, how much of it was played, and what will not be spoken."""

    utterance: str | None
    played_samples: int
    """Units: 48 kHz."""
    played_s: float
    dropped: list[str]


def silenced(done: Interruption) -> Silenced:
    """As the API shows it."""
    played_s = round(done.played_samples / AUDIO_HZ, 3)
    return Silenced(done.utterance, done.played_samples, played_s, list(done.dropped))


@post("/streams/{stream:str}/interrupt", status_code=200, opt=describe(Operation(STREAMS, reply=Silenced)))
async def interrupt(stream: FromPath[str], request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """Fall silent now, the mouth easing shut, and drop what waits to be spoken; the stream goes on, idle.

    Errors: 401, 404, 503.
    """
    return json_reply(request, silenced(await live.stream(stream).interrupt()))


ROUTES = [interrupt]
