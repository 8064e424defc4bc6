"""The avatars there are, and users' own ones being made and deleted: orders to the worker and its answers."""

import asyncio
import logging
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avatar.client import Worker, WorkerGone
from avatar.messages import (
    AvatarDropped,
    AvatarInfo,
    AvatarPrepared,
    AvatarRefusal,
    AvatarRefused,
    AvatarsHeld,
    DropAvatar,
    PrepareAvatar,
)
from whep_server.errors import (
    AvatarKept,
    BadRequest,
    NoSuchAvatar,
    NotAvatarVideo,
    ServerError,
    TooMany,
    Unavailable,
    WorkerLost,
)
from whep_server.settings import Settings

logger = logging.getLogger(__name__)

AVATAR_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
"""As ``avatar.prepared`` has it."""
MOST_MADE: Final = 4
"""Avatars that may be in the making; they are made one after another."""
PREPARE_S: Final = 2700.0
"""Longest wait for one: the worker gives each up after ten minutes."""
DROP_S: Final = 30.0
SMALL: Final = (512, 512)
"""A size that every avatar has beside the server's own."""

_ERRORS: Final[dict[AvatarRefusal, type[ServerError]]] = {
    AvatarRefusal.VIDEO: NotAvatarVideo,
    AvatarRefusal.KEPT: AvatarKept,
    AvatarRefusal.UNKNOWN: NoSuchAvatar,
    AvatarRefusal.TROUBLE: Unavailable,
}


def sizes_of(settings: Settings) -> list[tuple[int, int]]:
    """At which sizes an avatar is made: the server's own, and a small one."""
    return list(dict.fromkeys([(settings.width, settings.height), SMALL]))


NONE_HELD: Final = AvatarsHeld([], 0, 0, 0)

Answer = AvatarPrepared | AvatarDropped | AvatarRefused


@dataclass(frozen=True, slots=True)
class Dropped:
    """What deleting an avatar did; see ``web.on_air.Dropped``."""

    evicted: bool
    path: Path | None


@dataclass(frozen=True, slots=True)
class _Job:
    avatar: str
    making: bool
    answer: asyncio.Future[Answer]


class Gallery:
    """All avatars, as the worker last named them."""

    def __init__(self, settings: Settings, shown: Callable[[str], bool]) -> None:
        """``shown``: whether an avatar is on air."""
        self.avatars: list[AvatarInfo] = []
        self.held = NONE_HELD
        """Those in the worker's memory."""
        self._settings, self._shown = settings, shown
        self._jobs: dict[str, _Job] = {}

    def find(self, name: str) -> AvatarInfo:
        """One that can go on air.

        Errors: NoSuchAvatar; Unavailable while it is made anew, or before the worker has named any.
        """
        if not self.avatars:
            raise Unavailable("the avatars are being loaded")
        info = next((info for info in self.avatars if info.name == name), None)
        if info is None:
            raise NoSuchAvatar(f"no avatar {name[:64]!r}")
        if name in self._making:
            raise Unavailable(f"{name} is being made anew")
        return info

    def film(self, name: str) -> Path:
        """Its idle loop. Errors: those of ``find``."""
        root = self._settings.assets / "avatars" if self.find(name).shipped else self._settings.avatars
        own, theirs = root / name / "loop.mp4", root / name / "input_video.mp4"
        return theirs if theirs.exists() and not own.exists() else own  # as the MuseTalk API server keeps it

    async def prepare(self, worker: Worker, name: str, video: Path, title: str, *, replace: bool) -> AvatarInfo:
        """Make an avatar; see ``web.on_air.Registry.prepare_avatar``."""
        if not AVATAR_NAME.fullmatch(name):
            raise BadRequest(
                "an avatar's name has 1 to 128 letters, digits, dots, dashes or underscores, and no dot in front"
            )
        if not self.avatars:
            raise Unavailable("the avatars are being loaded")
        there = next((info for info in self.avatars if info.name == name), None)
        if there is not None and not replace and name not in self._making:
            return there
        self._check_free(name)
        if len(self._making) >= MOST_MADE:
            raise TooMany(f"{MOST_MADE} avatars are being made already", retry_after_s=60)
        order = PrepareAvatar(secrets.token_hex(8), name, title, str(video), sizes_of(self._settings))
        answer = await self._ask(worker, order, PREPARE_S)
        if isinstance(answer, AvatarPrepared):
            logger.info("avatar %s is prepared%s", name, "".join(f"; {note}" for note in answer.notes))
        return self.find(name)

    async def delete(self, worker: Worker, name: str, *, from_disk: bool) -> Dropped:
        """Forget or delete an avatar; see ``web.on_air.Registry.delete_avatar``."""
        if not AVATAR_NAME.fullmatch(name):
            if from_disk:
                raise NoSuchAvatar(f"no avatar {name[:64]!r}")
            return Dropped(evicted=False, path=None)
        if from_disk:
            self._check_free(name)
        answer = await self._ask(worker, DropAvatar(secrets.token_hex(8), name, from_disk), DROP_S)
        if not isinstance(answer, AvatarDropped):
            raise Unavailable("the worker has not understood")
        return Dropped(answer.evicted, Path(answer.path) if answer.path else None)

    @property
    def _making(self) -> set[str]:
        return {job.avatar for job in self._jobs.values() if job.making}

    def _check_free(self, name: str) -> None:
        """Errors: AvatarKept where an avatar of that name may not change now."""
        if any(info.name == name and info.shipped for info in self.avatars):
            raise AvatarKept(f"{name} is shipped with the program")
        if self._shown(name):
            raise AvatarKept(f"{name} is on air")
        if name in self._making:
            raise AvatarKept(f"{name} is just being made")

    async def _ask(self, worker: Worker, order: PrepareAvatar | DropAvatar, within_s: float) -> Answer:
        """Give an order and wait for what came of it. The job stays while the worker is at it, whoever waits."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._jobs[order.job] = _Job(order.avatar, isinstance(order, PrepareAvatar), answered)
        try:
            worker.send(order)
        except WorkerGone as gone:
            del self._jobs[order.job]
            raise Unavailable("the worker is being started") from gone
        try:
            async with asyncio.timeout(within_s):
                answer = await answered
        except TimeoutError as late:
            raise Unavailable(f"nothing came of it in {within_s:.0f} s") from late
        if isinstance(answer, AvatarRefused):
            raise _ERRORS[answer.reason](answer.detail)
        return answer

    def heard(self, message: Answer | AvatarsHeld) -> None:
        """What the worker says of avatars."""
        if isinstance(message, AvatarsHeld):
            self.held = message
        else:
            self._answered(message)

    def _answered(self, answer: Answer) -> None:
        """The worker is done with an order."""
        if not isinstance(answer, AvatarRefused):
            self.avatars = list(answer.avatars)
        job = self._jobs.pop(answer.job, None)
        if job is not None and not job.answer.done():
            job.answer.set_result(answer)

    def worker_lost(self) -> None:
        """All orders are void, and the next one has nothing in memory."""
        self.held = NONE_HELD
        jobs, self._jobs = self._jobs, {}
        for job in jobs.values():
            if not job.answer.done():
                job.answer.set_exception(WorkerLost("the worker was lost"))
