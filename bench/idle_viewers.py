"""What viewers cost who watch an avatar that says nothing: the real server, and beside it one that encodes for each.

Both serve the same idle loop over loopback to the same light receivers, in processes of their own. Processor time is
what the kernel counted for the process during the window, so a busy machine blurs it but does not add to it.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figures import slope
from bench.machine import Machine, this_machine
from bench.placement import Placement, placed
from bench.processes import Child, answers, cpu_s, free_port, memory_mb, running
from bench.served import START_S, serving

SERVER_CORES: Final = 2
JOIN_S: Final = 120.0
SETTLE_S: Final = 2.0
"""After the last join: handshakes are over, and their garbage is collected."""
MOST_BASELINE: Final = 4
"""Viewers that are tried against the server that encodes for each; no usual machine has cores for more."""
KEPT: Final = 0.98
"""A server that sends fewer of its frames than this share is overloaded."""


@dataclass(frozen=True, slots=True)
class Window:
    """One number of viewers for some seconds."""

    viewers: int
    server_percent: float
    """Of one core."""
    worker_percent: float
    frames_s: float
    """Pictures that each viewer received a second."""
    packets_s: float
    """Packets, of pictures and sound, that each viewer received a second."""
    lost: int
    memory_mb: float
    """Resident, of the server process."""

    @property
    def ms_per_picture(self) -> float:
        """Milliseconds of processor time for each picture that a viewer received, all else included."""
        pictures_s = self.viewers * self.frames_s
        return 10 * self.server_percent / pictures_s if pictures_s else 0.0


@dataclass(frozen=True, slots=True)
class BaselineFigures:
    """The server that encodes for each viewer, with one codec."""

    codec: str
    windows: list[Window]
    """Ascending; the last one may be overloaded."""

    def ms_per_viewer_s(self, fps: int) -> float:
        """The least that a viewer cost; a window that missed pictures counts as if it had sent them."""
        return min((window.ms_per_picture * fps for window in self.windows), default=0.0)


@dataclass(frozen=True, slots=True)
class IdleFigures:
    """All that was measured."""

    machine: Machine
    size: str
    fps: int
    seconds: float
    windows: list[Window]
    baseline: list[BaselineFigures]

    @property
    def ms_per_viewer_s(self) -> float:
        """Milliseconds of processor time a second that one more viewer costs."""
        return slope([(window.viewers, 10 * window.server_percent) for window in self.windows]) or 0.0

    @property
    def kb_per_viewer(self) -> float:
        """Memory that one more viewer costs."""
        return 1000 * (slope([(window.viewers, window.memory_mb) for window in self.windows]) or 0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    size: tuple[int, int]
    fps: int
    seconds: float
    viewers: Sequence[int]
    """Ascending. No viewer at all is measured first."""
    baseline_viewers: int = MOST_BASELINE


def measure_idle(plan: Plan, say: Callable[[str], None]) -> IdleFigures:
    """Run both servers, one after the other, and ``say`` what is done. Errors: BenchFailed where one does not serve."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as folder, placed(SERVER_CORES) as placement:
        say("starting the server and waiting for its idle loops; the first start encodes them, which takes minutes")
        windows = _measure_ours(plan, Path(folder), placement, say)
        baseline: list[BaselineFigures] = []
        for codec in ("H264", "VP8"):
            say(f"starting a server where aiortc encodes {codec} for each viewer")
            baseline.append(_measure_baseline(plan, codec, Path(folder), placement, say))
    size = f"{plan.size[0]}x{plan.size[1]}"
    return IdleFigures(machine, size, plan.fps, plan.seconds, windows, baseline)


def _measure_ours(plan: Plan, folder: Path, placement: Placement, say: Callable[[str], None]) -> list[Window]:
    with serving(folder, placement, size=plan.size, fps=plan.fps) as served:
        endpoint = [served.whep(), "--codec", "H264"]
        server, worker = served.process.pid, served.worker
        log = folder / "receivers.log"
        with running("bench.receivers", endpoint, log, talks=True, cores=placement.clients) as crowd:
            return [_window(plan, server, worker, crowd, count) for count in _steps(plan.viewers, crowd, say)]


def _measure_baseline(
    plan: Plan, codec: str, folder: Path, placement: Placement, say: Callable[[str], None]
) -> BaselineFigures:
    """More and more viewers, until the server cannot keep its rate; that last window is told, too."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    arguments = ["--port", str(port), "--size", *map(str, plan.size), "--fps", str(plan.fps)]
    windows: list[Window] = []
    log = folder / f"baseline-{codec}.log"
    with running("bench.baseline", arguments, log, cores=placement.server) as server:
        server.wait_for(lambda: answers(base), START_S, "the server to compare with")
        endpoint = [f"{base}/whep", "--codec", codec]
        log = folder / f"receivers-{codec}.log"
        with running("bench.receivers", endpoint, log, talks=True, cores=placement.clients) as crowd:
            for count in _steps(range(1, plan.baseline_viewers + 1), crowd, say):
                if not count:
                    continue
                windows.append(_window(plan, server.pid, None, crowd, count))
                if windows[-1].frames_s < KEPT * plan.fps:
                    break
    return BaselineFigures(codec, windows)


def _steps(viewers: Sequence[int], crowd: Child, say: Callable[[str], None]) -> Iterator[int]:
    """No viewer, then so many each time, joined when the count is taken."""
    yield 0
    joined = 0
    for count in viewers:
        crowd.ask({"join": count - joined}, JOIN_S)
        joined = count
        say(f"{count} viewers")
        yield count


def _window(plan: Plan, server: int, worker: int | None, crowd: Child, viewers: int) -> Window:
    time.sleep(SETTLE_S)
    began_s = time.monotonic()
    before = cpu_s(server), cpu_s(worker) if worker else 0.0
    seen = crowd.ask({"count": plan.seconds}, plan.seconds + JOIN_S)
    after = cpu_s(server), cpu_s(worker) if worker else 0.0
    passed_s = time.monotonic() - began_s
    each = max(1, viewers) * plan.seconds
    return Window(
        viewers,
        server_percent=100 * (after[0] - before[0]) / passed_s,
        worker_percent=100 * (after[1] - before[1]) / passed_s,
        frames_s=seen["frames"] / each,
        packets_s=(seen["video_packets"] + seen["audio_packets"]) / each,
        lost=int(seen["lost"]),
        memory_mb=memory_mb(server),
    )
