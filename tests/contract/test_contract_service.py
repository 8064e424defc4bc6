"""What the server says of itself, who may ask it from where, and how it refuses."""

import re
from typing import Final

import pytest

from tests.contract.field_types import NUMBER, assert_refused, assert_success
from tests.contract.original_client import SSE

CACHED: Final = {"id": str, "memory_mb": NUMBER, "load_count": int, "age_seconds": NUMBER}
CACHE: Final = {
    "cached_avatars": int,
    "total_memory_mb": NUMBER,
    "max_memory_mb": NUMBER,
    "hit_rate": re.compile(r"\d+\.\d\d%"),
    "hits": int,
    "misses": int,
    "evictions": int,
    "loads": int,
    "avatars": [CACHED],
    ...: ...,
}
GPU: Final = {"total_gb": NUMBER, "available_gb": NUMBER, "current_usage_gb": NUMBER, "free_gb": NUMBER, ...: ...}
ORIGIN: Final = "https://app.example"


async def test_the_root_says_healthy(http):
    assert_success(await http.get("/"), {"status": "healthy", "service": "MuseTalk Real-Time API", "version": "1.0.0"})


@pytest.mark.improvement
async def test_a_browser_gets_a_page_at_the_root(http):
    answer = await http.get("/", headers={"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"})
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html")


async def test_health(http):
    shape = {"status": "healthy", "gpu_available": bool, "cached_avatars": int, "active_requests": int, ...: ...}
    assert_success(await http.get("/health"), shape)


async def test_statistics(http):
    assert_success(
        await http.get("/stats"), {"gpu": GPU, "cache": CACHE, "active_requests": int, "total_requests": int, ...: ...}
    )


async def test_statistics_of_the_cache_alone(http):
    assert_success(await http.get("/stats/cache"), CACHE)


@pytest.mark.later
async def test_capabilities(http):
    features = dict.fromkeys(("pose_sets_v1", "pose_plans_v2", "timestamp_locked_av_sync", "local_kokoro_tts"), bool)
    shape = {"service": str, "features": {**features, ...: ...}, ...: ...}
    assert_success(await http.get("/capabilities"), shape)


async def test_the_interface_is_described(http):
    page = await http.get("/docs")
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    described = (await http.get("/openapi.json")).json()
    wanted = {"/health", "/stats", "/avatars/list", "/generate", "/sessions/create", "/webrtc/sessions/create"}
    assert wanted <= described["paths"].keys()


@pytest.mark.parametrize("path", ["/", "/avatars/list", "/sessions/stats"])
async def test_pages_of_any_origin_may_ask(http, path):
    answer = await http.get(path, headers={"Origin": ORIGIN})
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)


async def test_pages_of_any_origin_may_read_errors(http):
    answer = await http.get(f"{SSE}/{'x' * 22}/status", headers={"Origin": ORIGIN})
    assert_refused(answer, 404)
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/sessions/create"),
        ("POST", f"/sessions/{'x' * 22}/stream"),
        ("DELETE", f"/sessions/{'x' * 22}"),
        ("POST", f"/webrtc/sessions/{'x' * 22}/offer"),
        ("POST", f"/webrtc/sessions/{'x' * 22}/ice"),
        ("POST", "/generate/stream"),
        ("POST", "/avatars/prepare"),
        ("DELETE", "/avatars/somebody"),
    ],
)
async def test_browsers_asking_beforehand_are_told_they_may(http, method, path):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": method}
    answer = await http.options(path, headers=headers | {"Access-Control-Request-Headers": "content-type"})
    assert answer.status_code in (200, 204), answer.text
    assert answer.headers["access-control-allow-origin"] in ("*", ORIGIN)
    methods, names = answer.headers["access-control-allow-methods"], answer.headers["access-control-allow-headers"]
    assert methods == "*" or method in re.split(r",\s*", methods)
    assert names == "*" or "content-type" in re.split(r",\s*", names.lower())
