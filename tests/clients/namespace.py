"""A network of its own: one address, no way out. GStreamer's ICE ignores 127.0.0.1, Firefox gathers nothing on it.

Both ends of the virtual cable are inside, so no packet can reach the machine or anything beyond it; the default route
leads to the end where nobody answers. Needs root.
"""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.clients.server_process import CACHE, START_S, environment, spawned
from tests.clients.waiting import until_now

ADDRESS = "10.201.0.1"
PORT = 8000
READY_PROBE = Path(__file__).with_name("ready_probe.py")
_serials = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Namespace:
    """An isolated host."""

    name: str
    base: str = f"http://{ADDRESS}:{PORT}"

    def argv(self, *command: str) -> list[str]:
        """A command line that runs inside."""
        return ["ip", "netns", "exec", self.name, *command]

    def run_json(self, command: Sequence[str], seconds: float) -> dict[str, object]:
        """Run a client inside and read the JSON object it prints.

        Errors: AssertionError with all it said, where it failed.
        """
        result = subprocess.run(self.argv(*command), capture_output=True, text=True, timeout=seconds, check=False)
        assert result.returncode == 0, f"{command}\n{result.stdout[-4000:]}\n{result.stderr[-4000:]}"
        answer: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
        return answer


def ip(*arguments: str) -> None:
    """Run ``ip``.

    Errors: CalledProcessError with its words on standard error.
    """
    subprocess.run(["ip", *arguments], check=True, timeout=20)


@contextmanager
def network_namespace() -> Iterator[Namespace]:
    """Make a namespace; it and its addresses are gone when the block is left."""
    name = f"whep-{os.getpid()}-{next(_serials)}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "add", "cable", "type", "veth", "peer", "name", "nobody")
        for link in ("cable", "nobody"):
            ip("-n", name, "link", "set", link, "addrgenmode", "none")  # IPv6 would take seconds to settle
        ip("-n", name, "address", "add", f"{ADDRESS}/24", "dev", "cable")
        for link in ("lo", "cable", "nobody"):
            ip("-n", name, "link", "set", link, "up")
        ip("-n", name, "route", "add", "default", "via", "10.201.0.2", "dev", "cable")
        yield Namespace(name)
    finally:
        ip("netns", "delete", name)


@contextmanager
def server_inside(space: Namespace) -> Iterator[None]:
    """A server that listens on the namespace's address, with both codecs of its idle loop ready."""
    log = CACHE / f"{space.name}.log"
    env = environment({"host": ADDRESS, "port": str(PORT), "cache": str(CACHE / "idle")})
    command = space.argv(sys.executable, "-m", "whep_server", "serve")
    ask = space.argv(sys.executable, str(READY_PROBE), f"{space.base}/streams/demo", '"H264"', '"VP8"')
    with spawned(command, log, env=env) as process:
        until_now(
            lambda: not process.is_running() or subprocess.run(ask, check=False, timeout=20).returncode == 0,
            START_S,
            f"server ready; see {log}",
        )
        assert process.is_running(), log.read_text(errors="replace")[-4000:]
        yield
