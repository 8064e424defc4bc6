"""What the server says of itself: health, statistics, capabilities.

The original kept books on the memory of its one card. Here speech is made on the CPU: numbers about a card are 0, and
``gpu_available`` is false. Whether a request would be served is ``ok``, or the status, which is 503 otherwise.
"""

import time
from collections import Counter
from typing import Final

import msgspec
from litestar import route
from litestar.response.base import ASGIResponse

from whep_server.compat.dialect import SERVICE, ok
from whep_server.compat.office import Compat
from whep_server.compat.resources import Processes, processes
from whep_server.errors import Unavailable
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import Operation, describe
from whep_server.web.on_air import Config, Live, Registry
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
    """An avatar in memory, all its sizes together. ``age_seconds``: for how long it has been on air."""

    id: str
    memory_mb: float
    load_count: int
    age_seconds: float


class Cache(msgspec.Struct, frozen=True):
    """Avatars in memory, and what they may take there (``avatar_memory_mb``). Counted since the worker's start."""

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
    return ok(request, OriginalHealth(len(cached_avatars(compat.live)), len(compat.requests.active)))


def cached_avatars(live: Registry) -> list[CachedAvatar]:
    """The avatars in memory, by name."""
    ages: dict[str, float] = {}
    for stream in live.streams():
        ages[stream.avatar] = max(ages.get(stream.avatar, 0.0), stream.on_air_s)
    sizes: Counter[str] = Counter()
    loads: Counter[str] = Counter()
    for each in live.worker_facts.avatars.held:
        sizes[each.name] += each.held_bytes
        loads[each.name] += each.loads
    return [CachedAvatar(name, _mib(sizes[name]), loads[name], round(ages.get(name, 0.0), 3)) for name in sorted(sizes)]


def cache_of(live: Registry) -> Cache:
    """The avatars in memory and how often they were found there."""
    memory, avatars = live.worker_facts.avatars, cached_avatars(live)
    asked = memory.hits + memory.misses
    return Cache(
        cached_avatars=len(avatars),
        total_memory_mb=_mib(sum(each.held_bytes for each in memory.held)),
        max_memory_mb=_mib(memory.most_bytes),
        hit_rate=f"{100 * memory.hits / asked if asked else 0:.2f}%",
        hits=memory.hits,
        misses=memory.misses,
        evictions=memory.evictions,
        loads=memory.misses,
        avatars=avatars,
    )


def _mib(taken_bytes: int) -> float:
    return round(taken_bytes / MIB, 1)


@route("/stats", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Statistics)))
async def statistics(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Memory, avatars, requests. Errors: 401."""
    requests = compat.requests
    taken = processes(compat.live.worker_facts)
    return ok(request, Statistics(Gpu(), cache_of(compat.live), len(requests.active), requests.total, taken))


@route("/stats/cache", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Cache)))
async def cache_statistics(request: HttpRequest, compat: Compat, config: Config) -> ASGIResponse:
    """Avatars in memory. Errors: 401."""
    return ok(request, cache_of(compat.live))


@route("/stats/gpu-live", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=GpuLive)))
async def gpu_now(request: HttpRequest, config: Config) -> ASGIResponse:
    """That there is no card. Errors: 401."""
    return ok(request, GpuLive(time.time()))


@route("/capabilities", http_method=READ, status_code=200, opt=describe(Operation(SERVICE, reply=Capabilities)))
async def capabilities(request: HttpRequest) -> ASGIResponse:
    """What there is of what the original learned later."""
    return ok(request, Capabilities())


ROUTES = [root, health, statistics, cache_statistics, gpu_now, capabilities]
