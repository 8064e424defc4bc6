"""What one more viewer of one speaking stream costs the server, beside unmodified aiortc with a track a viewer.

All serve the same pictures and sound over loopback to the same receivers: real WHEP sessions, whose packets are counted
on their sockets by header, and a sample of them decrypted. The server has one core to itself where there are two, the
receivers and the worker, whose work does not grow with viewers, have the others.

``measure_server`` is what anybody else's server can be measured with as well: see ``bench.baseline`` for the least that
one must do.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.clip import make_clip
from bench.figures import slope
from bench.machine import Machine, this_machine
from bench.placement import Placement, placed
from bench.processes import BenchFailed, Child, answers, cpu_s, free_port, memory_mb, move, running
from bench.served import START_S, STREAM, Served, serving
from bench.voice import long_file
from whep_server.settings import Settings

SERVER_CORES: Final = 1
SIZE: Final = (1280, 720)
FPS: Final = 25
CLIP_S: Final = 8
JOIN_S: Final = 300.0
SETTLE_S: Final = 2.0
"""After the last join: handshakes are over, and their garbage is collected."""
KEPT: Final = 0.98
"""A server that sends fewer of its frames than this share is overloaded."""
RATE_KEPT: Final = 0.9
"""A server that sends less of the bits has gone over to smaller pictures."""
RECEIVERS: Final = 4
"""Most processes of receivers: one a core."""
DRY: Final = 0.9
"""Part of a core above which receivers may be what is slow."""
MOST_SPEECH_S: Final = 590.0


@dataclass(frozen=True, slots=True)
class Window:
    """One number of viewers for some seconds."""

    viewers: int
    server_percent: float
    """Of one core."""
    frames_s: float
    """Pictures that each viewer received a second."""
    packets_s: float
    """Packets, of pictures and sound, that each viewer received a second."""
    kbps: float
    """What each received, headers and keys' tags included."""
    lost: int
    rejected: int
    """Of the packets that were decrypted, those that were not meant for their viewer."""
    verified: int
    memory_mb: float
    receiver_percent: float
    """Of one core, the busiest process of receivers."""

    @property
    def us_a_packet(self) -> float:
        """Processor time of all that the server does, for each packet that came."""
        packets_s = self.viewers * self.packets_s
        return 1e4 * self.server_percent / packets_s if packets_s else 0.0

    @property
    def keeps_up(self) -> bool:
        """Whether the server sent what it should."""
        return not self.viewers or self.frames_s >= KEPT * FPS


@dataclass(frozen=True, slots=True)
class Fanout:
    """One server and all its numbers of viewers."""

    name: str
    windows: list[Window]

    def carries(self, window: Window) -> bool:
        """Whether there were viewers, and each got all pictures, as large as a single viewer's."""
        first = next((each for each in self.windows if each.viewers), window)
        return bool(window.viewers) and window.keeps_up and window.kbps >= RATE_KEPT * first.kbps

    @property
    def slope_ms(self) -> float | None:
        """The slope of ``ms_per_viewer_s`` alone; None where it could carry no two numbers of viewers."""
        return slope([(window.viewers, 10 * window.server_percent) for window in self.windows if self.carries(window)])

    @property
    def ms_per_viewer_s(self) -> float:
        """Milliseconds of processor time a second for one more viewer: the slope over the numbers it could carry.

        Where it could carry no two, the cheapest viewer's share of all that the server did, for all pictures as if
        those that did not arrive had been as dear as the others.
        """
        if (grown := self.slope_ms) is not None:
            return grown
        watched = [window for window in self.windows if window.viewers and window.frames_s]
        return min((10 * each.server_percent / each.viewers * FPS / each.frames_s for each in watched), default=0.0)

    @property
    def viewers_a_core(self) -> float:
        """Calculated from that."""
        return 1000 / self.ms_per_viewer_s if self.ms_per_viewer_s > 0 else 0.0

    @property
    def kb_per_viewer(self) -> float:
        """Memory that one more viewer costs."""
        return 1000 * (slope([(window.viewers, window.memory_mb) for window in self.windows]) or 0.0)


@dataclass(frozen=True, slots=True)
class FanoutFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    seconds: float
    ours: Fanout
    packets: Fanout
    """aiortc, given packets."""
    encoding: Fanout
    """aiortc, encoding for each viewer."""


@dataclass(frozen=True, slots=True)
class FanoutPlan:
    """What is to be measured. Numbers of viewers are ascending."""

    seconds: float = 8.0
    viewers: Sequence[int] = (1, 50, 150, 300)
    packets: Sequence[int] = (1, 25, 50)
    encoding: Sequence[int] = (1, 2)


def measure_fanout(settings: Settings, plan: FanoutPlan, say: Callable[[str], None]) -> FanoutFigures:
    """Run all servers, one after the other. Errors: BenchFailed where one does not serve."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        ours = measure_ours("ours", settings, {}, plan.viewers, plan.seconds, folder, placement, say)
        make_clip(settings.assets, settings.avatar, SIZE, FPS, CLIP_S, folder)
        theirs = []
        for title, options, viewers in (
            ("aiortc, given packets", ["--packets"], plan.packets),
            ("aiortc, encoding for each", [], plan.encoding),
        ):
            say(f"starting {title}")
            with baseline(folder, placement, options) as (server, endpoint):
                theirs.append(
                    measure_server(title, [server.pid], endpoint, viewers, plan.seconds, folder, placement, say)
                )
    return FanoutFigures(machine, str(placement), plan.seconds, ours, *theirs)


def measure_ours(
    name: str,
    settings: Settings,
    changes: Mapping[str, str],
    viewers: Sequence[int],
    seconds: float,
    folder: Path,
    placement: Placement,
    say: Callable[[str], None],
) -> Fanout:
    """A server of ours whose stream speaks all the while; ``changes`` are settings. Errors: BenchFailed."""
    many = {"max_viewers": str(2 * max(viewers)), "offers_per_s": "0", **changes}
    with serving(folder, placement, size=SIZE, fps=FPS, settings=many) as served:
        move(served.worker, placement.clients)
        file = long_file(settings.assets, MOST_SPEECH_S)
        served.say(STREAM, file)
        result = measure_server(name, [served.process.pid], served.whep(), viewers, seconds, folder, placement, say)
        _still_speaking(served)
    return result


def _still_speaking(served: Served) -> None:
    if served.state(STREAM) == "idle":
        raise BenchFailed("the stream fell silent while viewers were counted")


@contextmanager
def baseline(folder: Path, placement: Placement, options: Sequence[str]) -> Iterator[tuple[Child, str]]:
    """A server of aiortc's with the clip in ``folder``: its process, and where it is watched."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    arguments = ["--port", str(port), "--size", *map(str, SIZE), "--fps", str(FPS), "--clip", str(folder), *options]
    with running("bench.baseline", arguments, folder / f"baseline-{port}.log", cores=placement.server) as server:
        server.wait_for(lambda: answers(base), START_S, "the server to compare with")
        yield server, f"{base}/whep"


def measure_server(
    name: str,
    processes: Sequence[int],
    endpoint: str,
    viewers: Sequence[int],
    seconds: float,
    folder: Path,
    placement: Placement,
    say: Callable[[str], None],
    options: Sequence[str] = (),
) -> Fanout:
    """Ever more viewers of an endpoint, until it cannot keep its rate; that last window is told, too.

    ``processes``: all that the server consists of. ``options`` are those of ``bench.receivers``.
    """
    with ExitStack() as stack:
        crowds = [
            stack.enter_context(
                running(
                    "bench.receivers",
                    [endpoint, *options],
                    folder / f"receivers-{number}.log",
                    talks=True,
                    cores={core},
                )
            )
            for number, core in enumerate(sorted(placement.clients)[:RECEIVERS])
        ]
        windows = [_window(processes, crowds, 0, seconds)]
        for count in viewers:
            _join(crowds, count - windows[-1].viewers)
            say(f"{name}: {count} viewers")
            windows.append(_window(processes, crowds, count, seconds))
            if not Fanout(name, windows).carries(windows[-1]):
                break
    return Fanout(name, windows)


def _join(crowds: Sequence[Child], count: int) -> None:
    """So many more, spread over the processes."""
    for number, crowd in enumerate(crowds):
        share = count // len(crowds) + (number < count % len(crowds))
        if share and crowd.ask({"join": share}, JOIN_S)["failed"]:
            raise crowd.failure("viewers could not join")


def _window(processes: Sequence[int], crowds: Sequence[Child], viewers: int, seconds: float) -> Window:
    time.sleep(SETTLE_S)
    began_s, before_s = time.monotonic(), sum(map(cpu_s, processes))
    for crowd in crowds:
        crowd.tell({"count": seconds})
    seen = [crowd.hear(seconds + JOIN_S) for crowd in crowds]
    passed_s, used_s = time.monotonic() - began_s, sum(map(cpu_s, processes)) - before_s
    total = {name: sum(each[name] for each in seen) for name in seen[0]}
    each = max(1, viewers) * total["seconds"] / len(seen)
    return Window(
        viewers,
        server_percent=100 * used_s / passed_s,
        frames_s=total["frames"] / each,
        packets_s=(total["video_packets"] + total["audio_packets"]) / each,
        kbps=8 * total["octets"] / each / 1000,
        lost=int(total["lost"]),
        rejected=int(total["rejected"]),
        verified=int(total["verified"]),
        memory_mb=sum(map(memory_mb, processes)),
        receiver_percent=max(100 * one["cpu_s"] / one["seconds"] for one in seen),
    )
