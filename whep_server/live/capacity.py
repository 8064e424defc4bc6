"""What this machine was measured to carry: ``capacity.json`` in the cache folder, written by ``bench capacity``."""

import asyncio
import logging
import os
from pathlib import Path
from typing import Final

import msgspec

from whep_server import __version__
from whep_server.settings import Settings

logger = logging.getLogger(__name__)

FILE: Final = "capacity.json"
MEASURE: Final = "whep-avatar bench capacity"
MOST_BYTES: Final = 64 * 1024


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

    def misfit(self, settings: Settings) -> str:
        """Why it says nothing about a server with these settings, here and now; empty where it does."""
        if self.version != __version__:
            return f"of version {self.version}"
        if (self.width, self.height, self.fps) != (settings.width, settings.height, settings.fps):
            return f"of {self.width}x{self.height} at {self.fps} frames/s"
        if self.cores != usable_cores():
            return f"of {self.cores} cores"
        return "without a stream" if self.max_speaking < 1 else ""


def usable_cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0))


def save_capacity(cache: Path, capacity: Capacity) -> Path:
    """Write it, whole or not at all; where it is. Errors: OSError."""
    cache.mkdir(parents=True, exist_ok=True)
    file, new = cache / FILE, cache / f"{FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(capacity)) + b"\n")
    new.replace(file)
    return file


def read_capacity(settings: Settings) -> int:
    """How many streams may speak, by what was measured; 0 where nothing was, or for another kind of server."""
    file = settings.cache / FILE
    try:
        with file.open("rb") as opened:
            capacity = msgspec.json.decode(opened.read(MOST_BYTES), type=Capacity)
    except FileNotFoundError:
        return 0
    except (OSError, msgspec.DecodeError) as error:
        logger.warning("%s cannot be read, and limits nothing: %s", file, error)
        return 0
    misfit = capacity.misfit(settings)
    if misfit:
        logger.warning("%s was measured %s, and limits nothing: measure again, by %s", file, misfit, MEASURE)
        return 0
    logger.info("%d streams may speak at one time, as measured (%s)", capacity.max_speaking, file)
    return capacity.max_speaking


async def most_speaking(settings: Settings) -> int:
    """How many streams may speak at one time: as configured, else as measured; 0: as many as want to."""
    return settings.max_speaking or await asyncio.to_thread(read_capacity, settings)
