"""A server above a fake live layer, one for all tests of a module, that speech is streamed into."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx

from tests.clients.waiting import until
from tests.fake_live import FakeRegistry, FakeStream
from tests.fake_pcm import FakePcmSpeech
from tests.integration.http_server import STALL_S, serving
from whep_server.settings import Settings


@dataclass(frozen=True)
class PcmServer:
    http: httpx.AsyncClient
    registry: FakeRegistry

    @property
    def base(self) -> str:
        return str(self.http.base_url)

    def anew(self) -> FakeStream:
        """``demo`` as if nothing had happened."""
        self.registry.by_name["demo"] = FakeStream("demo")
        return self.registry.by_name["demo"]


@asynccontextmanager
async def pcm_serving(**settings: object) -> AsyncIterator[PcmServer]:
    registry = FakeRegistry()
    given = Settings(**{"max_upload_bytes": 256 * 1024, "upload_stall_s": STALL_S, **settings})  # type: ignore[arg-type]
    async with serving(given, registry.open) as http:
        yield PcmServer(http, registry)


async def heard(speech: FakePcmSpeech, size: int) -> None:
    """Until so much was handed on."""
    await until(lambda: len(speech.heard) >= size, 5, f"{size} bytes handed on")


def samples(size: int) -> bytes:
    """Some that are told apart."""
    return bytes(index * 7 % 251 for index in range(size))
