"""How many streams of the configured size can speak at once on this machine, each whole: the server then takes no more.

With the code of ``bench sessions``, but on all cores, as the server will have them; the receivers share them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from avatar.folders import engine_of, find_folder
from avatar.prepared import AvatarInvalid
from bench.machine import Machine, this_machine
from bench.processes import BenchFailed
from bench.speaking_streams import FPS, SIZE, Row, speakers
from whep_server import __version__
from whep_server.live.capacity import EMBEDDED, Capacity, save_capacity, setup_of, usable_cores
from whep_server.settings import Settings

A_CORE: Final = 3
"""Streams, 1280x720 at 25 frames/s: where the search begins."""
FIRST_OF_OTHERS: Final = 2
"""Where it begins for engines whose speed is not that of the cores."""
FINE: Final = 20
"""The search ends within a 20th of what it finds: a tenth is taken off."""
TRIES: Final = 2
"""A step that fails is taken once more: it may have been something else on the machine."""
BARE: Final = {
    "max_streams": "100000",
    "max_viewers": "100000",
    "offers_per_s": "0",
    "requests_per_s": "0",
    "max_open_requests": "100000",
    "public_base_path": "",
    "watch_token": "",
    "publish_token": "",
    "token_secrets": "",
}
"""What an operator has set for others does not concern a server on loopback that is measured."""


@dataclass(frozen=True, slots=True)
class CapacityPlan:
    """What is tried."""

    start: int
    """0: a guess."""
    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class CapacityFigures:
    """What was found, and where it was written."""

    machine: Machine
    placement: str
    seconds: float
    rows: list[Row]
    """In the order in which they were tried."""
    capacity: Capacity
    file: Path


def measure_capacity(settings: Settings, plan: CapacityPlan, say: Callable[[str], None]) -> CapacityFigures:
    """Search, and write what was found into the cache, for the engine of the avatar that the settings name.

    Errors: BenchFailed, also where not even one stream is whole.
    """
    machine, cores, engine = this_machine(), usable_cores(), engine_of_avatar(settings)
    size = settings.width, settings.height
    rows: list[Row] = []
    variables = BARE | {"avatar": settings.avatar}
    with speakers(settings, say, cores=cores, size=size, fps=settings.fps, variables=variables) as ours:

        def once(count: int) -> bool:
            say(f"{count} streams")
            rows.append(ours.row(count, plan.seconds))
            return rows[-1].whole

        def whole(count: int) -> bool:
            return any(once(count) for _ in range(TRIES))

        start = guess(cores, size, settings.fps) if engine == EMBEDDED else FIRST_OF_OTHERS
        found = most_that(whole, plan.start or start, plan.most)
    if not found:
        raise BenchFailed("not even one stream spoke without a stall: is this machine busy with other things?")
    kind = *size, settings.fps, cores, __version__, str(machine)
    capacity = Capacity(safe(found), found, *kind, engine, setup_of(settings, engine))
    try:
        file = save_capacity(settings.cache, capacity)
    except OSError as error:
        raise BenchFailed(f"{found} streams, which cannot be written down: {error}") from None
    return CapacityFigures(machine, str(ours.placement), plan.seconds, rows, capacity, file)


def engine_of_avatar(settings: Settings) -> str:
    """What makes it speak. Errors: BenchFailed where there is no such avatar."""
    why = ""
    for root in (settings.assets / "avatars", settings.avatars):
        try:
            return engine_of(find_folder(root, settings.avatar))
        except AvatarInvalid as error:
            why = str(error)
    raise BenchFailed(why)


def guess(cores: int, size: tuple[int, int], fps: int) -> int:
    """Where to begin, for so many pixels a second."""
    share = size[0] * size[1] * fps / (SIZE[0] * SIZE[1] * FPS)
    return max(1, round(A_CORE * cores / share))


def safe(found: int) -> int:
    """A tenth less, but one at least."""
    return max(1, found * 9 // 10)


def most_that(whole: Callable[[int], bool], start: int, most: int) -> int:
    """The largest number up to ``most`` for which ``whole`` holds, as for all below it; 0 where there is none.

    Up by halves while it holds, then between what holds and what does not.
    """
    low, high, count = 0, most + 1, min(start, most)
    while high - low > max(1, low // FINE):
        if whole(count):
            low = count
        else:
            high = count
        count = (low + high) // 2 if high <= most else min(most, max(low + 1, 3 * low // 2))
    return low
