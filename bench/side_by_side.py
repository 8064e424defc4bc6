"""What a user would pick instead, with the same clip at the same rate to the same receivers, one server after another.

Two kinds: servers that make media for each viewer (unmodified aiortc, fastrtc's and pipecat's own), and relays (Janus,
a fan-out on pion), which need an encoder in front of them, whose work is counted with theirs as our worker's with ours.
Each server has one core for all that it consists of; the receivers have the others.

fastrtc, pipecat and the pion relay are made by ``make rivals``, a folder with Janus by ``tests/peers/forky.sh``. What
is not there is left out, and said so.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.clip import make_clip
from bench.fanout_cost import CLIP_S, FPS, SERVER_CORES, SIZE, Fanout, baseline, measure_server
from bench.machine import Machine, this_machine
from bench.placement import Placement, placed
from bench.processes import Child, answers, free_port, running, running_command
from bench.served import START_S, STREAM, serving
from bench.voice import long_file
from whep_server.settings import Settings

MOST_SPEECH_S: Final = 590.0
JANUS_PORTS: Final = 15004, 15002
"""As its configuration has them: pictures, sound."""
JANUS_WHEP: Final = "http://127.0.0.1:7090/whep/endpoint/picture"
JANUS_SOCKET: Final = "http://127.0.0.1:8188"
PEERS: Final = Path(__file__).parents[1] / "tests" / "peers" / "janus"


@dataclass(frozen=True, slots=True)
class SidePlan:
    """What is to be measured."""

    rivals: Path
    """Where ``make rivals`` puts what it makes."""
    janus: Path | None = None
    """A folder made by ``tests/peers/forky.sh``."""
    seconds: float = 8.0
    viewers: Sequence[int] = (1, 2, 16, 64)


@dataclass(frozen=True, slots=True)
class SideFigures:
    """All that was measured; ours comes first."""

    machine: Machine
    placement: str
    seconds: float
    servers: list[Fanout]
    missing: list[str]


@dataclass(frozen=True, slots=True)
class Rival:
    """A server that is up."""

    name: str
    endpoint: str
    processes: list[int]
    options: list[str] = field(default_factory=list)
    """Of the receivers."""


Start = Callable[[], Iterator[Rival]]


class Stage:
    """Where all of them are started, with the clip."""

    def __init__(self, plan: SidePlan, settings: Settings, folder: Path, placement: Placement) -> None:
        self._plan, self._settings, self._folder, self._placement = plan, settings, folder, placement

    def starts(self) -> tuple[list[Start], list[str]]:
        """Those that are there, and the names of those that are not."""
        there: list[Start] = [self.ours, self.aiortc]
        missing = []
        for name, path, start in (
            ("fastrtc", self._python("fastrtc"), self.fastrtc),
            ("pipecat", self._python("pipecat"), self.pipecat),
            ("pion", self._plan.rivals / "relay", self.pion),
            ("Janus", self._plan.janus, self.janus),
        ):
            if path is not None and path.exists():
                there.append(start)
            else:
                missing.append(name)
        return there, missing

    def ours(self) -> Iterator[Rival]:
        """The server and its worker, speaking: it draws and encodes while the others play what is drawn."""
        with serving(self._folder, self._placement, size=SIZE, fps=FPS, settings={"offers_per_s": "0"}) as served:
            served.say(STREAM, long_file(self._settings.assets, MOST_SPEECH_S))
            yield Rival("ours, worker counted in", served.whep(), [served.process.pid, served.worker])

    def aiortc(self) -> Iterator[Rival]:
        """A track for each viewer."""
        with baseline(self._folder, self._placement, []) as (server, endpoint):
            yield Rival("aiortc", endpoint, [server.pid])

    def fastrtc(self) -> Iterator[Rival]:
        """Its own server."""
        yield from self._conversation("fastrtc", "/webrtc/offer")

    def pipecat(self) -> Iterator[Rival]:
        """Its own transport."""
        yield from self._conversation("pipecat", "/api/offer")

    def _python(self, name: str) -> Path:
        return self._plan.rivals / name / "bin" / "python"

    def _conversation(self, name: str, path: str) -> Iterator[Rival]:
        port = free_port()
        script = Path(__file__).with_name("rivals") / f"{name}_server.py"
        command = [str(self._python(name)), str(script), str(port), str(self._folder), *map(str, (*SIZE, FPS))]
        base = f"http://127.0.0.1:{port}"
        with self._process(command, name) as server:
            server.wait_for(lambda: answers(f"{base}/openapi.json"), START_S, name)
            yield Rival(name, f"{base}{path}", [server.pid], ["--json-offer"])

    def pion(self) -> Iterator[Rival]:
        """A relay, with our encoder in front of it."""
        port, ports = free_port(), (free_port(), free_port())
        base = f"127.0.0.1:{port}"
        command = [str(self._plan.rivals / "relay"), base, *map(str, ports)]
        with self._process(command, "pion") as relay, self._feed(ports) as feed:
            relay.wait_for(lambda: answers(f"http://{base}/whep"), START_S, "the relay on pion")
            yield Rival("pion, encoder counted in", f"http://{base}/whep", [relay.pid, feed.pid])

    def janus(self) -> Iterator[Rival]:
        """The same with Janus and janus-whep-server."""
        assert self._plan.janus is not None
        folder = self._plan.janus
        configuration = folder / "opt" / "peers" / "bench"
        shutil.copytree(PEERS, configuration, dirs_exist_ok=True)
        general = configuration / "janus.jcfg"
        text = general.read_text("utf-8").replace("/opt/peers/janus", "/opt/peers/bench")
        general.write_text("\n".join(line for line in text.split("\n") if "ice_enforce_list" not in line), "utf-8")
        inside = ["chroot", str(folder), "janus", "-F", "/opt/peers/bench", "-C", "/opt/peers/bench/janus.jcfg"]
        packages = str(folder / "opt" / "peers" / "node_modules")
        with self._process(inside, "janus") as janus, self._feed(JANUS_PORTS) as feed:
            janus.wait_for(lambda: _listens(JANUS_SOCKET), START_S, "Janus")
            with self._process(["node", str(PEERS / "whep_server.mjs"), packages], "janus-whep") as whep:
                whep.wait_for(lambda: _listens(JANUS_WHEP), START_S, "janus-whep-server")
                yield Rival(
                    "Janus, encoder counted in", JANUS_WHEP, [janus.pid, whep.pid, feed.pid], ["--all-addresses"]
                )

    @contextmanager
    def _process(self, command: Sequence[str], name: str) -> Iterator[Child]:
        with running_command(command, self._folder / f"{name}.log", cores=self._placement.server) as child:
            yield child

    @contextmanager
    def _feed(self, ports: tuple[int, int]) -> Iterator[Child]:
        arguments = [str(self._folder), *map(str, ports), "--size", *map(str, SIZE), "--fps", str(FPS)]
        log = self._folder / "feed.log"
        with running("bench.relay_feed", arguments, log, cores=self._placement.server) as feed:
            yield feed


def _listens(url: str) -> bool:
    """Whether anybody answers there, with whatever status."""
    return subprocess.run(["curl", "-s", "-o", "/dev/null", "--max-time", "5", url], check=False).returncode == 0


def measure_side_by_side(settings: Settings, plan: SidePlan, say: Callable[[str], None]) -> SideFigures:
    """Run all that are there, one after the other. Errors: BenchFailed where one does not serve."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        make_clip(settings.assets, settings.avatar, SIZE, FPS, CLIP_S, folder)
        starts, missing = Stage(plan, settings, folder, placement).starts()
        servers = []
        for start in starts:
            say(f"starting {start.__name__}")
            with ExitStack() as stack:
                rival = stack.enter_context(contextmanager(start)())
                servers.append(
                    measure_server(
                        rival.name,
                        rival.processes,
                        rival.endpoint,
                        plan.viewers,
                        plan.seconds,
                        folder,
                        placement,
                        say,
                        rival.options,
                    )
                )
    return SideFigures(machine, str(placement), plan.seconds, servers, missing)
