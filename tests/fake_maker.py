"""Who makes avatars without a worker: real jobs (``live.preparations``), and a few bytes for a video."""

import asyncio
import secrets
from collections.abc import Callable
from pathlib import Path

from avatar.client import WorkerState
from avatar.messages import (
    AvatarInfo,
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    AvatarStep,
    CancelAvatar,
    PrepareAvatar,
    Quality,
    ToWorker,
    WorkerStats,
)
from whep_server.live.preparations import Preparation, Preparations, WantedAvatar
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

QUALITY = Quality(300, 0.4, 120.0, 0.0, "there and back", 0.0, 0.02, ["film it in daylight"])


class FakeMaker:
    """A worker that does nothing but make avatars, at once unless it is told to wait."""

    state = WorkerState.READY
    stats = WorkerStats()
    pid = 4712

    def __init__(self, ledger: Ledger, made: Callable[[AvatarInfo], None]) -> None:
        self.prepared: dict[str, bytes] = {}
        """Videos of avatars that were made; one that begins with ``junk`` is refused."""
        self.landmarks: dict[str, bytes] = {}
        """Files that came with them."""
        self.orders: dict[str, PrepareAvatar] = {}
        """By job, those that are at work or wait."""
        self.waits = asyncio.Event()
        """Cleared: orders wait."""
        self.waits.set()
        self.preparations = Preparations(Settings().max_preparations, ledger)
        self.preparations.worker = self
        self._made = made
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, wanted: WantedAvatar) -> Preparation:
        landmarks = "" if wanted.landmarks is None else str(wanted.landmarks)
        return self.preparations.begin(
            PrepareAvatar(
                secrets.token_hex(8), wanted.name, wanted.title, str(wanted.video), [], wanted.engine, landmarks
            )
        )

    # --- the worker's contract

    def send(self, message: ToWorker) -> None:
        match message:
            case PrepareAvatar():
                self.orders[message.job] = message
                task = asyncio.get_running_loop().create_task(self._make(message))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case CancelAvatar() if message.job in self.orders:
                del self.orders[message.job]
                self.preparations.heard(AvatarRefused(message.job, AvatarRefusal.CANCELLED, "it was cancelled"))

    async def drain(self) -> None:
        await asyncio.sleep(0)

    async def _make(self, order: PrepareAvatar) -> None:
        self.preparations.heard(AvatarStep(order.job, "looking for the face", 0.5))
        await self.waits.wait()
        if order.job not in self.orders:
            return
        content = await asyncio.to_thread(Path(order.video).read_bytes)
        if order.landmarks:
            self.landmarks[order.avatar] = await asyncio.to_thread(Path(order.landmarks).read_bytes)
        del self.orders[order.job]
        if content.startswith(b"junk"):
            detail = "this is not a video in a format that is known here"
            self.preparations.heard(AvatarRefused(order.job, AvatarRefusal.VIDEO, detail))
            return
        self.prepared[order.avatar] = content
        info = AvatarInfo(order.avatar, order.title or order.avatar, order.engine, [(1280, 720)], shipped=False)
        self._made(info)
        self.preparations.heard(AvatarPrepared(order.job, [info], ["a short video"], QUALITY))
