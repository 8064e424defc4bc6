"""The machine that figures hold for, and how to keep a measurement to one core of it."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to compare figures."""

    cpu: str
    cores: int
    """Those that this process may use."""
    system: str
    python: str
    date: str
    load: float
    """Processes that wanted a core in the last minute, ours included; a quiet machine starts near 0."""

    def __str__(self) -> str:
        return (
            f"{self.cpu}, {self.cores} cores, {self.system}, Python {self.python}; {self.date}, "
            f"load before the run {self.load:.1f}"
        )


def this_machine() -> Machine:
    """The machine and its state now."""
    return Machine(
        cpu=_cpu_model(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        cores=len(os.sched_getaffinity(0)),
        system=f"{platform.system()} {platform.release().split('-')[0]} {platform.machine()}",
        python=platform.python_version(),
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        load=os.getloadavg()[0],
    )


def _cpu_model(cpuinfo: str) -> str:
    """The model's name; ARM kernels give none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


@contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, with all threads started from now on, to one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})  # the first one gets most of a machine's interrupts
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
