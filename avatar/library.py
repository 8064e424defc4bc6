"""What the worker can show and with what: prepared avatars on disk, and the engine that moves them."""

import logging
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Engine, Patch
from avatar.messages import AvatarInfo, WorkerConfig
from avatar.prepared import AvatarInvalid, PreparedAvatar, find_avatar, load_prepared, read_manifest

log = logging.getLogger(__name__)


class Library(Protocol):
    """Where avatars and the engine come from."""

    def avatars(self) -> list[AvatarInfo]:
        """All that can go on air."""
        ...

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """An avatar's pictures in memory. Slow; any thread. Errors: AvatarInvalid."""
        ...

    def engine(self) -> Engine:
        """The engine, warm. Slow."""
        ...

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        """``picture`` with ``patch`` over it, into ``out``. Any thread."""
        ...


class DiskLibrary:
    """The library of a real worker."""

    def __init__(self, config: WorkerConfig) -> None:
        self._avatars = Path(config.avatars)
        self._assets = Path(config.assets)

    def avatars(self) -> list[AvatarInfo]:
        """All avatars that are whole; a damaged one is logged and left out."""
        found: list[AvatarInfo] = []
        for path in sorted(self._avatars.glob("*/avatar.json")):
            try:
                manifest = read_manifest(find_avatar(self._avatars, path.parent.name))
            except AvatarInvalid as error:
                log.warning("avatar %s is left out: %s", path.parent.name, error)
                continue
            sizes = [(entry.width, entry.height) for entry in manifest.sizes]
            found.append(AvatarInfo(path.parent.name, manifest.title, manifest.engine, sizes))
        return found

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """Errors: AvatarInvalid."""
        return load_prepared(find_avatar(self._avatars, name), size)

    def engine(self) -> Engine:
        """Loads torch, which nothing else here does."""
        from avatar.engines.viseme.viseme_engine import load_engine

        return load_engine(self._assets)

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        """As ``avatar.compose``."""
        compose(picture, patch, out)
