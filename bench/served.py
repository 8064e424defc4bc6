"""The real server with its worker, in processes of its own: started, put to work, and asked how it is."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bench.placement import Placement
from bench.processes import Child, answers, child_running, cpu_s, free_port, running

START_S: Final = 600.0
"""A first start encodes idle loops in both codecs and all sizes; from the cache it takes seconds."""
QUIET_S: Final = 2.0
QUIET_SHARE: Final = 0.02
STREAM: Final = "demo"
CODECS: Final = ["H264", "VP8"]
UNLIMITED: Final = {"max_speaking": "100000"}
"""What is to be measured is not refused for what was measured before."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Seconds of processor time since the start, and a moment of the monotonic clock."""

    at_s: float
    server_s: float
    worker_s: float


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    base: str
    process: Child

    def whep(self, stream: str = STREAM) -> str:
        """Where a stream is watched."""
        return f"{self.base}/whep/{stream}"

    @property
    def worker(self) -> int:
        """Its worker's process. Errors: BenchFailed."""
        worker = child_running(self.process.pid, "avatar.worker")
        if worker is None:
            raise self.process.failure("the server has no worker process")
        return worker

    def usage(self) -> Usage:
        """As of now."""
        return Usage(time.monotonic(), cpu_s(self.process.pid), cpu_s(self.worker))

    def put_on_air(self, names: Sequence[str]) -> None:
        """Further streams like the first; they can be watched when this returns. Errors: BenchFailed."""
        for name in names:
            httpx.post(f"{self.base}/streams", json={"name": name}, trust_env=False).raise_for_status()
        for name in names:
            self.process.wait_for(partial(self.is_watchable, name), START_S, f"stream {name}")

    def is_watchable(self, stream: str) -> bool:
        """Whether it has pictures yet."""
        return "H264" in self.codecs(stream)

    def codecs(self, stream: str = STREAM) -> list[str]:
        """What a stream can be watched in now; nothing while nobody listens."""
        try:
            reply = httpx.get(f"{self.base}/streams/{stream}", timeout=5, trust_env=False)
        except httpx.TransportError:
            return []
        return sorted(map(str, reply.json()["codecs"])) if reply.status_code == httpx.codes.OK else []

    def say(self, stream: str, sound: bytes) -> str:
        """Upload a file to be spoken; the utterance's id. Errors: httpx.HTTPStatusError."""
        reply = httpx.post(f"{self.base}/streams/{stream}/speech", content=sound, timeout=60, trust_env=False)
        reply.raise_for_status()
        return str(reply.json()["utterance"])

    def state(self, stream: str) -> str:
        """``idle``, ``speaking`` and so on."""
        reply = httpx.get(f"{self.base}/streams/{stream}", timeout=5, trust_env=False)
        return str(reply.raise_for_status().json()["state"])

    def metrics(self) -> dict[str, float]:
        """What it measures itself: ``name{label="value"}`` without our prefix, to the value."""
        text = httpx.get(f"{self.base}/metrics", timeout=5, trust_env=False).raise_for_status().text
        return read_metrics(text)


def read_metrics(text: str) -> dict[str, float]:
    """Prometheus' text format as plain names and values."""
    values: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            name = sample.name.removeprefix("whep_avatar_") + (f"{{{labels}}}" if labels else "")
            values[name] = sample.value
    return values


@contextmanager
def serving(
    folder: Path,
    placement: Placement,
    *,
    size: tuple[int, int] = (1280, 720),
    fps: int = 25,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """The server with its first stream on air, all of its idle loops made. Errors: BenchFailed.

    ``settings`` are those that have no option of the command, by their names.
    """
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--stream", STREAM]
    shape = ["--size", f"{size[0]}x{size[1]}", "--fps", str(fps)]
    variables = {f"WHEP_AVATAR_{name.upper()}": value for name, value in (UNLIMITED | dict(settings or {})).items()}
    log = folder / f"server-{port}.log"
    with running(
        "whep_server", ["serve", *address, *shape], log, cores=placement.server, variables=variables
    ) as process:
        served = Served(f"http://127.0.0.1:{port}", process)
        process.wait_for(lambda: answers(f"{served.base}/readyz"), START_S, "the server to be ready")
        process.wait_for(lambda: served.codecs() == CODECS, START_S, "the idle loops of both codecs")
        # a codec can be watched from its first phase on; the worker is busy until it has made the others
        process.wait_for(lambda: is_quiet(served.worker), START_S, "the worker to finish the idle loops")
        yield served


def is_quiet(pid: int) -> bool:
    """Whether a process uses next to nothing of a core; takes some seconds to see."""
    before_s = cpu_s(pid)
    time.sleep(QUIET_S)
    return cpu_s(pid) - before_s < QUIET_SHARE * QUIET_S
