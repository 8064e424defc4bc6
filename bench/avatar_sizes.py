"""What avatars take: on disk, and in the memory of a worker that shows them. Each is loaded in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from avatar.folders import describe, folders, size_on_disk
from avatar.prepared import AvatarInvalid
from bench.machine import Machine, this_machine
from bench.processes import BenchFailed
from whep_server.command.findings import probe
from whep_server.settings import Settings

USUAL_S: Final = 10.0
"""The length of a loop that the targets are for."""
MOST_DISK_BYTES: Final = 60 * 10**6
MOST_HELD_BYTES: Final = 400 * 10**6

LOAD_PROBE: Final = """
import json, sys, time
from pathlib import Path
import cv2, av
from avatar.avatar_memory import bytes_of
from avatar.folders import load_folder
from avatar.meter import rss_bytes
if "latents.pt" in {path.name for path in Path(sys.argv[1]).iterdir()}:
    import torch
before, began = rss_bytes(), time.perf_counter()
avatar = load_folder(Path(sys.argv[1]), (int(sys.argv[2]), int(sys.argv[3])))
took = time.perf_counter() - began
print(json.dumps({
    "seconds": len(avatar.pictures) / avatar.fps, "there_and_back": avatar.there_and_back, "load_s": took,
    "held_bytes": bytes_of(avatar), "grown_bytes": rss_bytes() - before,
}))
"""


class AvatarSize(msgspec.Struct, frozen=True):
    """One avatar at one size."""

    name: str
    engine: str
    width: int
    height: int
    disk_bytes: int
    """All of its directory, with all of its sizes."""
    seconds: float
    """Of its film, one way."""
    there_and_back: bool
    load_s: float
    held_bytes: int
    """As the worker counts it."""
    grown_bytes: int
    """By so much the process had grown when it was loaded."""

    @property
    def fits(self) -> bool:
        """Whether it is within the targets, or would be if its film lasted ``USUAL_S``."""
        longer = USUAL_S / self.seconds
        most_held = max(self.held_bytes, self.grown_bytes)
        return self.disk_bytes * longer <= MOST_DISK_BYTES and most_held * longer <= MOST_HELD_BYTES


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """All that was measured."""

    machine: Machine
    avatars: Sequence[AvatarSize]


def measure_sizes(settings: Settings, say: Callable[[str], None]) -> SizeFigures:
    """All avatars that can be shown at the server's own size. Errors: BenchFailed where one cannot be loaded."""
    machine, size = this_machine(), (settings.width, settings.height)
    shipped = settings.assets / "avatars"
    found = []
    for folder in [*folders(shipped), *folders(settings.avatars)]:
        try:
            info = describe(folder, size, shipped=folder.parent == shipped)
        except AvatarInvalid as error:
            raise BenchFailed(f"{folder}: {error}") from None
        if size in info.sizes:
            say(info.name)
            found.append(_measured(folder, info.engine, size))
    return SizeFigures(machine, found)


def _measured(folder: Path, engine: str, size: tuple[int, int]) -> AvatarSize:
    told = probe(LOAD_PROBE, str(folder), *map(str, size))
    if isinstance(told, str):
        raise BenchFailed(f"{folder}: {told}")
    about = {"name": folder.name, "engine": engine, "width": size[0], "height": size[1]}
    return msgspec.convert({**about, "disk_bytes": size_on_disk(folder), **told}, AvatarSize)
