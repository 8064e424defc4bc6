"""What the worker can show and with what: prepared avatars on disk and in memory, and the engine that moves them."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Engine, Patch
from avatar.messages import WorkerConfig
from avatar.prepared import AvatarInvalid, PreparedAvatar, find_avatar, load_prepared, read_manifest
from avatar.user_avatars import AvatarInfo

log = logging.getLogger(__name__)


class Library(Protocol):
    """Where avatars and the engine come from."""

    def avatars(self) -> list[AvatarInfo]:
        """All that can go on air."""
        ...

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """An avatar's pictures in memory. Slow; any thread. Errors: AvatarInvalid."""
        ...

    def engines(self) -> dict[str, Engine]:
        """The engines, warm, by the names that avatars call them. Slow."""
        ...

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        """``picture`` with ``patch`` over it, into ``out``. Any thread."""
        ...


KEPT_BYTES: Final = 1024**3
"""Pictures of avatars that stay in memory while no stream shows them: three of 10 s at 1280x720."""


class Avatars:
    """Prepared avatars in memory, each loaded once whoever asks first. Any thread.

    Those that nobody shows stay as long as there is room for them, the ones asked for last.
    """

    def __init__(self, library: Library, kept_bytes: int = KEPT_BYTES) -> None:
        self._library, self._kept_bytes = library, kept_bytes
        self._loaded: WeakValueDictionary[tuple[str, tuple[int, int]], PreparedAvatar] = WeakValueDictionary()
        self._kept: dict[tuple[str, tuple[int, int]], PreparedAvatar] = {}
        """The ones asked for last, newest at the end."""
        self._lock = threading.Lock()

    def get(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """Slow where it is not in memory. Errors: AvatarInvalid."""
        with self._lock:
            avatar = self._loaded.get((name, size))
            if avatar is None:
                avatar = self._loaded[name, size] = self._library.load(name, size)
            self._kept.pop((name, size), None)
            self._kept[name, size] = avatar
            while len(self._kept) > 1 and sum(each.pictures.nbytes for each in self._kept.values()) > self._kept_bytes:
                del self._kept[next(iter(self._kept))]
            return avatar

    def forget(self, name: str, then: Callable[[], None] = lambda: None) -> bool:
        """Have ``name`` loaded anew when it is next asked for, and ``then`` happen before; whether it was in memory.

        Streams that show it keep what they have. Errors: those of ``then``.
        """
        with self._lock:
            keys = [key for key in self._loaded if key[0] == name]
            then()
            for key in keys:
                self._loaded.pop(key, None)
                self._kept.pop(key, None)
            return bool(keys)


class DiskLibrary:
    """The library of a real worker: the avatars that are shipped, and beside them those of the user."""

    def __init__(self, config: WorkerConfig) -> None:
        self._shipped = Path(config.avatars)
        self._prepared = Path(config.prepared) if config.prepared else None
        self._assets = Path(config.assets)

    def avatars(self) -> list[AvatarInfo]:
        """All avatars that are whole; a damaged one is logged and left out."""
        shipped = _listed(self._shipped, shipped=True)
        taken = {info.name for info in shipped}
        others = _listed(self._prepared, shipped=False) if self._prepared else []
        return shipped + [info for info in others if info.name not in taken]

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """One that is shipped is never hidden by the user's. Errors: AvatarInvalid."""
        try:
            directory = find_avatar(self._shipped, name)
        except AvatarInvalid:
            if self._prepared is None:
                raise
            directory = find_avatar(self._prepared, name)
        return load_prepared(directory, size)

    def engine(self) -> Engine:
        """Loads torch, which nothing else here does."""
        from avatar.engines.viseme.viseme_engine import load_engine

        return load_engine(self._assets)

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        """As ``avatar.compose``."""
        compose(picture, patch, out)


def _listed(root: Path, *, shipped: bool) -> list[AvatarInfo]:
    found: list[AvatarInfo] = []
    for path in sorted(root.glob("*/avatar.json")):
        name = path.parent.name
        if name.startswith("."):  # being made
            continue
        try:
            manifest = read_manifest(find_avatar(root, name))
        except AvatarInvalid as error:
            log.warning("avatar %s is left out: %s", name, error)
            continue
        sizes = [(entry.width, entry.height) for entry in manifest.sizes]
        found.append(AvatarInfo(name, manifest.title, manifest.engine, sizes, shipped))
    return found
