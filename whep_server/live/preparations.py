"""Avatars in the making: each is a job, from the order to the worker until what came of it, and remembered for a while.

A job goes on whoever asked for it and left. No clock but for what is told of times, and no task: what the worker says
moves it on.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from avatar.client import Worker, WorkerGone
from avatar.messages import (
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    AvatarStep,
    CancelAvatar,
    PrepareAvatar,
    Quality,
)
from whep_server.errors import (
    AvatarKept,
    BeingEnded,
    Conflict,
    NoSuchAvatar,
    NoSuchPreparation,
    NotAvatarVideo,
    ServerError,
    TooMany,
    Unavailable,
    WorkerLost,
)
from whep_server.live.telling import tell
from whep_server.metrics.ledger import Ledger

logger = logging.getLogger(__name__)

PREPARE_S: Final = 4275.0
"""Longest wait for one, and for each that is before it: the worker gives each up after ten minutes, and after an hour
more where MuseTalk's networks are to see every picture."""
KEPT: Final = 64
"""Jobs that are over and can still be asked about."""
CANCEL_S: Final = 5.0
"""Killing a process and deleting what it has made take a moment."""
RETRY_S: Final = 60
"""A preparation takes half a minute for 10 s of video."""
WAITING: Final = "waiting for its turn"

ERRORS: Final[dict[AvatarRefusal, type[ServerError]]] = {
    AvatarRefusal.VIDEO: NotAvatarVideo,
    AvatarRefusal.KEPT: AvatarKept,
    AvatarRefusal.UNKNOWN: NoSuchAvatar,
    AvatarRefusal.TROUBLE: Unavailable,
    AvatarRefusal.CANCELLED: Conflict,
}


class Making(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    PREPARING = "preparing"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"


OVER: Final = (Making.READY, Making.FAILED, Making.CANCELLED)


@dataclass(frozen=True, slots=True)
class WantedAvatar:
    """What somebody wants made."""

    name: str
    video: Path
    """On this machine; read until the job is over. Its name counts for nothing."""
    title: str = ""
    replace: bool = False
    """Make it anew where there is one of that name."""
    engine: str = "viseme"
    landmarks: Path | None = None
    """Where the face is, from who knows better than the preparation; as the video."""


@dataclass(slots=True, eq=False)
class Preparation:
    """One job. Units: seconds since 1970."""

    job: str
    avatar: str
    engine: str
    state: Making = Making.QUEUED
    stage: str = WAITING
    """What is being done, in words."""
    done: float = 0.0
    """0 to 1, of all."""
    notes: Sequence[str] = ()
    """What was left out, in words."""
    quality: Quality | None = None
    """What was found in the video, once it is made."""
    fault: ServerError | None = None
    """Why there is no avatar."""
    submitted_at: float = field(default_factory=time.time)
    started_at: float | None = None
    updated_at: float = field(default_factory=time.time)
    completed_at: float | None = None
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self, stage: str, done: float) -> None:
        """It has come so far; it never goes back."""
        self.updated_at = time.time()
        if self.state is Making.QUEUED:
            self.state, self.started_at = Making.PREPARING, self.updated_at
        self.stage, self.done = stage, max(self.done, min(1.0, done))

    def end(self, state: Making, fault: ServerError | None = None) -> None:
        """That came of it."""
        self.state, self.fault = state, fault
        self.updated_at = self.completed_at = time.time()
        if state is Making.READY:
            self.stage, self.done = state.value, 1.0
        self.over.set()

    @property
    def took_s(self) -> float:
        """From when its turn came until it was over."""
        if self.started_at is None or self.completed_at is None:
            return 0.0
        return max(0.0, self.completed_at - self.started_at)


class Preparations:
    """All jobs, oldest first. The worker makes one after another; of those that are over the last ones are kept."""

    def __init__(self, most: int, ledger: Ledger) -> None:
        """``most``: so many may be in the making, those that wait included."""
        self.worker: Worker
        """Who makes them; set before anything is asked for."""
        self._most, self._ledger = most, ledger
        self._jobs: dict[str, Preparation] = {}
        self._ending = False

    def all(self) -> list[Preparation]:
        """As they were asked for."""
        return list(self._jobs.values())

    def find(self, job: str) -> Preparation:
        """Errors: NoSuchPreparation."""
        try:
            return self._jobs[job]
        except KeyError:
            raise NoSuchPreparation("no such preparation, or it is long over") from None

    @property
    def unfinished(self) -> list[Preparation]:
        """Those that are being made, or wait for it."""
        return [each for each in self._jobs.values() if each.state not in OVER]

    def counts(self) -> Mapping[str, int]:
        """How many of them there are, by state."""
        return Counter(each.state.value for each in self.unfinished)

    def is_making(self, avatar: str) -> bool:
        """Whether an avatar of that name is, or waits for it."""
        return any(each.avatar == avatar for each in self.unfinished)

    def check_room(self) -> None:
        """For who is about to send a video. Errors: TooMany."""
        if len(self.unfinished) >= self._most:
            raise TooMany(f"{self._most} avatars are being made already", retry_after_s=RETRY_S)

    def begin(self, order: PrepareAvatar) -> Preparation:
        """Hand an order to the worker. Errors: TooMany, Unavailable."""
        self.check_room()
        try:
            self.worker.send(order)
        except WorkerGone as gone:
            raise Unavailable("the worker is being started") from gone
        return self._add(Preparation(order.job, order.avatar, order.engine))

    def _add(self, preparation: Preparation) -> Preparation:
        for old in [each for each in self._jobs.values() if each.state in OVER][: -KEPT + 1]:
            del self._jobs[old.job]
        self._jobs[preparation.job] = preparation
        return preparation

    def heard(self, message: AvatarStep | AvatarPrepared | AvatarRefused) -> None:
        """What the worker says of an order."""
        preparation = self._jobs.get(message.job)
        if preparation is None or preparation.state in OVER:
            return
        match message:
            case AvatarStep():
                preparation.step(message.stage, message.done)
            case AvatarPrepared():
                preparation.notes, preparation.quality = message.notes, message.quality
                self._end(preparation, Making.READY)
                logger.info("avatar %s is prepared%s", preparation.avatar, "".join(f"; {n}" for n in message.notes))
            case AvatarRefused(reason=AvatarRefusal.CANCELLED) if self._ending:
                self._end(preparation, Making.CANCELLED, _ended())
            case AvatarRefused(reason=AvatarRefusal.CANCELLED):
                self._end(preparation, Making.CANCELLED, Conflict(message.detail))
            case AvatarRefused():
                self._end(preparation, Making.FAILED, ERRORS[message.reason](message.detail))

    def _end(self, preparation: Preparation, state: Making, fault: ServerError | None = None) -> None:
        preparation.end(state, fault)
        self._ledger.preparation_over(state.value, preparation.took_s)

    async def made(self, preparation: Preparation) -> None:
        """Wait until there is the avatar. Errors: why there is none; Unavailable where nothing came of it."""
        longest_s = PREPARE_S * self._most
        try:
            async with asyncio.timeout(longest_s):
                await preparation.over.wait()
        except TimeoutError as late:
            raise Unavailable(f"nothing came of it in {longest_s:.0f} s") from late
        if preparation.fault is not None:
            raise preparation.fault

    async def cancel(self, job: str) -> Preparation:
        """Have it come to nothing; returns when all that was made of it is gone.

        Errors: NoSuchPreparation; Conflict where it is over, Unavailable where the worker does not answer.
        """
        preparation = self.find(job)
        if preparation.over.is_set():
            raise Conflict(f"it is {preparation.state} already")
        tell(self.worker, CancelAvatar(job))  # a worker that is gone makes nothing any more: see worker_lost
        try:
            async with asyncio.timeout(CANCEL_S):
                await preparation.over.wait()
        except TimeoutError as late:
            raise Unavailable(f"the worker has not let go of it in {CANCEL_S:.0f} s") from late
        if preparation.state is not Making.CANCELLED:
            raise Conflict(f"it is {preparation.state} already")
        return preparation

    async def end(self) -> None:
        """The server ends: cancel all, and wait for so long at most until the worker has let go of them."""
        self._ending = True
        unfinished = self.unfinished
        if not unfinished:
            return
        logger.info("cancelling the preparation of %s", ", ".join(each.avatar for each in unfinished))
        for each in unfinished:
            tell(self.worker, CancelAvatar(each.job))
        try:
            async with asyncio.timeout(CANCEL_S):
                for each in unfinished:
                    await each.over.wait()
        except TimeoutError:
            logger.warning("the worker has not let go of all in %.0f s", CANCEL_S)
        for each in self.unfinished:
            self._end(each, Making.CANCELLED, _ended())

    def worker_lost(self, detail: str) -> None:
        """Nobody works on them any more."""
        for each in self.unfinished:
            self._end(each, Making.FAILED, WorkerLost(f"the worker was lost: {detail}"))


def _ended() -> BeingEnded:
    return BeingEnded("the server is being ended")
