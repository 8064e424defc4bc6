"""The real server as a subprocess, with its real worker: started, waited for, ended by its process ids."""

import os
import random
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from tests.clients.waiting import until_now

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "tests"
"""Shared by all test servers, so that the idle loop is encoded once a checkout."""
START_S = 150.0
"""Loading the models and encoding an idle loop on a slow, busy machine; from the cache it takes a few seconds."""
STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Server:
    """A running server."""

    base: str
    """Its address, as in ``http://127.0.0.1:4711``."""
    process: psutil.Process
    log: Path

    def whep(self, stream: str = "demo") -> str:
        """The WHEP address of a stream."""
        return f"{self.base}/whep/{stream}"

    def worker(self) -> psutil.Process:
        """The worker process of now.

        Errors: AssertionError where there is not exactly one.
        """
        found = [child for child in self.process.children() if "avatar.worker" in " ".join(child.cmdline())]
        assert len(found) == 1, f"workers: {found}"
        return found[0]

    def is_ready(self) -> bool:
        """Whether it says so itself. False while nobody listens."""
        anybody = ssl._create_unverified_context()  # whether it is the right one, clients are there to ask
        with suppress(httpx.TransportError):
            return httpx.get(f"{self.base}/readyz", timeout=5, trust_env=False, verify=anybody).status_code == 200
        return False

    def codecs(self, stream: str = "demo") -> list[str]:
        """The video codecs in which a stream can be watched now: H.264 first, VP8 a while after."""
        described = httpx.get(f"{self.base}/streams/{stream}", timeout=5, trust_env=False)
        return list(described.raise_for_status().json()["codecs"])

    def is_alive(self) -> bool:
        """Whether the process runs."""
        return self.process.is_running() and self.process.status() != psutil.STATUS_ZOMBIE


def free_port() -> int:
    """A TCP port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_udp_port() -> int:
    """A UDP port that nobody has on any address now; none of those that the system gives to others meanwhile."""
    while True:
        number = random.randrange(20_000, 32_000)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
            probe.bind(("", number))
            return number


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a test server: ours, less settings of whoever runs the tests, plus the test's own."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("WHEP_AVATAR_", "WEBRTC_"))}
    return inherited | {f"WHEP_AVATAR_{name.upper()}": value for name, value in settings.items()}


def end(process: psutil.Process) -> None:
    """Ask a process to stop, wait, then kill it and whatever it left behind, each by its id."""
    try:
        family = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    with suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGTERM)
    _, left = psutil.wait_procs(family, timeout=STOP_S)
    for straggler in left:
        with suppress(psutil.NoSuchProcess):
            straggler.kill()
    psutil.wait_procs(left, timeout=STOP_S)


@contextmanager
def spawned(
    command: Sequence[str], log: Path, *, env: Mapping[str, str] | None = None, cwd: Path = ROOT
) -> Iterator[psutil.Process]:
    """A child process that writes to ``log`` and is ended, with its children, when the block is left."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env, cwd=cwd
        )
        process = psutil.Process(child.pid)
        try:
            yield process
        finally:
            end(process)
            child.wait(timeout=STOP_S)


@contextmanager
def running_server(
    *,
    log_name: str = "server",
    command: Sequence[str] = (sys.executable, "-m", "whep_server", "serve"),
    cwd: Path = ROOT,
    **settings: str,
) -> Iterator[Server]:
    """A server on loopback, ready to speak. ``settings`` are names of the settings class."""
    port = free_port()
    env = environment({"host": "127.0.0.1", "port": str(port), "cache": str(CACHE / "idle")} | settings)
    with spawned(command, CACHE / f"{log_name}-{port}.log", env=env, cwd=cwd) as process:
        scheme = "https" if "tls_certificate" in settings else "http"
        server = Server(f"{scheme}://127.0.0.1:{port}", process, CACHE / f"{log_name}-{port}.log")
        until_now(lambda: server.is_ready() or not server.is_alive(), START_S, f"server ready; see {server.log}")
        assert server.is_alive(), server.log.read_text(errors="replace")[-4000:]
        yield server
