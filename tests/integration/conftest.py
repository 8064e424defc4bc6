"""What the tests share: a real server on loopback, one in a network of its own, and HTTP above a fake live layer."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.clients.namespace import Namespace, network_namespace, server_inside
from tests.clients.pcm_socket import PcmSocket, pcm_socket
from tests.clients.server_process import START_S, Server, running_server
from tests.clients.visit import Visit, visiting, visitors_browser
from tests.clients.waiting import until_now
from tests.fake_live import FakeRegistry
from tests.fake_pcm import FakePcmVoice
from tests.integration.http_server import STALL_S, serving
from tests.integration.pcm_server import PcmServer, pcm_serving
from whep_server.settings import Settings


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server with its worker and ``demo`` on air in both codecs."""
    with running_server() as running:
        until_now(lambda: {"H264", "VP8"} <= set(running.codecs()), START_S, "idle loop in both codecs")
        yield running


@pytest.fixture(scope="session")
def isolated(server: Server) -> Iterator[Namespace]:
    """A namespace with a server in it; ``server`` comes first because it has filled the cache of idle loops."""
    with network_namespace() as space, server_inside(space):
        yield space


@pytest.fixture
def live() -> FakeRegistry:
    return FakeRegistry()


@pytest.fixture
def settings() -> Settings:
    return Settings(max_upload_bytes=64 * 1024, max_sdp_bytes=4096, upload_stall_s=STALL_S)


@pytest.fixture
async def http(live: FakeRegistry, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings, live.open) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pcm_server() -> AsyncIterator[PcmServer]:
    """One for all tests of a module, which run in its event loop."""
    async with pcm_serving() as running:
        yield running


@pytest.fixture
def voice(pcm_server: PcmServer) -> FakePcmVoice:
    """What is streamed into ``demo`` of that server; nothing yet."""
    return pcm_server.anew().pcm


@pytest_asyncio.fixture(loop_scope="module")
async def socket(pcm_server: PcmServer, voice: FakePcmVoice) -> AsyncIterator[PcmSocket]:
    """A connection to it."""
    async with pcm_socket(pcm_server.base) as client:
        yield client


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def visitors() -> AsyncIterator[Browser]:
    """One browser for all visits; a test that uses it runs in the session's event loop."""
    async with visitors_browser() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def visit(visitors: Browser, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visit]:
    async with visiting(monkeypatch, visitors) as begun:
        yield begun
