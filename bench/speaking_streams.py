"""How many streams can speak at once: more and more of them, each with a viewer, until pictures stand still.

When each picture came, whole, is read off the sockets of observers in a process of their own; what it cost is what the
kernel counted for the server's two processes, and what the worker says it spent a picture on.
"""

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Final

from avatar.messages import VIDEO_HZ
from bench.figures import quantile
from bench.machine import Machine, this_machine
from bench.observations import Observation, Track, load
from bench.placement import Placement, placed
from bench.processes import BenchFailed, Child, running
from bench.served import Served, Usage, serving
from bench.voice import long_file
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
STALL_S: Final = 0.2
"""A picture that stands for longer is a stall."""
SPARED: Final = 0.01
"""The part of pictures that nobody misses."""
SETTLE_S: Final = 4.0
"""Until all speak and their files are decoded."""
TAIL_S: Final = 3.0
WAIT_S: Final = 60.0
STAGES: Final = ("engine", "draw", "compose", "encode")


@dataclass(frozen=True, slots=True)
class Gaps:
    """Times from picture to picture, all viewers together. Units: seconds, counts."""

    p50_s: float
    p99_s: float
    max_s: float
    stalls: int
    pictures: int
    missing: int
    """Pictures that media time asks for and that did not come."""
    lost: int
    """Packets."""


@dataclass(frozen=True, slots=True)
class Row:
    """So many streams speaking."""

    streams: int
    gaps: Gaps
    server_percent: float
    """Of one core, all streams together."""
    worker_percent: float
    stages_ms: dict[str, float]
    """Of a picture."""
    late: int
    """Pictures that the worker did not draw for want of time."""
    silent: int
    """Packets of sound that did not come in time."""
    quick: bool
    """Whether it encoded in haste at the end: ``bench stages`` says what pictures lose by that."""

    @property
    def percent(self) -> float:
        """Of one core, for each stream."""
        return (self.server_percent + self.worker_percent) / self.streams

    @property
    def fluent(self) -> bool:
        """Whether nobody saw or heard it stop."""
        return not self.gaps.stalls and not self.silent

    @property
    def whole(self) -> bool:
        """Whether hardly a picture was left out, either."""
        return self.fluent and self.gaps.missing <= SPARED * self.gaps.pictures


@dataclass(frozen=True, slots=True)
class SpeakingFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    seconds: float
    rows: list[Row]

    @property
    def most_fluent(self) -> int:
        """The most streams that spoke without a stall, as did all fewer; 0 where there were none."""
        return max((row.streams for row in takewhile(lambda row: row.fluent, self.rows)), default=0)

    @property
    def most_whole(self) -> int:
        """The same with all their pictures but for 1 in 100."""
        return max((row.streams for row in takewhile(lambda row: row.whole, self.rows)), default=0)


def measure_speaking(
    settings: Settings, streams: Sequence[int], seconds: float, say: Callable[[str], None]
) -> SpeakingFigures:
    """Run the server with ever more streams (ascending). Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    with speakers(settings, say, cores=SERVER_CORES) as ours:
        rows = []
        for count in streams:
            say(f"{count} streams")
            rows.append(ours.row(count, seconds))
    return SpeakingFigures(machine, str(ours.placement), seconds, rows)


class Speakers:
    """A server, and streams with a viewer each: as many as were asked for so far."""

    def __init__(self, served: Served, watch: Child, placement: Placement, assets: Path, file: Path, fps: int) -> None:
        """``file``: where the viewers put what they saw."""
        self.placement = placement
        self._served, self._watch, self._assets, self._file, self._fps = served, watch, assets, file, fps
        self._names: list[str] = []

    @property
    def base(self) -> str:
        """Where the server is."""
        return self._served.base

    @property
    def worker(self) -> int:
        """Its worker's process. Errors: BenchFailed."""
        return self._served.worker

    def row(self, count: int, seconds: float) -> Row:
        """So many of them speak, the others are idle. Errors: BenchFailed."""
        new = [f"s{number}" for number in range(len(self._names), count)]
        if new:
            self._served.put_on_air(new)
            self._watch.ask({"join": [self._served.whep(name) for name in new]}, WAIT_S)
            self._names += new
        return self._measure(self._names[:count], seconds)

    def _measure(self, names: Sequence[str], seconds: float) -> Row:
        served, length_s = self._served, SETTLE_S + seconds + TAIL_S
        _say_at_once(served, names, [long_file(self._assets, length_s, 1.7 * number) for number in range(len(names))])
        time.sleep(SETTLE_S)
        before, told_before = served.usage(), served.metrics()
        self._watch.ask({"keep": True}, WAIT_S)
        time.sleep(seconds)
        after, told = served.usage(), served.metrics()
        silent = [name for name in names if served.state(name) == "idle"]
        self._watch.ask({"save": str(self._file)}, WAIT_S)  # which takes seconds on a machine with too much to do
        if silent:
            raise BenchFailed(f"these did not speak to the end: {silent}")
        _until_idle(served, names)
        seen = [each for each in load(self._file) if each.stream in names]
        return made_row(len(names), seen, (before, after), (told_before, told), self._fps)


@contextmanager
def speakers(
    settings: Settings,
    say: Callable[[str], None],
    *,
    cores: int,
    size: tuple[int, int] = SIZE,
    fps: int = FPS,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Speakers]:
    """A server on so many ``cores`` as there are; ``variables`` as ``settings`` of ``serving``. Errors: BenchFailed."""
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(cores) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        with serving(folder, placement, size=size, fps=fps, settings=variables) as served:
            log = folder / "observers.log"
            with running("bench.observer_process", ["--headers"], log, talks=True, cores=placement.clients) as watch:
                yield Speakers(served, watch, placement, settings.assets, folder / "seen", fps)


def _say_at_once(served: Served, names: Sequence[str], files: Sequence[bytes]) -> None:
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(served.say, names, files))


def _until_idle(served: Served, names: Sequence[str]) -> None:
    served.process.wait_for(
        lambda: all(served.state(name) == "idle" for name in names), WAIT_S, "the streams to have spoken"
    )


def made_row(
    count: int,
    seen: Sequence[Observation],
    usage: tuple[Usage, Usage],
    told: tuple[dict[str, float], dict[str, float]],
    fps: int = FPS,
) -> Row:
    """A row of what was seen, used and told before and after."""
    passed_s = usage[1].at_s - usage[0].at_s
    grown = {name: value - told[0].get(name, 0.0) for name, value in told[1].items()}
    frames = max(1.0, grown.get("worker_frames_total", 0.0))
    return Row(
        count,
        gaps_of(seen, fps),
        server_percent=100 * (usage[1].server_s - usage[0].server_s) / passed_s,
        worker_percent=100 * (usage[1].worker_s - usage[0].worker_s) / passed_s,
        stages_ms={
            stage: 1000 * grown.get(f'worker_stage_seconds_total{{stage="{stage}"}}', 0.0) / frames for stage in STAGES
        },
        late=int(grown.get("worker_late_frames_total", 0.0)),
        silent=int(grown.get("silent_packets_total", 0.0)),
        quick=bool(told[1].get("worker_haste", 0.0)),
    )


def gaps_of(seen: Sequence[Observation], fps: int = FPS) -> Gaps:
    """Times from picture to picture. Errors: BenchFailed where a viewer saw nothing."""
    times: list[float] = []
    pictures = missing = 0
    for each in seen:
        if len(each.video) < 2:
            raise BenchFailed(f"the viewer of {each.stream} saw nothing")
        units = Track("video", each.video, []).units()
        pictures += len(units)
        expected = (units[-1].rtp_time - units[0].rtp_time) * fps // VIDEO_HZ + 1
        missing += max(0, expected - len(units))
        times += [later.at_s - earlier.at_s for earlier, later in pairwise(units)]
    return Gaps(
        quantile(times, 0.5),
        quantile(times, 0.99),
        max(times),
        sum(gap > STALL_S for gap in times),
        pictures,
        missing,
        sum(each.lost for each in seen),
    )
