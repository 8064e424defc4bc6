"""What the worker can show and with what: prepared avatars on disk, and the engines that move them."""

import logging
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import Engine, Patch
from avatar.folders import engine_of, find_folder, listed, load_folder
from avatar.messages import MuseTalkConfig, WorkerConfig
from avatar.prepared import AvatarInvalid, PreparedAvatar
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


class DiskLibrary:
    """The library of a real worker: the avatars that are shipped, and beside them those of the user."""

    def __init__(self, config: WorkerConfig) -> None:
        self._shipped = Path(config.avatars)
        self._prepared = Path(config.prepared) if config.prepared else None
        self._assets = Path(config.assets)
        self._usual_size, self._musetalk = config.size, config.musetalk
        self._absent: dict[str, str] = {}
        """Engines that could not be loaded, and why."""

    def avatars(self) -> list[AvatarInfo]:
        """All avatars that are whole; a damaged one is logged and left out."""
        shipped = listed(self._shipped, self._usual_size, shipped=True)
        taken = {info.name for info in shipped}
        others = listed(self._prepared, self._usual_size, shipped=False) if self._prepared else []
        return shipped + [info for info in others if info.name not in taken]

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        """One that is shipped is never hidden by the user's. Errors: AvatarInvalid, also where its engine is absent."""
        try:
            directory = find_folder(self._shipped, name)
        except AvatarInvalid:
            if self._prepared is None:
                raise
            directory = find_folder(self._prepared, name)
        engine = engine_of(directory)
        if engine in self._absent:
            raise AvatarInvalid(f"{name} needs the engine {engine}, which is not there: {self._absent[engine]}")
        return load_folder(directory, size)

    def engines(self) -> dict[str, Engine]:
        """Loads torch, which nothing else here does. The embedded one must be there, another one need not."""
        from avatar.engines.viseme.viseme_engine import load_engine

        engines: dict[str, Engine] = {"viseme": load_engine(self._assets)}
        try:
            engines["musetalk"] = _load_musetalk(self._musetalk)
        except (EngineAbsent, ImportError, ValueError, RuntimeError) as error:
            self._absent["musetalk"] = str(error)
            if self._musetalk.models:
                log.error("the engine musetalk cannot be loaded: %s", error)
        return engines

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        """As ``avatar.compose``."""
        compose(picture, patch, out)


class EngineAbsent(Exception):
    """An engine that nobody asked for, or that cannot be loaded."""


def _load_musetalk(config: MuseTalkConfig) -> Engine:
    """Its libraries are an extra, and are loaded only where its models are. Errors: EngineAbsent, ImportError, …"""
    if not config.models:
        raise EngineAbsent("WHEP_AVATAR_MUSETALK_MODELS names no folder of models")
    from avatar.engines.musetalk.generator import Speedup
    from avatar.engines.musetalk.musetalk_engine import EngineOptions, load_engine
    from avatar.engines.musetalk.networks import ModelsInvalid

    options = EngineOptions(config.device, config.precision, Speedup(config.speedup), config.max_batch)
    try:
        return load_engine(Path(config.models), options)
    except ModelsInvalid as error:
        raise EngineAbsent(str(error)) from error
