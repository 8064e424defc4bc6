"""A server at work for an hour or more: whether memory, descriptors, tasks, threads or lip sync drift.

Four streams with random speech, by files and samples, interrupted at random, with clients that vanish in mid-word;
viewers who stay, half of them losing packets, and others who come and go. Samples are taken whenever the latter are
gone; sound and lips are compared once a minute, in turn on each stream. At the end each quantity has a slope and the
slope's standard error, from the means of ``BLOCKS`` stretches of the run, since neighbouring samples are too much alike
to count each.
"""

import asyncio
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from bench.faults import run_async
from bench.figures import Trend, blocks, trend
from bench.lip_curves import shipped_avatar
from bench.machine import Machine, this_machine
from bench.observations import load, tracks
from bench.placement import placed
from bench.processes import Child, memory_mb, open_files, running, threads
from bench.served import Served, serving
from bench.soak_actors import Diary, Talker, visit
from bench.speech_clips import Samples
from bench.sync_offsets import arrival_offsets, offsets
from bench.voice import Voice
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
STREAMS: Final = 4
LOSS: Final = 0.02
WAIT_S: Final = 60.0
WARM_UP: Final = 1 / 3
"""Part of the run that is not judged: caches fill, heaps grow to what the busiest moment takes."""
BLOCKS: Final = 12
JUDGED_MIN: Final = 20.0
"""A shorter run is not judged: caches fill and pools grow for minutes."""
PROBES: Final = 60
LEAST_PROBE_S: Final = 15.0
BURSTS_S: Final = 8.0
SPEECH_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Quantity:
    """One thing that was watched. Units: its own; the slope is per hour."""

    name: str
    unit: str
    first: float
    """Mean of the first stretch that is judged."""
    last: float
    slope: Trend | None
    samples: int
    judged: bool = True

    @property
    def verdict(self) -> str:
        """In words."""
        if self.slope is None or not self.judged:
            return "too short to say"
        return "steady" if self.slope.is_noise else "grows" if self.slope.slope > 0 else "shrinks"


@dataclass(frozen=True, slots=True)
class SoakFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    minutes: float
    quantities: list[Quantity]
    happened: dict[str, int]
    faults: list[str]


Series = dict[str, list[tuple[float, float]]]
"""By name: (hours since the start, value)."""
UNITS: Final = {
    "server memory": "MB",
    "worker memory": "MB",
    "server descriptors": "",
    "worker descriptors": "",
    "server threads": "",
    "worker threads": "",
    "tasks": "",
    "lips after sound": "ms",
    "pictures after sound, by arrival": "ms",
}


def measure_soak(settings: Settings, minutes: float, say: Callable[[str], None]) -> SoakFigures:
    """Run it all for so long. Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    voice = Voice(settings.assets)
    speech = np.concatenate([voice.analyse(block) for block in range(int(SPEECH_S * 50))])
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        with serving(folder, placement, size=SIZE, fps=FPS, settings={"offers_per_s": "0"}) as served:
            names = [f"s{number}" for number in range(STREAMS)]
            served.put_on_air(names)
            with ExitStack() as stack:
                watchers, visitors = (
                    stack.enter_context(
                        running(
                            "bench.observer_process",
                            options,
                            folder / f"{who}.log",
                            talks=True,
                            cores=placement.clients,
                        )
                    )
                    for who, options in (("watchers", []), ("visitors", ["--headers"]))
                )
                for number, each in enumerate(names):
                    watchers.ask({"join": [served.whep(each)], "loss": LOSS * (number % 2)}, WAIT_S)
                soak = _Soak(settings, served, names, (watchers, visitors), folder, say)
                run_async(soak.run(speech, 60 * minutes))
    quantities = quantities_of(soak.series, judged=minutes >= JUDGED_MIN)
    return SoakFigures(
        machine, str(placement), minutes, quantities, dict(sorted(soak.diary.counts.items())), soak.diary.faults
    )


class _Soak:
    """One run."""

    def __init__(
        self,
        settings: Settings,
        served: Served,
        names: Sequence[str],
        processes: tuple[Child, Child],
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self.series: Series = {name: [] for name in UNITS}
        self.diary = Diary()
        self._settings, self._served, self._names, self._folder, self._say = settings, served, names, folder, say
        self._watchers, self._visitors = processes
        self._began_s = time.monotonic()

    async def run(self, speech: Samples, seconds: float) -> None:
        """For so long."""
        talkers = [Talker(self._served, name, speech, self.diary, seed) for seed, name in enumerate(self._names)]
        endpoints = [self._served.whep(name) for name in self._names]
        self._began_s = time.monotonic()
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            try:
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    for talker in talkers:
                        group.create_task(talker.run())
                    group.create_task(visit(self._visitors, endpoints, self.diary, self._look))
                    group.create_task(self._probe(pool, talkers, max(LEAST_PROBE_S, seconds / PROBES)))
            except TimeoutError:
                return

    def _note(self, name: str, value: float) -> None:
        self.series[name].append(((time.monotonic() - self._began_s) / 3600, value))

    async def _look(self) -> None:
        """Sample the processes."""
        for who, pid in (("server", self._served.process.pid), ("worker", self._served.worker)):
            self._note(f"{who} memory", memory_mb(pid))
            self._note(f"{who} descriptors", open_files(pid))
            self._note(f"{who} threads", threads(pid))
        told = await asyncio.to_thread(self._served.metrics)
        self._note("tasks", told["event_loop_tasks"])

    async def _probe(self, pool: ProcessPoolExecutor, talkers: Sequence[Talker], every_s: float) -> None:
        """Compare sound and lips, on each stream in turn, for ever."""
        number = 0
        while True:
            await asyncio.sleep(every_s - min(every_s, BURSTS_S))
            talker = talkers[number % len(talkers)]
            async with talker.turn:
                await self.diary.note("probes", self._one_probe(pool, talker, number))
            number += 1

    async def _one_probe(self, pool: ProcessPoolExecutor, talker: Talker, number: int) -> None:
        file = self._folder / "probe"
        await asyncio.to_thread(self._watchers.ask, {"keep": True}, WAIT_S)
        await talker.say_bursts(BURSTS_S, number)
        await asyncio.to_thread(self._watchers.ask, {"save": str(file)}, WAIT_S)
        which = number % len(self._names)
        found = pool.submit(_compared, self._settings.assets, self._settings.avatar, file, which)
        content, arrival = await asyncio.wrap_future(found)
        if content is not None:
            self._note("lips after sound", 1000 * content)
        if arrival is not None:
            self._note("pictures after sound, by arrival", 1000 * arrival)
        self._say(f"{(time.monotonic() - self._began_s) / 60:.0f} min; {dict(self.diary.counts)}")


def _compared(assets: Path, avatar: str, file: Path, which: int) -> tuple[float | None, float | None]:
    """Medians: of the lips of the stream that said the bursts, and of all streams' arrivals."""
    seen = load(file)
    content = [late for _, late in offsets(seen[which], shipped_avatar(assets, avatar, SIZE), FPS).content]
    arrivals = [late for each in seen for _, late in arrival_offsets(*tracks(each))]
    return (statistics.median(content) if content else None, statistics.median(arrivals) if arrivals else None)


def quantities_of(series: Series, *, judged: bool = True) -> list[Quantity]:
    """Each with its slope, the beginning left out."""
    quantities = []
    for name, points in series.items():
        last_h = points[-1][0] if points else 0.0
        counted = [point for point in points if point[0] >= WARM_UP * last_h]
        means = blocks(counted, BLOCKS)
        if means:
            row = Quantity(name, UNITS[name], means[0][1], means[-1][1], trend(means), len(counted), judged)
            quantities.append(row)
    return quantities
