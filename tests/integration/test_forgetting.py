"""What the server keeps of requests: next to nothing, however many different ones come."""

import secrets

import pytest_asyncio

from tests.integration.http_server import serving_app
from whep_server.app import create_app
from whep_server.settings import Settings
from whep_server.web.closing import Closing
from whep_server.web.forgetting import MOST_KEPT, caches

REQUESTS = 3 * MOST_KEPT + MOST_KEPT // 2


@pytest_asyncio.fixture
async def app_and_http(live):
    closing = Closing()
    settings = Settings(watch_token="secret")  # so that queries are looked at
    app = create_app(settings, live.open, closing)
    for cache in caches(app):  # others have left something in those that a process has once
        cache.cache_clear()
    async with serving_app(app, closing, settings) as http:
        yield app, http


async def test_no_path_and_no_query_is_kept_for_long(app_and_http):
    app, http = app_and_http
    most = 0
    for number in range(REQUESTS):
        reply = await http.get(f"/whep/demo/{secrets.token_urlsafe(24)}/events?token=wrong{number}")
        assert reply.status_code in (401, 404), reply.text
        kept = [cache.cache_info().currsize for cache in caches(app)]
        assert max(kept) <= MOST_KEPT
        most = max(most, sum(kept))
    assert most > 2 * MOST_KEPT  # of paths, what stands in them, and queries: the caches are those that are used


async def test_what_is_forgotten_is_read_again(app_and_http):
    _, http = app_and_http
    replies = [(await http.get("/streams/demo?token=secret")).json()["name"] for _ in range(2 * MOST_KEPT)]
    assert set(replies) == {"demo"}
