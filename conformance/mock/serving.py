"""The mock on a real port of loopback, in this process and loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

import uvicorn

from conformance.mock.http import Application, Handler

STOP_S: Final = 1
"""Time that open requests have when the server ends."""


class _Server(uvicorn.Server):
    """A server that leaves the process's signals alone: it is a guest in somebody's loop."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(handler: Handler, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The handler served for the length of the block; the address, as in ``http://127.0.0.1:4711``."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    config = uvicorn.Config(
        Application(handler),
        log_level="error",
        lifespan="off",
        server_header=False,
        http="h11",
        loop="none",
        timeout_graceful_shutdown=STOP_S,
    )
    server = _Server(config)
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve([listener]), name="mock-server")
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
