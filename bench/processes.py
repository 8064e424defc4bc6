"""Other processes: started, asked, looked at and ended. What they use is read from /proc, as Linux counts it."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

import httpx
import msgspec

STOP_S: Final = 15.0
POLL_S: Final = 0.2
TICKS_S: Final = os.sysconf("SC_CLK_TCK")
LOG_SHOWN: Final = 3000
"""Characters of a failed process's log that are shown."""


class BenchFailed(Exception):
    """The measurement cannot be made: why, and what the process at fault said last."""


class Child:
    """A process of ours, with its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.pid = process.pid
        self._process, self._log = process, log

    def ask(self, message: dict[str, object], timeout_s: float) -> dict[str, float]:
        """Send one JSON line and read one. Errors: BenchFailed where the process ends or says nothing."""
        return msgspec.json.decode(self.ask_line(message, timeout_s), type=dict[str, float])

    def ask_line(self, message: dict[str, object], timeout_s: float) -> bytes:
        """As ``ask``, the line itself."""
        self.tell(message)
        return self._read(timeout_s, message)

    def tell(self, message: dict[str, object]) -> None:
        """The first half of ``ask``, for who asks several at once. Errors: BenchFailed."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(message) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self.failure("the process has ended") from None

    def hear(self, timeout_s: float) -> dict[str, float]:
        """The second half. Errors: BenchFailed."""
        return msgspec.json.decode(self._read(timeout_s, {}), type=dict[str, float])

    def _read(self, timeout_s: float, message: dict[str, object]) -> bytes:
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], timeout_s)
        line = self._process.stdout.readline() if readable else b""
        if not line:
            raise self.failure(f"no answer to {message} within {timeout_s:.0f} s")
        return line

    def wait_for(self, condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Wait until ``condition`` holds. Errors: BenchFailed where the process ends or the time does."""
        until_s = time.monotonic() + timeout_s
        while not condition():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise self.failure(f"waited in vain for {what}")
            time.sleep(POLL_S)

    def failure(self, what: str) -> BenchFailed:
        """An error that shows the end of the log."""
        said = self._log.read_text(encoding="utf-8", errors="replace")[-LOG_SHOWN:]
        return BenchFailed(f"{what}; process {self.pid} said last:\n{said}")


@contextmanager
def running(
    module: str,
    arguments: Sequence[str],
    log: Path,
    *,
    talks: bool = False,
    cores: Collection[int] = (),
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Child]:
    """``python -m module arguments``, ended when the block is left. One that ``talks`` is asked on its pipes.

    ``cores``: those that it, and what it starts, may use; none: all of ours. ``variables``: added to its environment.
    """
    given = ["env", *(f"{name}={value}" for name, value in variables.items())]
    command = [*given, sys.executable, "-m", module, *arguments]
    with running_command(command, log, talks=talks, cores=cores) as child:
        yield child


@contextmanager
def running_command(
    command: Sequence[str], log: Path, *, talks: bool = False, cores: Collection[int] = ()
) -> Iterator[Child]:
    """Any command; see ``running``."""
    pipe = subprocess.PIPE if talks else subprocess.DEVNULL
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe if talks else output, stderr=output)
        try:
            if cores:
                os.sched_setaffinity(process.pid, cores)
            yield Child(process, log)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=STOP_S)


def free_port() -> int:
    """A TCP port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    """Whether a server says 200 there now."""
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has used, in user and kernel mode. Units: 10 ms is the finest."""
    return _cpu_s(pid, 11)


def ended_children_s(pid: int) -> float:
    """The same of its children that have ended."""
    return _cpu_s(pid, 13)


def _cpu_s(pid: int, first: int) -> float:
    """Of two neighbours in /proc/PID/stat, counted behind the name: user and kernel mode."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[first]) + int(fields[first + 1])) / TICKS_S


def threads(pid: int) -> int:
    """How many a process has."""
    return sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())


def open_files(pid: int) -> int:
    """File descriptors that a process holds."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def move(pid: int, cores: Collection[int]) -> None:
    """Have all threads of a process use these cores."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)


def memory_mb(pid: int) -> float:
    """Resident memory."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def child_running(pid: int, module: str) -> int | None:
    """The child of ``pid``, whichever thread started it, that runs ``module``; None where there is none."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread or a child has ended meanwhile
            for child in (thread / "children").read_text(encoding="ascii").split():
                if module in Path(f"/proc/{child}/cmdline").read_text(encoding="utf-8").split("\0"):
                    return int(child)
    return None
