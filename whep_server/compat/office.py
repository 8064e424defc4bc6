"""What the routes of this package share: sessions, files made of speech, a task group for what outlives a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from whep_server.compat.chunks import ChunkStore
from whep_server.compat.films import Films
from whep_server.compat.forms import UPLOADS, forget_leftovers
from whep_server.compat.lifetimes import Requests, Sessions
from whep_server.compat.warming import Warmups
from whep_server.settings import Settings
from whep_server.web.on_air import Registry
from whep_server.web.tasks import ended_with_block


@dataclass(frozen=True, slots=True)
class Office:
    """See the module."""

    live: Registry
    settings: Settings
    sessions: Sessions
    warmups: Warmups
    chunks: ChunkStore
    films: Films
    group: asyncio.TaskGroup
    """What is begun in it ends with the office."""

    @property
    def requests(self) -> Requests:
        """Requests to speak; whoever speaks without a session says here when it begins and ends."""
        return self.sessions.requests


@asynccontextmanager
async def open_office(live: Registry, settings: Settings) -> AsyncIterator[Office]:
    """Leaving the block ends all that was begun."""
    sessions = Sessions(live, settings)
    chunks = ChunkStore(
        settings.cache / "chunks",
        kept_s=settings.chunk_ttl_s,
        most_bytes=settings.max_store_bytes,
        active=sessions.requests.active,
    )
    films = Films(chunks, settings.chunk_ttl_s)
    await asyncio.to_thread(forget_leftovers, settings.cache / UPLOADS)
    async with ended_with_block() as group:
        group.create_task(sessions.run(), name="compat-sweeper")
        group.create_task(chunks.run(), name="compat-chunks-sweeper")
        yield Office(live, settings, sessions, Warmups(live), chunks, films, group)


Compat = NamedDependency[SkipValidation[Office]]
"""The office, as a handler's argument."""
