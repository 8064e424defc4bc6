"""Loading an avatar before anybody wants to see it: it goes on air where nobody looks until its idle loop is there.

What is made then is kept on disk, so that the first session of that kind begins at once.
"""

import asyncio
import logging
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from avatar.messages import VideoFormat
from whep_server.compat.dialect import new_id
from whep_server.errors import NotOnAir, ServerError
from whep_server.web.on_air import Registry, Stream

logger = logging.getLogger(__name__)

GIVEN_UP_S: Final = 180.0
"""An idle loop takes some seconds; on a busy machine, when others are before it, a minute."""


class Warmth(StrEnum):
    """How far it is, in the original's words."""

    QUEUED = "queued"
    LOADING = "loading_into_memory"
    READY = "ready"
    FAILED = "failed"


@dataclass(slots=True, eq=False)
class Warmup:
    """One avatar being loaded. Units: seconds since 1970."""

    avatar: str
    video: VideoFormat
    batch_size: int
    request_id: str = field(default_factory=lambda: new_id("warm_"))
    status: Warmth = Warmth.QUEUED
    submitted_at: float = field(default_factory=time.time)
    started_at: float | None = None
    updated_at: float = field(default_factory=time.time)
    completed_at: float | None = None
    error: str | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, status: Warmth, error: str | None = None) -> None:
        """It has come so far."""
        self.status, self.updated_at, self.error = status, time.time(), error
        if status is Warmth.LOADING:
            self.started_at = self.updated_at
        else:
            self.completed_at = self.updated_at
            self.over.set()


class Warmups:
    """The newest of each avatar."""

    def __init__(self, live: Registry) -> None:
        self._live = live
        self._newest: dict[str, Warmup] = {}

    def newest(self, avatar: str) -> Warmup | None:
        """The last one that was asked for."""
        return self._newest.get(avatar)

    def forget(self, avatar: str) -> None:
        """It was taken out of memory."""
        self._newest.pop(avatar, None)

    def begin(self, group: asyncio.TaskGroup, avatar: str, video: VideoFormat, batch_size: int) -> Warmup:
        """Begin to load an avatar, in a task of ``group``."""
        warmup = self._newest[avatar] = Warmup(avatar, video, batch_size)
        group.create_task(self._load(warmup), name="warm-up")
        return warmup

    async def _load(self, warmup: Warmup) -> None:
        name = secrets.token_urlsafe(16)
        warmup.step(Warmth.LOADING)
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                stream = await self._live.put_on_air(name, warmup.avatar, warmup.video, listed=False)
                await _until_shown(stream)
            warmup.step(Warmth.READY)
        except ServerError as error:
            warmup.step(Warmth.FAILED, error.detail)
        except TimeoutError:
            warmup.step(Warmth.FAILED, f"not there after {GIVEN_UP_S:g} s")
        except Exception:  # ends this warm-up, not the group that its task is in
            logger.exception("an avatar could not be loaded")
            warmup.step(Warmth.FAILED, "Internal Server Error")
        finally:
            await self._take_off(name)

    async def _take_off(self, name: str) -> None:
        try:
            await self._live.take_off_air(name)
        except (NotOnAir, TimeoutError):
            return


async def _until_shown(stream: Stream) -> None:
    with stream.listen() as events:
        async for event in events:  # the first of them says how things stand
            if event.kind == "state" and event.data["state"] != "preparing":
                return
