"""Who may stream speech in, and what the others are told: the same as on every other route."""

import base64
import json
import logging
from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.clients.pcm_socket import PROTOCOL, pcm_socket
from tests.integration.http_server import CORS_NAMES, assert_problem
from tests.integration.pcm_server import PcmServer, pcm_serving

pytestmark = pytest.mark.asyncio(loop_scope="module")
TOKEN = "to-publish?>>~~"
OFFERED = "bearer." + base64.urlsafe_b64encode(TOKEN.encode()).decode().rstrip("=")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded() -> AsyncIterator[PcmServer]:
    async with pcm_serving(publish_token=TOKEN, watch_token="to watch") as running:
        yield running


async def refusal(server: PcmServer, path: str = "/streams/demo/pcm", **options: object) -> tuple[int, dict]:
    """The status and the body that a client gets which asks for a WebSocket."""
    url = server.base.replace("http", "ws").rstrip("/") + path
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, **options):  # type: ignore[arg-type]
            pass
    response = refused.value.response
    assert response.headers["content-type"] == "application/problem+json"
    assert {name.lower() for name in response.headers} >= CORS_NAMES
    body = json.loads(response.body or b"")
    assert body["status"] == response.status_code and body["detail"]
    return response.status_code, {**body, "challenge": response.headers.get("www-authenticate")}


async def test_a_wrong_token_or_none_is_refused_before_there_is_a_connection(guarded, caplog):
    for options in (
        {},
        {"additional_headers": {"Authorization": "Bearer wrong"}},
        {"subprotocols": [PROTOCOL, "bearer.d3Jvbmc"]},
        {"subprotocols": [PROTOCOL, "bearer.!"]},
    ):
        status, body = await refusal(guarded, **options)
        assert status == 401 and body["challenge"].startswith("Bearer ")
        assert TOKEN not in body["detail"]
    assert (await refusal(guarded, "/streams/demo/pcm?token=wrong"))[0] == 401
    watcher = await refusal(guarded, additional_headers={"Authorization": "Bearer to watch"})
    assert watcher[0] == 403 and "insufficient_scope" in str(watcher[1]["challenge"])
    assert_problem(await guarded.http.get("/streams/demo/pcm"), 401)
    assert_problem(await guarded.http.post("/streams/demo/pcm?sample_rate=24000", content=b"\0\0"), 401)
    assert_problem(await guarded.http.post("/streams/demo/interrupt"), 401)
    assert guarded.registry.stream("demo").pcm.made == []
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_the_token_in_a_header_among_the_subprotocols_or_in_the_query(guarded):
    for options in (
        {"additional_headers": {"Authorization": f"Bearer {TOKEN}"}},
        {"subprotocols": [PROTOCOL, OFFERED]},
        {"subprotocols": [OFFERED, PROTOCOL]},
    ):
        async with pcm_socket(guarded.base, **options) as socket:
            assert (await socket.begin())["credit"]
            assert socket.socket.subprotocol == PROTOCOL  # never the token
    url = f"{guarded.base.replace('http', 'ws').rstrip('/')}/streams/demo/pcm"
    async with connect(f"{url}?token={quote(TOKEN)}") as plain:
        assert json.loads(await plain.recv())["type"] == "ready"
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert (await guarded.http.post("/streams/demo/interrupt", headers=header)).status_code == 200


async def test_what_is_not_there(pcm_server):
    status, body = await refusal(pcm_server, "/streams/nobody/pcm")
    assert (status, body["title"]) == (404, "Not on air")
    for path in ("/streams/demo/pmc", "/", "/whep/demo", "/streams/demo/events"):
        assert (await refusal(pcm_server, path))[0] == 404
    assert_problem(await pcm_server.http.get("/streams/nobody/pcm"), 404)


async def test_connections_and_refusals_are_counted_by_route(pcm_server):
    await refusal(pcm_server, "/streams/nobody/pcm")
    async with pcm_socket(pcm_server.base):
        text = (await pcm_server.http.get("/metrics")).text
    counted = [line for line in text.splitlines() if 'route="/streams/{stream}/pcm"' in line]
    assert any('"1xx"' in line for line in counted) and any('"4xx"' in line for line in counted), text


async def test_a_plain_request_is_told_to_upgrade(pcm_server):
    response = await pcm_server.http.get("/streams/demo/pcm")
    assert_problem(response, 426)
    assert response.headers["upgrade"] == "websocket"
    assert (await pcm_server.http.head("/streams/demo/pcm")).status_code == 426


async def test_another_subprotocol_is_refused_in_words(pcm_server):
    status, body = await refusal(pcm_server, subprotocols=["whep-avatar.pcm.v2", "bearer.eA"])
    assert status == 400 and PROTOCOL in body["detail"]
    async with pcm_socket(pcm_server.base, subprotocols=None) as socket:
        assert socket.socket.subprotocol is None


async def test_a_preflight_is_answered_for_the_bodies_that_pages_send(pcm_server):
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "POST"}
    for path in ("/streams/demo/pcm", "/streams/demo/interrupt"):
        response = await pcm_server.http.request("OPTIONS", path, headers=asked)
        assert response.status_code == 204 and "POST" in response.headers["allow"]
        assert response.headers["access-control-allow-origin"] == "*"


async def test_pages_of_any_origin_may_connect(pcm_server, voice):
    async with pcm_socket(pcm_server.base, origin="https://page.example") as socket:
        assert (await socket.begin())["utterance"] == "u1"
