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
from bench.processes import BenchFailed, Child, answers, child_running, cpu_s, free_port, running
from bench.voice import seconds_of
from whep_server.settings import Settings

START_S: Final = 300.0
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
class SessionFigures:
    """All that was measured."""

    machine: Machine
    size: str
    sentence_s: float
    rows: list[Row]
    health_p50_ms: float
    """A request to ``/health`` after all that."""


@dataclass(frozen=True, slots=True)
class SessionPlan:
    """What is to be measured."""

    sessions: Sequence[int]
    rates: Sequence[int]


def measure_sessions(settings: Settings, plan: SessionPlan, say: Callable[[str], None]) -> SessionFigures:
    """Run the server and its clients. Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    sound = settings.assets / SENTENCE
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as folder:
        logs = Path(folder)
        say("starting the server; a first start encodes its idle loops, which takes a minute")
        with running(
            "whep_server", ["serve", "--host", "127.0.0.1", "--port", str(port)], logs / "server.log"
        ) as server:
            server.wait_for(lambda: answers(f"{base}/readyz"), START_S, "the server to be ready")
            _warm(base, settings.avatar, plan.rates, server, say)
            rows = [
                _row(base, settings.avatar, sound, server, logs, (family, count, fps), say)
                for fps in plan.rates
                for count in plan.sessions
                for family in FAMILIES
            ]
            health = _health_ms(base)
    return SessionFigures(machine, f"{settings.width}x{settings.height}", seconds_of(sound), rows, health)


def _warm(base: str, avatar: str, rates: Sequence[int], server: Child, say: Callable[[str], None]) -> None:
    """Have the idle loops of all rates encoded, so that no row pays for them."""
    for fps in rates:
        say(f"waiting for the idle loops at {fps} frames/s")
        reply = httpx.post(
            f"{base}/streams", json={"name": f"warm-{fps}", "avatar": avatar, "fps": fps}, trust_env=False
        )
        reply.raise_for_status()
        server.wait_for(
            lambda fps=fps: len(_codecs(base, f"warm-{fps}")) > 1,  # type: ignore[misc]  # mypy cannot infer it
            START_S,
            "idle loops",
        )


def _codecs(base: str, stream: str) -> list[str]:
    reply = httpx.get(f"{base}/streams/{stream}", trust_env=False)
    return list(reply.json()["codecs"]) if reply.status_code == httpx.codes.OK else []


def _row(
    base: str,
    avatar: str,
    sound: Path,
    server: Child,
    logs: Path,
    case: tuple[str, int, int],
    say: Callable[[str], None],
) -> Row:
    family, count, fps = case
    say(f"{count} {family} sessions at {fps} frames/s")
    arguments = [base, "--family", family, "--sessions", str(count), "--fps", str(fps), "--avatar", avatar]
    arguments += ["--sound", str(sound)]
    with running("bench.session_load", arguments, logs / "clients.log", talks=True) as clients:
        return _measured(clients, server, case)


def _measured(clients: Child, server: Child, case: tuple[str, int, int]) -> Row:
    family, count, fps = case
    worker = child_running(server.pid, "avatar.worker")
    if worker is None:
        raise server.failure("the server has no worker process")
    clients.ask({"run": 1}, JOIN_S + RUN_S)  # the first utterance of a session warms what is loaded when it is needed
    began_s, before = time.monotonic(), (cpu_s(server.pid), cpu_s(worker))
    seen = clients.ask({"run": 1}, RUN_S)
    after, run_s = (cpu_s(server.pid), cpu_s(worker)), time.monotonic() - began_s
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
        run_s=run_s,
        server_cpu_s=after[0] - before[0],
        worker_cpu_s=after[1] - before[1],
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
