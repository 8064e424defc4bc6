"""Whether streams that speak notice that an avatar is prepared beside them: the same streams without it and with it.

Both in one run, in turn, so that whatever else the machine does meets both. The video, the shipped avatar's loop as a
film, is posted again and again for as long as they speak.
"""

import contextlib
import os
import signal
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.machine import Machine, this_machine
from bench.processes import BenchFailed, child_running, cpu_s, ended_children_s
from bench.speaking_streams import SERVER_CORES, Gaps, Row, Speakers, speakers
from whep_server.settings import Settings

VIDEO: Final = Path("avatars") / "nova" / "loop.mp4"
"""Within the assets: a face from the front, 8 s."""
AVATAR: Final = "bench"
PREPARE_S: Final = 600.0
POLL_S: Final = 0.1
PROCESS: Final = "avatar.prepare"


@dataclass(frozen=True, slots=True)
class Stretch:
    """The streams speaking once."""

    row: Row
    preparing_percent: float
    """Of one core, that preparing took; 0 where nothing is prepared."""


@dataclass(frozen=True, slots=True)
class PreparingFigures:
    """All that was measured; ``alone`` and ``beside`` in the order of the run, in turn."""

    machine: Machine
    placement: str
    seconds: float
    alone: list[Stretch]
    beside: list[Stretch]
    prepared: int
    """Avatars that were finished meanwhile."""

    def ratios(self) -> tuple[float, float, float]:
        """Times from picture to picture beside a preparation, by those without: P50, P99, the longest."""
        alone, beside = (summed([each.row.gaps for each in half]) for half in (self.alone, self.beside))
        return beside.p50_s / alone.p50_s, beside.p99_s / alone.p99_s, beside.max_s / alone.max_s


def summed(gaps: Sequence[Gaps]) -> Gaps:
    """Several stretches as one: the middle quantiles, the longest gap, all pictures."""
    return Gaps(
        statistics.median(each.p50_s for each in gaps),
        statistics.median(each.p99_s for each in gaps),
        max(each.max_s for each in gaps),
        sum(each.stalls for each in gaps),
        sum(each.pictures for each in gaps),
        sum(each.missing for each in gaps),
        sum(each.lost for each in gaps),
    )


def measure_preparing(
    settings: Settings, streams: int, seconds: float, rounds: int, say: Callable[[str], None]
) -> PreparingFigures:
    """Have so many streams speak, ``rounds`` times each way. Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    alone, beside, prepared = list[Stretch](), list[Stretch](), 0
    with (
        tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as avatars,
        speakers(settings, say, cores=SERVER_CORES, variables={"avatars": avatars}) as ours,
    ):
        for number in range(rounds):
            say(f"round {number + 1} of {rounds}: {streams} streams")
            alone.append(Stretch(ours.row(streams, seconds), 0.0))
            say("the same while a video is prepared")
            with preparing(ours, settings.assets / VIDEO) as work:
                before_s, began_s = work.cpu_s(), time.monotonic()
                row = ours.row(streams, seconds)
                percent = 100 * (work.cpu_s() - before_s) / (time.monotonic() - began_s)
            beside.append(Stretch(row, percent))
            prepared += work.finished
    return PreparingFigures(machine, str(ours.placement), seconds, alone, beside, prepared)


class Preparations:
    """One after the other, until it is told to end."""

    def __init__(self, ours: Speakers, video: Path) -> None:
        self._base, self._worker, self._video = ours.base, ours.worker, video
        self._ends = threading.Event()
        self._failure = ""
        self.finished = 0
        self._thread = threading.Thread(target=self._run, name="preparing", daemon=True)

    def cpu_s(self) -> float:
        """Processor time of all processes that prepare, those that have ended too. Errors: BenchFailed."""
        self._check()
        with contextlib.suppress(FileNotFoundError):  # it has ended since
            running = child_running(self._worker, PROCESS)
            return ended_children_s(self._worker) + (0.0 if running is None else cpu_s(running))
        return ended_children_s(self._worker)

    def begin(self) -> None:
        """The first one is at work when this returns. Errors: BenchFailed."""
        self._thread.start()
        while child_running(self._worker, PROCESS) is None:
            self._check()
            time.sleep(POLL_S)

    def end(self) -> None:
        """Break off the one at work."""
        self._ends.set()
        while self._thread.is_alive():
            running = child_running(self._worker, PROCESS)
            if running is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(running, signal.SIGTERM)
            self._thread.join(POLL_S)

    def _check(self) -> None:
        if self._failure:
            raise BenchFailed(f"preparing failed: {self._failure}")

    def _run(self) -> None:
        while not self._ends.is_set():
            try:
                reply = self._post()
            except (OSError, httpx.HTTPError) as error:
                self._failure = str(error) or type(error).__name__
                return
            if reply.status_code == httpx.codes.OK:
                self.finished += 1
            elif not self._ends.is_set():
                self._failure = reply.text
                return

    def _post(self) -> httpx.Response:
        with self._video.open("rb") as video:
            return httpx.post(
                f"{self._base}/avatars/prepare",
                data={"avatar_id": AVATAR, "force_recreate": "true"},
                files={"video_file": (VIDEO.name, video)},
                timeout=PREPARE_S,
                trust_env=False,
            )


@contextlib.contextmanager
def preparing(ours: Speakers, video: Path) -> Iterator[Preparations]:
    """Avatars are made of ``video`` for as long as the block lasts. Errors: BenchFailed."""
    work = Preparations(ours, video)
    work.begin()
    try:
        yield work
    finally:
        work.end()
