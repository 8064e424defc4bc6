"""A server of ours in the test's own event loop, on a real socket of 127.0.0.1."""

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from litestar import Litestar

from tests.clients.waiting import POLL_S, until
from whep_server.app import OpenRegistry, create_app
from whep_server.command.certificate import LiveCertificate, files_of
from whep_server.command.serve import address_of, listen, make_server
from whep_server.settings import Settings
from whep_server.web.closing import Closing

STALL_S = 0.4
"""An upload that stands still for so long is given up by the server under test."""

CORS_NAMES = {
    "access-control-allow-origin",
    "access-control-allow-methods",
    "access-control-allow-headers",
    "access-control-expose-headers",
    "access-control-max-age",
}


@asynccontextmanager
async def serving(settings: Settings, open_registry: OpenRegistry) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a running server; leaving the block ends the server as SIGTERM would."""
    closing = Closing()
    async with serving_app(create_app(settings, open_registry, closing), closing, settings) as client:
        yield client


@asynccontextmanager
async def serving_app(app: Litestar, closing: Closing, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The same, for who wants to look into the application."""
    files = files_of(settings)
    certificate = None if files is None else LiveCertificate(files)
    server = make_server(app, closing, settings, certificate=certificate)
    with listen("127.0.0.1", 0) as listener:
        base = address_of(listener, tls=certificate is not None)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(server.serve([listener]))
            await until(lambda: server.started or running.done(), 10, "server started")
            trusted = ssl.create_default_context()  # SSL_CERT_FILE names an authority of a test's own
            async with httpx.AsyncClient(base_url=base, timeout=10, trust_env=False, verify=trusted) as client:
                try:
                    yield client
                finally:
                    server.handle_exit(signal.SIGTERM, None)


async def until_answer(http: httpx.AsyncClient, path: str, wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """The first answer that is as wanted."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        response = await http.get(path)
        if wanted(response):
            return response
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"GET {path}: not as wanted: {response.status_code} {response.text}")


def assert_problem(response: httpx.Response, status: int) -> dict[str, object]:
    """RFC 9457 and our one more member; CORS; no cached errors to speak of."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.keys() >= CORS_NAMES
    body = response.json()
    assert body["status"] == status
    assert body["title"] and body["detail"] and body["error"] == body["detail"]
    assert "v=0\\r\\n" not in response.text  # no description inside
    return dict(body)
