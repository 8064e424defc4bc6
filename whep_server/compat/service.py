"""What the server says of itself: health, statistics, capabilities.

The original kept books on the memory of its one card. Here speech is made on the CPU: numbers about a card are 0, and
``gpu_available`` is false. Whether a request would be served is ``ok``, or the status, which is 503 otherwise.
"""

import os
import time
from typing import Final

import msgspec
from litestar import route
from litestar.response.base import ASGIResponse

from whep_server.compat.dialect import SERVICE, ok
from whep_server.compat.office import Compat, Office
from whep_server.compat.resources import Processes, processes
from whep_server.errors import Unavailable
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import Operation, describe
from whep_server.web.on_air import Config, Live
from whep_server.web.ops import unready
from whep_server.web.pages import PageSet, landing_page
from whep_server.web.replies import READ

MIB: Final = 1024 * 1024
NO_GPU: Final = "no GPU is in use: speech is made on the CPU"


class Root(msgspec.Struct, frozen=True):
    """What a program is told at the root, word for word as the original says it."""

    status: str = "healthy"
    service: str = "MuseTalk Real-Time API"
    version: str = "1.0.0"


class OriginalHealth(msgspec.Struct, frozen=True):
    """Speech would be served now."""

    cached_avatars: int
    active_requests: int
    ok: bool = True
    status: str = "healthy"
    service: str = "musetalk"
    gpu_available: bool = False


class Gpu(msgspec.Struct, frozen=True):
    """The book-keeping of a card's memory: there is none."""

    total_gb: float = 0.0
    reserved_gb: float = 0.0
    available_gb: float = 0.0
    current_usage_gb: float = 0.0
    free_gb: float = 0.0
    source: str = "none"


class CachedAvatar(msgspec.Struct, frozen=True):
    """An avatar in memory. What it takes there is not measured one by one."""

    id: str
    memory_mb: float
    load_count: int
    age_seconds: float


class Cache(msgspec.Struct, frozen=True):
    """Avatars in memory: those that are on air. ``total_memory_mb`` is the worker's, the most the machine's."""

    cached_avatars: int
    total_memory_mb: float
    max_memory_mb: float
    hit_rate: str
    hits: int
    misses: int
    evictions: int
    loads: int
    avatars: list[CachedAvatar]


class Statistics(msgspec.Struct, frozen=True):
    """Memory, avatars and requests."""

    gpu: Gpu
    cache: Cache
    active_requests: int
    total_requests: int
    processes: Processes


class GpuLive(msgspec.Struct, frozen=True):
    """What a card does now: there is none."""

    ts: float
    available: bool = False
    reason: str = NO_GPU


class Features(msgspec.Struct, frozen=True):
    """Which there are; the last two are ours."""

    pose_sets_v1: bool = False
    pose_plans_v2: bool = False
    timestamp_locked_av_sync: bool = True
    local_kokoro_tts: bool = False
    whep: bool = True
    whip: bool = True


class Capabilities(msgspec.Struct, frozen=True):
    """What newer clients ask before they use it."""

    service: str = "musetalk"
    features: Features = Features()
    webrtc_av_sync: str = "timestamp_locked"
    pose_protocol: str | None = None


def prefers_html(request: HttpRequest) -> bool:
    """Whether a person's browser asks; a program that takes anything gets JSON."""
    try:
        return request.accept.best_match(["application/json", "text/html"]) == "text/html"
    except OverflowError:  # the framework reads q=1e999 as an infinite number
        return False


@route("/", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Root)))
async def root(request: HttpRequest, live: Live, config: Config, pages: PageSet) -> ASGIResponse:
    """A browser gets the page that shows what is on air, a program the original's greeting."""
    if prefers_html(request):
        return landing_page(request, live, config, pages)
    return ok(request, Root(), {"Vary": "Accept"})


@route("/health", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=OriginalHealth)))
async def health(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Whether speech would be served now. Errors: 503 with the reasons."""
    if reasons := unready(compat.live, config.demo_stream):
        raise Unavailable("; ".join(reasons))
    return ok(request, OriginalHealth(len(cached_avatars(compat)), len(compat.requests.active)))


def cached_avatars(office: Office) -> list[CachedAvatar]:
    """The avatars that are on air, by name."""
    ages: dict[str, float] = {}
    for stream in office.live.streams():
        ages[stream.avatar] = max(ages.get(stream.avatar, 0.0), stream.on_air_s)
    loads = office.sessions.uses.loads
    return [CachedAvatar(name, 0.0, max(1, loads[name]), round(age, 3)) for name, age in sorted(ages.items())]


def cache_of(office: Office) -> Cache:
    """The avatars in memory and how often they were found there."""
    uses, avatars = office.sessions.uses, cached_avatars(office)
    asked = uses.hits + uses.misses
    return Cache(
        cached_avatars=len(avatars),
        total_memory_mb=round(office.live.worker_facts.rss_bytes / MIB, 1),
        max_memory_mb=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / MIB, 1),
        hit_rate=f"{100 * uses.hits / asked if asked else 0:.2f}%",
        hits=uses.hits,
        misses=uses.misses,
        evictions=uses.evictions,
        loads=uses.loads.total(),
        avatars=avatars,
    )


@route("/stats", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Statistics)))
async def statistics(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Memory, avatars, requests. Errors: 401."""
    requests = compat.requests
    taken = processes(compat.live.worker_facts)
    return ok(request, Statistics(Gpu(), cache_of(compat), len(requests.active), requests.total, taken))


@route("/stats/cache", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Cache)))
async def cache_statistics(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Avatars in memory. Errors: 401."""
    return ok(request, cache_of(compat))


@route("/stats/gpu-live", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=GpuLive)))
async def gpu_now(request: HttpRequest, config: Config) -> ASGIResponse:
    """That there is no card. Errors: 401."""
    return ok(request, GpuLive(time.time()))


@route("/capabilities", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Capabilities)))
async def capabilities(request: HttpRequest) -> ASGIResponse:
    """What there is of what the original learned later."""
    return ok(request, Capabilities())


ROUTES = [root, health, statistics, cache_statistics, gpu_now, capabilities]
