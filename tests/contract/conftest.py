"""The server that the contract is held against: ours, started here, or any other by its address.

pytest tests/contract --base-url http://HOST:8000 --avatar test_avatar
"""

import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx
import pytest

from tests.clients.server_process import running_server
from tests.contract.original_client import Client, Target

MAX_UPLOAD_BYTES = 2 * 1024 * 1024
PATIENCE_S = 60.0
OTHERS_PATIENCE_S = 600.0
"""MuseTalk on a busy card, which may have to load the avatar first."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("contract", "the original server's contract (tests/contract)")
    group.addoption("--base-url", default=None, help="judge the server at this address instead of ours")
    group.addoption("--avatar", default="nova", help="an avatar that is prepared there")
    group.addoption("--newest", action="store_true", help="that server is newer than the first with WebRTC sessions")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--base-url", default=None) is None:
        return
    for item in items:
        if item.get_closest_marker("improvement"):
            item.add_marker(pytest.mark.skip(reason="the original does not do that"))
        if item.get_closest_marker("later") and not config.getoption("--newest"):
            item.add_marker(pytest.mark.skip(reason="the original learned that later (--newest)"))


@pytest.fixture(scope="session")
def target(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """Our server takes small uploads only, so that one that is too large is no burden here."""
    base, avatar = request.config.getoption("--base-url"), request.config.getoption("--avatar")
    if base is not None:
        yield Target(base.rstrip("/"), avatar, ours=False, patience_s=OTHERS_PATIENCE_S)
        return
    with running_server(
        log_name="contract",
        demo_stream="",
        width="512",  # of those that the avatar has, the smallest
        height="512",
        avatars=str(tmp_path_factory.mktemp("avatars")),
        max_upload_bytes=str(MAX_UPLOAD_BYTES),
        max_video_bytes=str(MAX_UPLOAD_BYTES),
    ) as server:
        yield Target(server.base, avatar, ours=True, patience_s=PATIENCE_S)


@pytest.fixture
async def http(target: Target) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=target.base, timeout=target.patience_s, trust_env=False) as client:
        yield client


@pytest.fixture
def client(http: httpx.AsyncClient, target: Target) -> Client:
    return Client(http, target)


@pytest.fixture(scope="session")
def idle_listener(target: Target) -> Iterator[socket.socket]:
    """A connection that listens to a session in which nothing happens; what came waits in it, with its head."""
    with httpx.Client(base_url=target.base, trust_env=False, timeout=target.patience_s) as asking:
        made = asking.post("/sessions/create", params={"avatar_id": target.avatar})
    assert made.status_code == 200, made.text
    url = urlsplit(target.base)
    with socket.create_connection((url.hostname, url.port or 80)) as connection:
        path = f"/sessions/{made.json()['session_id']}/events"
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {url.netloc}\r\nAccept: text/event-stream\r\n\r\n".encode())
        yield connection


@pytest.fixture(scope="session", autouse=True)
def _listen_early(request: pytest.FixtureRequest) -> None:
    """So that a heartbeat has come by the time a test asks for it."""
    wanted = [item for item in request.session.items if "idle_listener" in getattr(item, "fixturenames", ())]
    if any(item.get_closest_marker("skip") is None for item in wanted):
        request.getfixturevalue("idle_listener")
