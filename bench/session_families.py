"""The original server's two families of sessions side by side: one server, the same sentence, clients of either kind.

For each number of sessions and each rate, all sessions speak at once; then all are deleted at once. What the server's
two processes use of the machine is measured over the time that the clients need.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.figures import quantile
from bench.machine import Machine, this_machine
from bench.placement import placed
from bench.processes import BenchFailed, Child, running
from bench.served import START_S, Served, serving
from bench.voice import seconds_of
from whep_server.settings import Settings

SERVER_CORES: Final = 2
JOIN_S: Final = 120.0
RUN_S: Final = 180.0
FAMILIES: Final = ("webrtc", "sse")
SENTENCE: Final = Path("speech") / "tutor.ogg"
"""Within the assets: a few seconds."""


@dataclass(frozen=True, slots=True)
class Row:
    """So many sessions of one family at one rate. Units: as the names say; ``kbps`` of sound and picture, a session."""

    family: str
    sessions: int
    fps: int
    finished: int
    deleted: int
    accepted_p50_ms: float
    live_p50_ms: float
    live_max_ms: float
    interval_p50_ms: float
    interval_p99_ms: float
    interval_max_ms: float
    stalls: int
    pictures: int
    kbps: float
    run_s: float
    """From the request to the end of the last session's speech."""
    server_cpu_s: float
    worker_cpu_s: float

    @property
    def cpu_percent(self) -> float:
        """Of one core, for each session while it speaks."""
        spoken_s = self.pictures / self.fps
        return 100 * (self.server_cpu_s + self.worker_cpu_s) / spoken_s if spoken_s else 0.0


@dataclass(frozen=True, slots=True)
class FamilyFigures:
    """All that was measured."""

    machine: Machine
    size: str
    sentence_s: float
    rows: list[Row]
    health_p50_ms: float
    """A request to ``/health`` after all that."""


@dataclass(frozen=True, slots=True)
class FamilyPlan:
    """What is to be measured."""

    sessions: Sequence[int]
    rates: Sequence[int]


def measure_families(settings: Settings, plan: FamilyPlan, say: Callable[[str], None]) -> FamilyFigures:
    """Run the server and its clients. Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    sound = settings.assets / SENTENCE
    size = settings.width, settings.height
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as folder, placed(SERVER_CORES) as placement:
        logs = Path(folder)
        say("starting the server; a first start encodes its idle loops, which takes some minutes")
        with serving(logs, placement, size=size, fps=settings.fps) as served:
            _warm(served, settings.avatar, plan.rates, say)
            rows = [
                _row(served, settings.avatar, sound, logs, (family, count, fps), say)
                for fps in plan.rates
                for count in plan.sessions
                for family in FAMILIES
            ]
            health = _health_ms(served.base)
    return FamilyFigures(machine, f"{size[0]}x{size[1]}", seconds_of(sound), rows, health)


def _warm(served: Served, avatar: str, rates: Sequence[int], say: Callable[[str], None]) -> None:
    """Have the idle loops of all rates encoded, so that no row pays for them."""
    for fps in rates:
        say(f"waiting for the idle loops at {fps} frames/s")
        reply = httpx.post(
            f"{served.base}/streams", json={"name": f"warm-{fps}", "avatar": avatar, "fps": fps}, trust_env=False
        )
        reply.raise_for_status()
        served.process.wait_for(
            lambda fps=fps: len(served.codecs(f"warm-{fps}")) > 1,  # type: ignore[misc]  # mypy cannot infer it
            START_S,
            "idle loops",
        )


def _row(
    served: Served,
    avatar: str,
    sound: Path,
    logs: Path,
    case: tuple[str, int, int],
    say: Callable[[str], None],
) -> Row:
    family, count, fps = case
    say(f"{count} {family} sessions at {fps} frames/s")
    arguments = [served.base, "--family", family, "--sessions", str(count), "--fps", str(fps), "--avatar", avatar]
    arguments += ["--sound", str(sound)]
    with running("bench.session_load", arguments, logs / "clients.log", talks=True) as clients:
        return _measured(clients, served, case)


def _measured(clients: Child, served: Served, case: tuple[str, int, int]) -> Row:
    family, count, fps = case
    clients.ask({"run": 1}, JOIN_S + RUN_S)  # the first utterance of a session warms what is loaded when it is needed
    before = served.usage()
    seen = clients.ask({"run": 1}, RUN_S)
    after = served.usage()
    deleted = int(clients.ask({"end": 1}, JOIN_S)["deleted"])
    return Row(
        family,
        count,
        fps,
        finished=int(seen["finished"]),
        deleted=deleted,
        accepted_p50_ms=seen["accepted_p50_ms"],
        live_p50_ms=seen["live_p50_ms"],
        live_max_ms=seen["live_max_ms"],
        interval_p50_ms=seen["interval_p50_ms"],
        interval_p99_ms=seen["interval_p99_ms"],
        interval_max_ms=seen["interval_max_ms"],
        stalls=int(seen["stalls"]),
        pictures=int(seen["pictures"]),
        kbps=seen["kbps"],
        run_s=after.at_s - before.at_s,
        server_cpu_s=after.server_s - before.server_s,
        worker_cpu_s=after.worker_s - before.worker_s,
    )


def _health_ms(base: str) -> float:
    times = []
    for _ in range(20):
        began_s = time.monotonic()
        if httpx.get(f"{base}/health", trust_env=False).status_code != httpx.codes.OK:
            raise BenchFailed("the server is not healthy after the run")
        times.append(1000 * (time.monotonic() - began_s))
    return quantile(times, 0.5)


def pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, Row]]:
    """WebRTC and SSE of the same case."""
    for row in rows:
        other = next(
            (each for each in rows if (each.family, each.sessions, each.fps) == ("sse", row.sessions, row.fps)), None
        )
        if row.family == "webrtc" and other is not None:
            yield row, other
