"""What both processes take of the machine, for the original's statistics; ``/metrics`` says the same and more."""

import os
import resource
from pathlib import Path
from typing import Final

import msgspec

from whep_server.metrics.facts import WorkerFacts

STATM: Final = Path("/proc/self/statm")
"""Memory of this process in pages, the second number what is resident; only Linux has it."""


class ServerProcess(msgspec.Struct, frozen=True):
    """The process that sends."""

    cpu_s: float
    rss_bytes: int | None
    """None where the system does not say."""


class WorkerProcess(msgspec.Struct, frozen=True):
    """The process that draws and encodes, since it was started."""

    ready: bool
    cpu_s: float
    rss_bytes: int
    frames: int
    late_frames: int
    stage_ms: dict[str, float]
    """Mean time a picture of speech took: engine, compose, encode."""


class Processes(msgspec.Struct, frozen=True):
    """Both."""

    server: ServerProcess
    worker: WorkerProcess


def processes(worker: WorkerFacts) -> Processes:
    """As of now; the worker as of its last sign of life."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    means = {stage: round(1000 * spent / max(1, worker.frames), 3) for stage, spent in worker.stage_s.items()}
    return Processes(
        ServerProcess(round(used.ru_utime + used.ru_stime, 2), _resident()),
        WorkerProcess(
            ready=worker.ready,
            cpu_s=round(worker.cpu_s, 2),
            rss_bytes=worker.rss_bytes,
            frames=worker.frames,
            late_frames=worker.late_frames,
            stage_ms=means,
        ),
    )


def _resident() -> int | None:
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
