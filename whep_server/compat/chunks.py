"""Files made of speech: a folder for each request, kept for a while, never more of them than there is room for.

Nothing here knows what is in the files. A file is there whole or not at all; what a crash leaves half made goes with
its folder, by age.
"""

import asyncio
import errno
import logging
import os
import re
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

logger = logging.getLogger(__name__)

SWEEP_S: Final = 60.0
FILE_NAME: Final = re.compile(r"chunk_[0-9]{4,6}\.mp4")


def chunk_name(index: int) -> str:
    """The file of one chunk."""
    return f"chunk_{index:04d}.mp4"


@dataclass(frozen=True, slots=True)
class _Folder:
    path: Path
    made_s: float
    size: int


class ChunkStore:
    """Folders under ``root``, each with the id of a request; ids are checked by who gives them.

    Errors of all that writes: OSError, also where ``most_bytes`` are taken by requests that are not over.
    """

    def __init__(self, root: Path, *, kept_s: float, most_bytes: int, active: Collection[str]) -> None:
        """``active``: requests whose folders stay, whatever their age."""
        self._root = root
        self._kept_s = kept_s
        self._most_bytes = most_bytes
        self._active = active
        self._bytes = 0

    def path(self, request_id: str, name: str) -> Path:
        """Where a file is, if it is there."""
        return self._root / request_id / name

    async def put(self, request_id: str, name: str, data: bytes) -> None:
        """A file, whole."""
        await self._make_room(len(data))
        await asyncio.to_thread(_write, self.path(request_id, name), data)

    async def append(self, request_id: str, name: str, data: bytes) -> None:
        """The next piece of a file that ``finish`` makes one."""
        await self._make_room(len(data))
        await asyncio.to_thread(_append, _part(self.path(request_id, name)), data)

    async def finish(self, request_id: str, name: str) -> None:
        """The file has all its pieces."""
        path = self.path(request_id, name)
        await asyncio.to_thread(os.replace, _part(path), path)

    async def _make_room(self, size: int) -> None:
        self._bytes += size
        if self._bytes > self._most_bytes:
            await self.sweep(room_for=size)
        if self._bytes > self._most_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async def sweep(self, room_for: int = 0) -> None:
        """Delete what is old; then, as long as there is too little room, the oldest."""
        self._bytes = room_for + await asyncio.to_thread(self._sweep, time.time(), self._most_bytes - room_for)

    def _sweep(self, now_s: float, most_bytes: int) -> int:
        folders = sorted(_folders(self._root), key=lambda folder: folder.made_s)
        total = sum(folder.size for folder in folders)
        for folder in folders:
            spent = now_s - folder.made_s > self._kept_s or total > most_bytes
            if spent and folder.path.name not in self._active:
                shutil.rmtree(folder.path, ignore_errors=True)
                total -= folder.size
        return total

    async def run(self) -> None:
        """Sweep at once, and for ever."""
        while True:
            try:
                await self.sweep()
            except Exception:  # the sweeper must outlive a disk's trouble
                logger.exception("sweeping the files made of speech failed")
            await asyncio.sleep(min(SWEEP_S, self._kept_s / 4))


def _part(path: Path) -> Path:
    """Where a file is as long as it is not whole."""
    return path.with_name(f".{path.name}.part")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = _part(path)
    part.write_bytes(data)
    part.replace(path)


def _append(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(data)


def _folders(root: Path) -> list[_Folder]:
    """Those that are there; what another process deletes meanwhile is passed over."""
    found = []
    for path in root.iterdir() if root.is_dir() else ():
        try:
            if path.is_dir():
                size = sum(file.stat().st_size for file in path.iterdir())
                found.append(_Folder(path, path.stat().st_mtime, size))
        except OSError:
            continue
    return found
