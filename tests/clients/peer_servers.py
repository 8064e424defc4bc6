"""Runs the conformance tool against WHIP and WHEP servers that are not ours, and against ours, in one network.

    FORKY=/tmp/forky python -m tests.clients.peer_servers REPORT_FOLDER

Janus with janus-whep-server and with simple-whip-server come from a folder that tests/peers/forky.sh has made. Writes
SERVER.json for each; docs/conformance.md is made from them.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from conformance.catalogue import ALL_CHECKS
from tests.clients.namespace import Namespace, network_namespace, server_inside
from tests.clients.peers import SOURCES, need
from tests.clients.server_process import CACHE, spawned
from tests.clients.waiting import until_now

READY_S = 60.0
RUN_S = 900.0
FEED = (
    "videotestsrc is-live=true pattern=ball ! video/x-raw,width=640,height=360,framerate=30/1 "
    "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=60 bitrate=800 "
    "! video/x-h264,profile=constrained-baseline ! rtph264pay config-interval=-1 pt=96 "
    "! udpsink host=127.0.0.1 port=15004 "
    "audiotestsrc is-live=true ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay pt=111 "
    "! udpsink host=127.0.0.1 port=15002"
)
WHEP_PEER = "http://127.0.0.1:7090/whep/endpoint/picture"
WHIP_PEER = "http://127.0.0.1:7080/whip/endpoint/room"
WHIP_CREATE = "http://127.0.0.1:7080/whip/create"
RESTARTS = ("R-01", "R-02", "R-03", "R-04")
"""Checks that look at the reply to one PATCH."""


def answers(space: Namespace, url: str, body: str | None = None) -> bool:
    """Whether somebody answers there, with whatever status."""
    sending = ["-H", "Content-Type: application/json", "-d", body] if body else []
    command = space.argv(need("curl"), "-s", "-o", "/dev/null", "--max-time", "5", *sending, url)
    return subprocess.run(command, check=False, timeout=20).returncode == 0


@contextmanager
def janus(space: Namespace, folder: Path) -> Iterator[None]:
    """Janus, its feed, and the two servers in front of it."""
    configuration = folder / "opt" / "peers" / "janus"
    shutil.copytree(SOURCES / "janus", configuration, dirs_exist_ok=True)
    inside = ["chroot", str(folder)]
    packages = str(folder / "opt" / "peers" / "node_modules")
    servers = {
        "janus": [*inside, "janus", "-F", "/opt/peers/janus", "-C", "/opt/peers/janus/janus.jcfg"],
        "feed": [*inside, "gst-launch-1.0", "-q", *FEED.split()],
        "whep": [need("node"), str(SOURCES / "janus" / "whep_server.mjs"), packages],
        "whip": [*inside, "sh", "-c", "cd /usr/share/simple-whip-server && exec node src/server.js"],
    }
    with ExitStack() as stack:
        for name, command in servers.items():
            log = CACHE / f"peer-{name}.log"
            stack.enter_context(spawned(space.argv(*command), log, env=dict(os.environ)))
            if name == "janus":
                until_now(lambda: answers(space, "http://127.0.0.1:8188"), READY_S, f"Janus ready; see {log}")
        until_now(lambda: answers(space, WHEP_PEER), READY_S, "janus-whep-server ready")
        until_now(
            lambda: answers(space, WHIP_CREATE, '{"id": "room", "room": 1234}'), READY_S, "simple-whip-server ready"
        )
        yield


def judge(space: Namespace, protocol: str, url: str, report: Path, *options: str) -> None:
    """One run of the tool."""
    tool = [sys.executable, "-m", "conformance", protocol, url, "--allow-http", "--json", str(report), *options]
    subprocess.run(space.argv(*tool), check=False, timeout=RUN_S)


def judge_apart(space: Namespace, report: Path) -> None:
    """simple-whip-server, every check on an endpoint of its own, the four restarts on one.

    An endpoint takes one publisher, and one whose offer it could not handle occupies it for good.
    """
    names = [each.id for each in ALL_CHECKS if "whip" in each.protocols and each.id not in RESTARTS]
    judge(space, "whip", WHIP_PEER, report, "--no-live")
    whole = json.loads(report.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="conformance-") as name:
        part = Path(name) / "part.json"
        checks = []
        for number, chosen in enumerate([*names, ",".join(RESTARTS)]):
            answers(space, WHIP_CREATE, json.dumps({"id": f"room{number}", "room": 1234}))
            judge(space, "whip", f"{WHIP_PEER}{number}", part, "--only", chosen)
            checks += json.loads(part.read_text("utf-8"))["checks"]
    whole["checks"] = checks
    whole["totals"] = {outcome: [check["outcome"] for check in checks].count(outcome) for outcome in whole["totals"]}
    del whole["clauses"]
    report.write_text(json.dumps(whole), "utf-8")


def main(reports: str) -> None:
    folder = Path(reports).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with network_namespace() as space:
        with janus(space, Path(os.environ["FORKY"])):
            judge(space, "whep", WHEP_PEER, folder / "janus-whep-server.json")
            judge_apart(space, folder / "simple-whip-server.json")
        with server_inside(space):
            judge(space, "whep", f"{space.base}/whep/demo", folder / "whep-avatar-whep.json")
            judge(space, "whip", f"{space.base}/whip/demo", folder / "whep-avatar-whip.json")


if __name__ == "__main__":
    main(*sys.argv[1:])
