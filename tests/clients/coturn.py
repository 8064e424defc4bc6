"""Debian's coturn, configured by what deploy/compose.yaml gives its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from tests.clients.namespace import Namespace
from tests.clients.peers import need
from tests.clients.server_process import spawned
from tests.clients.waiting import until_now
from tests.deploy_files import documents

SECRET = "shared-with-coturn-Qx27"
PORT, OTHER_PORT = 3478, 3480
"""The second one tells whether a NAT gives each destination another port."""


def shipped(address: str) -> str:
    """The configuration that we ship, for a machine with one public address."""
    (compose,) = documents("compose.yaml")
    text = compose["configs"]["coturn"]["content"]  # type: ignore[index]  # it is a mapping, or the test fails
    filled = text.replace("${PUBLIC_IP:?}", address).replace("${LOCAL_IP:?}", address)
    return Template(filled).substitute(TURN_SECRET=SECRET, DOMAIN="example.org", LOCAL_IP=address)


@contextmanager
def coturn(space: Namespace, address: str, folder: Path) -> Iterator[Path]:
    """A STUN and TURN server in a namespace, UDP and TCP; its log."""
    configuration, log = folder / "coturn.conf", folder / "coturn.log"
    configuration.write_text(shipped(address))
    options = {
        "-c": configuration,
        "--listening-ip": address,
        "--relay-ip": address,
        "--aux-server": f"{address}:{OTHER_PORT}",
        "--pidfile": folder / "coturn.pid",
        "--userdb": folder / "coturn.db",
    }
    command = [need("turnserver"), "-v", *(str(word) for each in options.items() for word in each)]
    with spawned(space.argv(*command), log) as process:
        until_now(
            lambda: not process.is_running() or log.read_text().count("listener opened on") >= 4,
            20,
            f"coturn listening; see {log}",
        )
        assert process.is_running(), log.read_text()[-4000:]
        yield log
