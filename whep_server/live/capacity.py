"""What this machine was measured to carry, of each engine's streams: ``bench capacity`` writes it into the cache.

``capacity.json`` is of the embedded engine, ``capacity-NAME.json`` of another one.
"""

import asyncio
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from whep_server import __version__
from whep_server.settings import Settings

logger = logging.getLogger(__name__)

MEASURE: Final = "whep-avatar bench capacity"
MOST_BYTES: Final = 64 * 1024
EMBEDDED: Final = "viseme"
MUSETALK: Final = "musetalk"
ENGINES: Final = (EMBEDDED, MUSETALK)


class Capacity(msgspec.Struct, frozen=True):
    """So many streams of this kind can speak at one time, on this machine and with this version."""

    max_speaking: int
    """A tenth below what was measured."""
    measured: int
    width: int
    height: int
    fps: int
    cores: int
    """Those that the server might use."""
    version: str
    machine: str
    """For people."""
    engine: str = EMBEDDED
    setup: str = ""
    """How the engine was run; see ``setup_of``."""

    def misfit(self, settings: Settings) -> str:
        """Why it says nothing about a server with these settings, here and now; empty where it does."""
        if self.version != __version__:
            return f"of version {self.version}"
        if (self.width, self.height, self.fps) != (settings.width, settings.height, settings.fps):
            return f"of {self.width}x{self.height} at {self.fps} frames/s"
        if self.cores != usable_cores():
            return f"of {self.cores} cores"
        if self.setup != setup_of(settings, self.engine):
            return f"with {self.setup or 'other settings'}"
        return "without a stream" if self.max_speaking < 1 else ""


def usable_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def setup_of(settings: Settings, engine: str) -> str:
    """The settings that an engine's speed depends on, beside size and rate."""
    if engine != MUSETALK:
        return ""
    kind = f"{settings.musetalk_device}, {settings.musetalk_precision}, {settings.musetalk_speedup}"
    return f"{kind}, batches of {settings.musetalk_max_batch}"


def file_of(cache: Path, engine: str) -> Path:
    """Where it is written."""
    return cache / ("capacity.json" if engine == EMBEDDED else f"capacity-{engine}.json")


def measure_with(engine: str) -> str:
    """The command that measures it."""
    return MEASURE if engine == EMBEDDED else f"{MEASURE} --avatar NAME, of one that is for {engine}"


def save_capacity(cache: Path, capacity: Capacity) -> Path:
    """Write it, whole or not at all; where it is. Errors: OSError."""
    cache.mkdir(parents=True, exist_ok=True)
    file = file_of(cache, capacity.engine)
    new = file.with_suffix(".json.new")
    new.write_bytes(msgspec.json.format(msgspec.json.encode(capacity)) + b"\n")
    new.replace(file)
    return file


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of an engine."""

    limit: int
    """Streams that may speak at one time; 0 where that is not known."""
    says: str
    wrong: bool = False
    """Whether something was measured, and cannot be used."""


def find_capacity(settings: Settings, engine: str) -> Found:
    """What was measured of an engine, if it holds for a server with these settings, here and now."""
    file = file_of(settings.cache, engine)
    try:
        with file.open("rb") as opened:
            capacity = msgspec.json.decode(opened.read(MOST_BYTES), type=Capacity)
    except FileNotFoundError:
        return Found(0, f"{engine} streams that may speak at one time: not measured")
    except (OSError, msgspec.DecodeError) as error:
        return Found(0, f"{file} cannot be read, and limits nothing: {error}", wrong=True)
    misfit = capacity.misfit(settings) if capacity.engine == engine else f"of the engine {capacity.engine}"
    if misfit:
        again = f"measure again, by {measure_with(engine)}"
        return Found(0, f"{file} was measured {misfit}, and limits nothing: {again}", wrong=True)
    limit = capacity.max_speaking
    return Found(limit, f"{limit} {engine} streams may speak at one time, as measured ({file})")


def read_capacity(settings: Settings, engine: str = EMBEDDED) -> int:
    """How many streams may speak, by what was measured; 0 where nothing was, or for another kind of server. Logs it."""
    found = find_capacity(settings, engine)
    if found.limit or found.wrong:
        logger.log(logging.WARNING if found.wrong else logging.INFO, "%s", found.says)
    return found.limit


async def most_speaking(settings: Settings) -> dict[str, int]:
    """How many streams may speak at one time, by engine: as configured, else as measured; 0: not known."""
    if settings.max_speaking:
        return dict.fromkeys(ENGINES, settings.max_speaking)
    return {engine: await asyncio.to_thread(read_capacity, settings, engine) for engine in ENGINES}
