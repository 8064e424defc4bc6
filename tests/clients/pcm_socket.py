"""A client of ``WS /streams/{stream}/pcm``: says what a test has it say, and keeps what it is told."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection, connect

PROTOCOL = "whep-avatar.pcm.v1"
DEADLINE_S = 10.0


class PcmSocket:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.told: list[dict] = []

    async def say(self, kind: str, **members: object) -> None:
        await self.socket.send(json.dumps({"type": kind, **members}))

    async def samples(self, data: bytes) -> None:
        await self.socket.send(data)

    async def event(self) -> dict:
        """The next one."""
        async with asyncio.timeout(DEADLINE_S):
            self.told.append(json.loads(await self.socket.recv()))
        return self.told[-1]

    async def until(self, kind: str) -> dict:
        """The next one of a kind; those before it are in ``told``."""
        while (event := await self.event())["type"] != kind:
            pass
        return event

    async def begin(self, sample_rate: int = 24_000, **members: object) -> dict:
        await self.say("begin", sample_rate=sample_rate, **members)
        return await self.until("begun")

    async def error(self) -> str:
        """The name of the next error, which says what was wrong in words, too."""
        event = await self.until("error")
        assert event["detail"]
        return str(event["error"])


@asynccontextmanager
async def pcm_socket(base: str, stream: str = "demo", **options: object) -> AsyncIterator[PcmSocket]:
    """Connected, and told so. ``base`` is the server's HTTP address."""
    url = f"{base.replace('http', 'ws', 1).rstrip('/')}/streams/{stream}/pcm"
    async with connect(url, **{"subprotocols": [PROTOCOL], **options}) as socket:  # type: ignore[arg-type]
        client = PcmSocket(socket)
        assert (await client.event())["type"] == "ready"
        yield client
