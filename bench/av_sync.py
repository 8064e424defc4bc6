"""Whether sound and lips stay together at the receiver: many streams that speak, receivers that lose packets.

Half of the streams are spoken into by files, half by clients that stream samples in real time. What they say are bursts
of a vowel, whose beginning can be told to the millisecond in the sound and, between two pictures, in the lips.
"""

import asyncio
import multiprocessing
import os
import statistics
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from bench.faults import run_async
from bench.figures import Trend, quantile, trend
from bench.lip_curves import drawn_lips, shipped_avatar
from bench.machine import Machine, this_machine
from bench.observations import load_one
from bench.pcm_client import PcmClient, pcm_client
from bench.placement import placed
from bench.processes import BenchFailed, running
from bench.served import Served, serving
from bench.speech_clips import bursts, pcm_bytes, wav_file
from bench.sync_offsets import Offsets, offsets, own_partings
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
RATE_HZ: Final = 16_000
LOSS: Final = 0.02
WAIT_S: Final = 60.0
TAIL_S: Final = 2.0
OWN_S: Final = 30.0
"""So much of a clip is drawn by the engine itself, to know what it does."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Offsets of all streams together. Units: seconds; slopes: seconds a minute."""

    count: int
    median_s: float
    p95_abs_s: float
    worst_abs_s: float
    slope: Trend
    """Of all, each stream's own mean taken off."""
    steepest: Trend
    """The stream whose slope is furthest from 0."""


@dataclass(frozen=True, slots=True)
class SyncFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    streams: int
    streamed: int
    """Of them, spoken into by samples in real time."""
    seconds: float
    loss: float
    bursts: int
    engine_s: float
    """When the engine itself opens the mouth for these bursts, after their sound; in ``content`` it is contained."""
    content: Apart
    arrival: Apart


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What is to be measured."""

    streams: int = 8
    seconds: float = 150.0
    loss: float = LOSS


def measure_sync(settings: Settings, plan: SyncPlan, say: Callable[[str], None]) -> SyncFigures:
    """Run the server and all clients. Errors: BenchFailed where something does not serve, or nothing is found."""
    machine = this_machine()
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        with serving(folder, placement, size=SIZE, fps=FPS) as served:
            names = [f"s{number}" for number in range(plan.streams)]
            served.put_on_air(names)
            log = folder / "observers.log"
            with running("bench.observer_process", [], log, talks=True, cores=placement.clients) as watch:
                watch.ask({"join": [served.whep(each) for each in names], "loss": plan.loss}, WAIT_S)
                watch.ask({"keep": True}, WAIT_S)
                say(f"{plan.streams} streams speak for {plan.seconds:.0f} s")
                streamed = run_async(_speak(served, names, plan.seconds))
                watch.ask({"save": str(folder / "seen")}, WAIT_S)
        say("reading lips")
        found = _all_offsets(settings, folder / "seen", plan.streams)
    clip = bursts(OWN_S, RATE_HZ, 0)
    avatar = shipped_avatar(settings.assets, settings.avatar, SIZE)
    own = own_partings(drawn_lips(settings.assets, avatar, FPS, clip.samples), clip.onsets_s)
    return SyncFigures(
        machine,
        str(placement),
        plan.streams,
        streamed,
        plan.seconds,
        plan.loss,
        sum(each.bursts for each in found),
        statistics.median(own),
        spread_of([each.content for each in found], "lips that part for a burst"),
        spread_of([each.arrival for each in found], "sound and pictures"),
    )


async def _speak(served: Served, names: Sequence[str], seconds: float) -> int:
    """Every second stream by samples; how many these were. Returns when all have spoken."""
    async with (
        AsyncExitStack() as stack,
        httpx.AsyncClient(base_url=served.base, timeout=WAIT_S, trust_env=False) as http,
    ):
        clients = {
            number: await stack.enter_async_context(pcm_client(served.base, name))
            for number, name in enumerate(names)
            if number % 2
        }
        async with asyncio.TaskGroup() as group:
            for number, name in enumerate(names):
                clip = bursts(seconds, RATE_HZ, number).samples
                if number in clients:
                    group.create_task(_stream(clients[number], pcm_bytes(clip)))
                else:
                    group.create_task(_upload(http, name, wav_file(clip, RATE_HZ), seconds))
        await asyncio.sleep(TAIL_S)
    return len(clients)


async def _stream(client: PcmClient, samples: bytes) -> None:
    await client.begin(RATE_HZ)
    await client.send(samples, RATE_HZ, real_time=True)
    await client.commit()
    over = await client.until("finished", "interrupted", "failed", "error")
    if over.kind != "finished":
        raise BenchFailed(f"it was not spoken to its end: {over.data}")


async def _upload(http: httpx.AsyncClient, stream: str, file: bytes, seconds: float) -> None:
    reply = await http.post(f"/streams/{stream}/speech", content=file)
    reply.raise_for_status()
    async with asyncio.timeout(seconds + WAIT_S):
        await asyncio.sleep(seconds / 2)
        while (await http.get(f"/streams/{stream}")).json()["state"] != "idle":  # noqa: ASYNC110  another process
            await asyncio.sleep(0.5)


def _all_offsets(settings: Settings, file: Path, streams: int) -> list[Offsets]:
    """Of each observer; as many at a time as there are cores."""
    work = [(settings.assets, settings.avatar, file, number) for number in range(streams)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(len(os.sched_getaffinity(0)), mp_context=context) as pool:
        return list(pool.map(_offsets_of, work))


def _offsets_of(work: tuple[Path, str, Path, int]) -> Offsets:
    assets, avatar, file, number = work
    return offsets(load_one(file, number), shipped_avatar(assets, avatar, SIZE), FPS)


def spread_of(streams: Sequence[Sequence[tuple[float, float]]], what: str) -> Apart:
    """Of all streams that have a slope. Errors: BenchFailed where none has."""
    slopes: list[Trend] = []
    level: list[tuple[float, float]] = []
    for points in streams:
        minutes = [(at_s / 60, offset_s) for at_s, offset_s in points]
        own = trend(minutes)
        if own is None:
            continue
        slopes.append(own)
        mean_s = statistics.fmean(offset_s for _, offset_s in points)
        level += [(minute, offset_s - mean_s) for minute, offset_s in minutes]
    whole = trend(level)
    if whole is None:
        raise BenchFailed(f"too little came of {what}")
    values = [offset_s for points in streams for _, offset_s in points]
    apart = [abs(each) for each in values]
    steepest = max(slopes, key=lambda each: abs(each.slope))
    return Apart(len(values), statistics.median(values), quantile(apart, 0.95), max(apart), whole, steepest)
