"""The avatars there are, and users' own ones being made (``preparations``) and deleted: orders to the worker."""

import asyncio
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
    AvatarRefused,
    AvatarsHeld,
    AvatarStep,
    DropAvatar,
    PrepareAvatar,
)
from whep_server.errors import AvatarKept, BadRequest, NoSuchAvatar, Unavailable, WorkerLost
from whep_server.live.preparations import ERRORS, Preparation, Preparations, WantedAvatar
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

AVATAR_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
"""As ``avatar.prepared`` has it."""
CLAIMED: Final = frozenset({"preparations"})
"""Paths below ``/avatars`` that an avatar of that name would be hidden by."""
DROP_S: Final = 30.0
SMALL: Final = (512, 512)
"""A size that every avatar has beside the server's own."""


def sizes_of(settings: Settings) -> list[tuple[int, int]]:
    """At which sizes an avatar is made: the server's own, and a small one."""
    return list(dict.fromkeys([(settings.width, settings.height), SMALL]))


NONE_HELD: Final = AvatarsHeld([], 0, 0, 0)

GalleryMessage = AvatarStep | AvatarPrepared | AvatarDropped | AvatarRefused | AvatarsHeld


@dataclass(frozen=True, slots=True)
class Dropped:
    """What deleting an avatar did; see ``web.on_air.Dropped``."""

    evicted: bool
    path: Path | None


class Gallery:
    """All avatars, as the worker last named them."""

    def __init__(self, settings: Settings, ledger: Ledger, shown: Callable[[str], bool]) -> None:
        """``shown``: whether an avatar is on air."""
        self.avatars: list[AvatarInfo] = []
        self.preparations = Preparations(settings.max_preparations, ledger)
        self.held = NONE_HELD
        """Those in the worker's memory."""
        self._worker: Worker
        self._settings, self._shown = settings, shown
        self._drops: dict[str, asyncio.Future[AvatarDropped | AvatarRefused]] = {}

    def open(self, worker: Worker) -> None:
        """Work with that one."""
        self._worker = self.preparations.worker = worker

    def find(self, name: str) -> AvatarInfo:
        """One that can go on air.

        Errors: NoSuchAvatar; Unavailable while it is made anew, or before the worker has named any.
        """
        if not self.avatars:
            raise Unavailable("the avatars are being loaded")
        info = next((info for info in self.avatars if info.name == name), None)
        if info is None:
            raise NoSuchAvatar(f"no avatar {name[:64]!r}")
        if self.preparations.is_making(name):
            raise Unavailable(f"{name} is being made anew")
        return info

    def file(self, name: str, file: str) -> Path:
        """What lies in its directory, or may. Errors: those of ``find``."""
        root = self._settings.assets / "avatars" if self.find(name).shipped else self._settings.avatars
        return root / name / file

    def film(self, name: str) -> Path:
        """Its idle loop. Errors: those of ``find``."""
        own, theirs = self.file(name, "loop.mp4"), self.file(name, "input_video.mp4")
        return theirs if theirs.exists() and not own.exists() else own  # as the MuseTalk API server keeps it

    def begin(self, wanted: WantedAvatar) -> Preparation | None:
        """Begin to make an avatar; see ``web.on_air.Registry.begin_avatar``."""
        if not AVATAR_NAME.fullmatch(wanted.name):
            raise BadRequest(
                "an avatar's name has 1 to 128 letters, digits, dots, dashes or underscores, and no dot in front"
            )
        if wanted.name in CLAIMED:
            raise BadRequest(f"no avatar can have the name {wanted.name!r}")
        if not self.avatars:
            raise Unavailable("the avatars are being loaded")
        making = self.preparations.is_making(wanted.name)
        if not wanted.replace and not making and any(info.name == wanted.name for info in self.avatars):
            return None
        self._check_free(wanted.name)
        order = PrepareAvatar(
            secrets.token_hex(8),
            wanted.name,
            wanted.title,
            str(wanted.video),
            sizes_of(self._settings),
            wanted.engine,
            "" if wanted.landmarks is None else str(wanted.landmarks),
        )
        return self.preparations.begin(order)

    async def delete(self, name: str, *, from_disk: bool) -> Dropped:
        """Forget or delete an avatar; see ``web.on_air.Registry.delete_avatar``."""
        if not AVATAR_NAME.fullmatch(name):
            if from_disk:
                raise NoSuchAvatar(f"no avatar {name[:64]!r}")
            return Dropped(evicted=False, path=None)
        if from_disk:
            self._check_free(name)
        answer = await self._drop(DropAvatar(secrets.token_hex(8), name, from_disk))
        if isinstance(answer, AvatarRefused):
            raise ERRORS[answer.reason](answer.detail)
        return Dropped(answer.evicted, Path(answer.path) if answer.path else None)

    def _check_free(self, name: str) -> None:
        """Errors: AvatarKept where an avatar of that name may not change now."""
        if any(info.name == name and info.shipped for info in self.avatars):
            raise AvatarKept(f"{name} is shipped with the program")
        if self._shown(name):
            raise AvatarKept(f"{name} is on air")
        if self.preparations.is_making(name):
            raise AvatarKept(f"{name} is just being made")

    async def _drop(self, order: DropAvatar) -> AvatarDropped | AvatarRefused:
        answered: asyncio.Future[AvatarDropped | AvatarRefused] = asyncio.get_running_loop().create_future()
        try:
            self._worker.send(order)
        except WorkerGone as gone:
            raise Unavailable("the worker is being started") from gone
        self._drops[order.job] = answered
        try:
            async with asyncio.timeout(DROP_S):
                return await answered
        except TimeoutError as late:
            raise Unavailable(f"nothing came of it in {DROP_S:.0f} s") from late
        finally:
            self._drops.pop(order.job, None)

    def heard(self, message: GalleryMessage) -> None:
        """What the worker says of avatars."""
        match message:
            case AvatarsHeld():
                self.held = message
            case AvatarStep():
                self.preparations.heard(message)
            case AvatarPrepared():
                self.avatars = list(message.avatars)
                self.preparations.heard(message)
            case AvatarDropped():
                self.avatars = list(message.avatars)
                self._dropped(message)
            case AvatarRefused():
                self.preparations.heard(message)
                self._dropped(message)

    def _dropped(self, answer: AvatarDropped | AvatarRefused) -> None:
        answered = self._drops.get(answer.job)
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def worker_lost(self, detail: str) -> None:
        """All orders are void, and the next one has nothing in memory."""
        self.held = NONE_HELD
        self.preparations.worker_lost(detail)
        for answered in self._drops.values():
            if not answered.done():
                answered.set_exception(WorkerLost("the worker was lost"))
