"""How soon a viewer who asks sees a picture, by aiortc and by Chromium; and how many can ask at once.

While the avatar is idle and while it speaks. A storm of viewers joins a stream that speaks to another viewer: how
many a second got through, what that cost the server, and how long the other one's picture stood still meanwhile.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from bench.aiortc_joins import Join
from bench.chromium_joins import ABSENT, RenderedJoin
from bench.figures import Spread, spread
from bench.machine import Machine, this_machine
from bench.observations import load
from bench.placement import Placement, placed
from bench.processes import BenchFailed, running
from bench.served import STREAM, Served, serving
from bench.speaking_streams import gaps_of
from bench.voice import long_file
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
WAIT_S: Final = 60.0
RUN_S: Final = 300.0
STORM_AT_ONCE: Final = 16
SPEECH_S: Final = 590.0
SETTLE_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class Joins:
    """One kind of viewer, one after the other. Units: seconds from the POST."""

    client: str
    speaking: bool
    count: int
    answered: Spread
    connected: Spread
    pictured: Spread
    """A picture is decoded (aiortc), or rendered (Chromium)."""


@dataclass(frozen=True, slots=True)
class Storm:
    """Many at once."""

    viewers: int
    failed: int
    joins_s: float
    """A second."""
    server_ms: float
    """Processor time of the server for each, all else that it did meanwhile included."""
    longest_gap_s: float
    """Between two pictures of somebody who watched all the time."""


@dataclass(frozen=True, slots=True)
class JoinFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    joins: list[Joins]
    storm: Storm


def measure_joins(settings: Settings, count: int, storm: int, say: Callable[[str], None]) -> JoinFigures:
    """Run the server and its viewers. Errors: BenchFailed where one does not get a picture."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        many = {"max_viewers": str(2 * storm), "offers_per_s": "0"}
        with serving(folder, placement, size=SIZE, fps=FPS, settings=many) as served:
            rows: list[Joins] = []
            for speaking in (False, True):
                if speaking:
                    served.say(STREAM, long_file(settings.assets, SPEECH_S))
                    time.sleep(SETTLE_S)
                say(f"joins while it {'speaks' if speaking else 'is idle'}")
                rows += _joins(served, count, speaking=speaking, say=say)
            say(f"{storm} joins, {STORM_AT_ONCE} at once")
            storming = _storm(served, storm, folder, placement)
    return JoinFigures(machine, str(placement), rows, storming)


def _joins(served: Served, count: int, *, speaking: bool, say: Callable[[str], None]) -> list[Joins]:
    by_aiortc = _run("bench.aiortc_joins", [served.whep(), str(count)])
    made = msgspec.json.decode(by_aiortc or b"[]", type=list[Join])
    rows = [_summed_up("aiortc", speaking, [(each.answered_s, each.connected_s, each.decoded_s) for each in made])]
    by_chromium = _run("bench.chromium_joins", [served.base, f"/whep/{STREAM}", str(count)])
    if by_chromium is None:
        say("Chromium or Playwright is not here: its joins are left out")
        return rows
    shown = msgspec.json.decode(by_chromium, type=list[RenderedJoin])
    times = [(each.answered_s, each.connected_s, each.rendered_s) for each in shown]
    return [*rows, _summed_up("Chromium", speaking, times)]


def _run(module: str, arguments: Sequence[str]) -> bytes | None:
    """What it prints; None where it says that what it needs is not here. Errors: BenchFailed."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, timeout=RUN_S, check=False)
    if done.returncode == ABSENT:
        return None
    if done.returncode:
        raise BenchFailed(f"{module} failed:\n{done.stderr.decode(errors='replace')[-3000:]}")
    return done.stdout


def _summed_up(client: str, speaking: bool, times: Sequence[tuple[float, float, float]]) -> Joins:
    answered, connected, pictured = (list(each) for each in zip(*times, strict=True))
    return Joins(client, speaking, len(times), spread(answered), spread(connected), spread(pictured))


def _storm(served: Served, viewers: int, folder: Path, placement: Placement) -> Storm:
    with ExitStack() as stack:
        watch = stack.enter_context(
            running("bench.observer_process", ["--headers"], folder / "watch.log", talks=True, cores=placement.clients)
        )
        crowd = stack.enter_context(
            running("bench.receivers", [served.whep()], folder / "storm.log", talks=True, cores=placement.clients)
        )
        watch.ask({"join": [served.whep()]}, WAIT_S)
        crowd.ask({"join": 1}, WAIT_S)  # whatever is loaded with the first one
        watch.ask({"keep": True}, WAIT_S)
        before = served.usage()
        made = crowd.ask({"join": viewers, "at_once": STORM_AT_ONCE}, RUN_S)
        after = served.usage()
        watch.ask({"save": str(folder / "watched")}, WAIT_S)
    joined = viewers - int(made["failed"])
    return Storm(
        viewers,
        int(made["failed"]),
        joins_s=joined / made["seconds"],
        server_ms=1000 * (after.server_s - before.server_s) / max(1, joined),
        longest_gap_s=gaps_of(load(folder / "watched")).max_s,
    )
