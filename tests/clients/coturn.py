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


def shipped(public: str, local: str) -> str:
    """The configuration that we ship, for a machine with a public address and its own, which may be the same."""
    (compose,) = documents("compose.yaml")
    text = compose["configs"]["coturn"]["content"]  # type: ignore[index]  # it is a mapping, or the test fails
    filled = text.replace("${PUBLIC_IP:?}", public).replace("${LOCAL_IP:?}", local)
    return Template(filled).substitute(TURN_SECRET=SECRET, DOMAIN="example.org", LOCAL_IP=local)


@contextmanager
def coturn(space: Namespace, public: str, folder: Path, local: str = "") -> Iterator[Path]:
    """A STUN and TURN server in a namespace, UDP and TCP; its log. ``local``: its own address, behind a NAT."""
    address = local or public
    configuration, log = folder / "coturn.conf", folder / "coturn.log"
    configuration.write_text(shipped(public, address))
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
