"""Whether the server lives, whether it can serve, and what it measures."""

from typing import Final

import msgspec
from litestar import route
from litestar.di import NamedDependency
from litestar.params import SkipValidation
from litestar.response.base import ASGIResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from whep_server.errors import Unavailable
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import OPERATIONS, Operation, describe
from whep_server.web.on_air import Config, Live, Registry
from whep_server.web.replies import READ, json_reply, reply

TEXT: Final = "text/plain"
Scrape = NamedDependency[SkipValidation[CollectorRegistry]]
"""What the page is made of, as a handler's argument."""


class Health(msgspec.Struct, frozen=True):
    """The body of both probes when all is well."""

    status: str = "ok"


def unready(live: Registry, demo: str) -> list[str]:
    """Why speech could not be spoken now; empty when it could."""
    preparing = [stream for stream in live.streams() if stream.listed and stream.state == "preparing"]
    reasons = [f"stream {stream.name} is preparing" for stream in preparing]
    if demo and demo not in {stream.name for stream in live.streams()}:
        reasons.append(f"stream {demo} is not on air yet")
    if not live.ready and not reasons:
        reasons.append("the worker is not ready")
    return [] if live.ready else reasons


@route("/healthz", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=Health)))
async def healthz(request: HttpRequest) -> ASGIResponse:
    """200 as long as the event loop runs."""
    return json_reply(request, Health())


@route("/readyz", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=Health)))
async def readyz(request: HttpRequest, live: Live, config: Config) -> ASGIResponse:
    """200 when a viewer would see a face that can speak. Errors: 503 with the reasons, or as it is to end."""
    live.check_open()
    if reasons := unready(live, config.demo_stream):
        raise Unavailable("; ".join(reasons), retry_after_s=1)
    return json_reply(request, Health("ready"))


@route("/metrics", http_method=READ, status_code=200, opt=describe(Operation(OPERATIONS, reply=TEXT)))
async def metrics(request: HttpRequest, config: Config, scrape: Scrape) -> ASGIResponse:
    """What the server measures, for Prometheus: its text format, or OpenMetrics where that is asked for.

    Errors: 401 without the token for publishing, where there is one.
    """
    encode, media_type = choose_encoder(request.headers.get("accept", ""))
    return reply(request, encode(scrape), media_type, headers=[("Cache-Control", "no-store")])


ROUTES = [healthz, readyz, metrics]
