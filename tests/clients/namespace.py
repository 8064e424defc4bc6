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
from urllib.parse import urlsplit

from tests.clients.bad_road import DEVICE, NEAR
from tests.clients.server_process import CACHE, START_S, environment, spawned
from tests.clients.waiting import until_now

ADDRESS = "10.201.0.1"
PORT = 8000
UDP_PORT = 8443
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
def server_inside(space: Namespace, **settings: str) -> Iterator[Path]:
    """A server that listens on the namespace's address, with both codecs of its idle loop ready; media on one port.

    ``settings`` are names of the settings class. Yields its log.
    """
    log = CACHE / f"{space.name}.log"
    place = {"host": str(urlsplit(space.base).hostname), "port": str(PORT), "udp_port": str(UDP_PORT)}
    env = environment({"cache": str(CACHE / "idle"), "insecure": "true"} | place | settings)
    command = space.argv(sys.executable, "-m", "whep_server", "serve")
    ask = space.argv(sys.executable, str(READY_PROBE), f"{space.base}/streams/demo", '"H264"', '"VP8"')
    with spawned(command, log, env=env) as process:
        until_now(
            lambda: not process.is_running() or subprocess.run(ask, check=False, timeout=20).returncode == 0,
            START_S,
            f"server ready; see {log}",
        )
        assert process.is_running(), log.read_text(errors="replace")[-4000:]
        yield log


@dataclass(frozen=True, slots=True)
class Neighbour(Namespace):
    """A host beside another one; ``device`` leads there, and further on to it alone."""

    device: str = "road"
    addresses: tuple[str, str] = ("10.202.1.1/16", "10.202.2.1/16")
    """The address it has, and another one that it could have, both with their prefix length."""


@contextmanager
def neighbour(space: Namespace) -> Iterator[Neighbour]:
    """A second namespace with a cable to ``space``, whose address it reaches; gone when the block is left."""
    host = Neighbour(f"whep-{os.getpid()}-{next(_serials)}")
    ip("netns", "add", host.name)
    try:
        ip("-n", space.name, "link", "add", "lane", "type", "veth", "peer", "name", host.device, "netns", host.name)
        for name, device, address in (
            (space.name, "lane", "10.202.0.1/16"),
            (host.name, host.device, host.addresses[0]),
        ):
            ip("-n", name, "link", "set", device, "addrgenmode", "none")
            ip("-n", name, "address", "add", address, "dev", device)
            ip("-n", name, "link", "set", device, "up")
        ip("-n", host.name, "link", "set", "lo", "up")
        ip("-n", host.name, "route", "add", "default", "via", "10.202.0.1", "dev", host.device)
        yield host
    finally:
        ip("netns", "delete", host.name)


@contextmanager
def distant(space: Namespace, **road: float) -> Iterator[Namespace]:
    """A second namespace at the other end of a ``bad_road``, of which ``road`` says how bad; gone with the block."""
    host = Namespace(f"whep-{os.getpid()}-{next(_serials)}")
    ip("netns", "add", host.name)
    try:
        ip("-n", host.name, "link", "set", "lo", "up")
        settings = [f"{name}={value}" for name, value in road.items()]
        command = [sys.executable, "-m", "tests.clients.bad_road", space.name, host.name, *settings]
        log = CACHE / f"{host.name}.log"
        with spawned(command, log) as process:
            until_now(lambda: not process.is_running() or "up" in log.read_text(), 20, f"the road open; see {log}")
            ip("-n", host.name, "route", "add", "default", "via", NEAR, "dev", DEVICE)
            yield host
    finally:
        ip("netns", "delete", host.name)
