"""What the routes of this package share: sessions, and a task group for work that outlives a request."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from whep_server.compat.lifetimes import Requests, Sessions
from whep_server.compat.warming import Warmups
from whep_server.settings import Settings
from whep_server.web.on_air import Registry


@dataclass(frozen=True, slots=True)
class Office:
    """See the module."""

    live: Registry
    settings: Settings
    sessions: Sessions
    warmups: Warmups
    group: asyncio.TaskGroup

    @property
    def requests(self) -> Requests:
        """Requests to speak; whoever speaks without a session says here when it begins and ends."""
        return self.sessions.requests


@asynccontextmanager
async def open_office(live: Registry, settings: Settings) -> AsyncIterator[Office]:
    """Leaving the block ends all that was begun."""
    sessions = Sessions(live, settings)
    async with asyncio.TaskGroup() as group:
        owned: list[asyncio.Task[None]] = [group.create_task(sessions.run(), name="compat-sweeper")]
        try:
            yield Office(live, settings, sessions, Warmups(live), group)
        finally:
            for task in owned:
                task.cancel()


Compat = NamedDependency[SkipValidation[Office]]
"""The office, as a handler's argument."""
