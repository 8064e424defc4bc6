"""From an interruption to silence and a closed mouth at the receiver, and whether anything of what was cut comes later.

Several streams are spoken into and cut off again and again, at random. Each utterance bears a tone of its own above the
voice, so that every packet of sound tells whose it is: one that bears the tone of an utterance which had fallen silent
is stale. Silence is when the first packet came after which nothing was audible until something else was said; the mouth
is closed with the first picture after which the lips stay sealed.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.prepared import PreparedAvatar
from bench.decoding import Heard, hear
from bench.faults import run_async
from bench.figures import Spread, quantile, spread
from bench.latency import AUDIBLE
from bench.lip_curves import PARTED, Lips, read_lips, shipped_avatar
from bench.machine import Machine, this_machine
from bench.observations import Observation, load, tracks
from bench.opus_publisher import read_sound
from bench.pcm_client import PcmClient, pcm_client
from bench.placement import placed
from bench.processes import BenchFailed, running
from bench.served import Served, serving
from bench.speech_clips import TAGS, Samples, pcm_bytes, tag_levels, tagged, wav_file
from bench.voice import SENTENCE
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
RATE_HZ: Final = AUDIO_HZ
UTTERANCE_S: Final = 5.0
BEFORE_S: Final = (0.2, 1.5)
"""From its beginning to the cut."""
AFTER_S: Final = (0.5, 0.8)
"""From the cut to the next utterance: longer than a cut takes."""
HELD: Final = 0.4
"""Of a tone's level, from which a packet bears it: its own are above 0.8, any other tone's below 0.2."""
WAIT_S: Final = 60.0
WAYS: Final = ("PCM at once, POST", "PCM in real time, cancel", "a file, POST")


@dataclass(frozen=True, slots=True)
class Cut:
    """One interruption. Units: seconds on the monotonic clock."""

    number: int
    """Of its stream; its tone follows from it."""
    way: str
    called_s: float
    until_s: float
    """When the next utterance began, or the run ended."""
    played: int
    """What the server says was played. Units: samples at 48 kHz."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one. Units: seconds from the call; None where it was not so before the next utterance."""

    way: str
    silent_s: float | None
    closed_s: float | None
    stale: int
    played_apart_s: float
    """By how much more the server says was played than was heard."""


@dataclass(frozen=True, slots=True)
class WayRow:
    """All cuts of one way. Units: seconds."""

    way: str
    cuts: int
    silent: Spread
    silent_max_s: float
    closed: Spread
    closed_max_s: float
    failed: int
    """Cuts after which it was not silent, or the mouth was open, when the next utterance began."""
    stale: int
    """Packets of sound."""
    played_apart: Spread
    """Sizes of what the server says and what was heard, compared."""


@dataclass(frozen=True, slots=True)
class InterruptFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    streams: int
    rows: list[WayRow]
    """By way, and all together last."""


def measure_interruptions(settings: Settings, cuts: int, streams: int, say: Callable[[str], None]) -> InterruptFigures:
    """Run the server and cut it off. Errors: BenchFailed where something does not serve."""
    machine = this_machine()
    speech = np.asarray(read_sound(settings.assets / SENTENCE, stereo=False)[:, 0] / 32768, np.float32)
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        with serving(folder, placement, size=SIZE, fps=FPS) as served:
            names = [f"s{number}" for number in range(streams)]
            served.put_on_air(names)
            log = folder / "observers.log"
            with running("bench.observer_process", [], log, talks=True, cores=placement.clients) as watch:
                watch.ask({"join": [served.whep(each) for each in names]}, WAIT_S)
                watch.ask({"keep": True}, WAIT_S)
                say(f"cutting {streams} streams off, {cuts} times in all")
                made = run_async(_cut_all(served, names, -(-cuts // streams), speech))
                watch.ask({"save": str(folder / "seen")}, WAIT_S)
        say("listening to what came, and reading lips")
        avatar = shipped_avatar(settings.assets, settings.avatar, SIZE)
        outcomes = [
            outcome
            for seen, own in zip(load(folder / "seen"), made, strict=True)
            for outcome in judged(seen, own, avatar)
        ]
    return InterruptFigures(machine, str(placement), streams, rows_of(outcomes))


async def _cut_all(served: Served, names: Sequence[str], each: int, speech: Samples) -> list[list[Cut]]:
    """All streams side by side."""
    async with (
        httpx.AsyncClient(base_url=served.base, timeout=WAIT_S, trust_env=False) as http,
        asyncio.TaskGroup() as group,
    ):
        tasks = [
            group.create_task(_Speaker(http, served.base, name, speech, seed).run(each))
            for seed, name in enumerate(names)
        ]
    return [task.result() for task in tasks]


class _Speaker:
    """Speaks into one stream and cuts itself off."""

    def __init__(self, http: httpx.AsyncClient, base: str, stream: str, speech: Samples, seed: int) -> None:
        self._http, self._base, self._stream, self._speech = http, base, stream, speech
        self._chance = random.Random(f"speaker {seed}")

    async def run(self, cuts: int) -> list[Cut]:
        """So many, one after the other."""
        made: list[Cut] = []
        async with pcm_client(self._base, self._stream) as pcm:
            for number in range(cuts):
                way = WAYS[number % len(WAYS)]
                called_s, played = await self._one(pcm, number, way)
                await asyncio.sleep(self._chance.uniform(*AFTER_S))
                made.append(Cut(number, way, called_s, time.monotonic(), played))
        return made

    async def _one(self, pcm: PcmClient, number: int, way: str) -> tuple[float, int]:
        first = self._chance.randrange(len(self._speech))
        said = np.roll(self._speech, -first)[: int(UTTERANCE_S * RATE_HZ)]
        sound = tagged(said, RATE_HZ, number)
        wait_s = self._chance.uniform(*BEFORE_S)
        if way == WAYS[2]:
            reply = await self._http.post(f"/streams/{self._stream}/speech", content=wav_file(sound, RATE_HZ))
            reply.raise_for_status()
            await self._until_speaking()
            await asyncio.sleep(wait_s)
            return await self._interrupt()
        async with asyncio.TaskGroup() as group:
            await pcm.begin(RATE_HZ)
            real_time = way == WAYS[1]
            sending = group.create_task(pcm.send(pcm_bytes(sound), RATE_HZ, real_time=real_time))
            await pcm.until("started", "error")
            await asyncio.sleep(wait_s)
            sending.cancel()
            if real_time:
                called_s = await pcm.cancel()
                over = await pcm.until("interrupted", "finished", "failed", "error")
                made = called_s, int(str(over.data.get("played_samples", 0)))
            else:
                made = await self._interrupt()
                await pcm.until("interrupted", "finished", "failed", "error")
            return made

    async def _interrupt(self) -> tuple[float, int]:
        called_s = time.monotonic()
        reply = await self._http.post(f"/streams/{self._stream}/interrupt")
        reply.raise_for_status()
        return called_s, int(reply.json()["played_samples"])

    async def _until_speaking(self) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self._http.get(f"/streams/{self._stream}")).json()["state"] == "idle":  # noqa: ASYNC110
                await asyncio.sleep(0.02)


def judged(seen: Observation, cuts: Sequence[Cut], avatar: PreparedAvatar) -> list[Outcome]:
    """What came of each cut of one stream."""
    sound, pictures = tracks(seen)
    heard, lips = hear(sound), read_lips(pictures, avatar, FPS)
    packets = heard.samples.reshape(-1, OPUS_SAMPLES)
    levels = np.stack([tag_levels(packets, tag, AUDIO_HZ) for tag in range(TAGS)])
    return [outcome_of(cut, _again(cuts, cut), heard, levels, lips) for cut in cuts]


def _again(cuts: Sequence[Cut], cut: Cut) -> float:
    """When the tone of a cut is used again: what comes from then on proves nothing."""
    later = [each.called_s - BEFORE_S[1] - UTTERANCE_S for each in cuts if each.number == cut.number + TAGS]
    return later[0] if later else float("inf")


def outcome_of(cut: Cut, again_s: float, heard: Heard, levels: NDArray[np.float64], lips: Lips) -> Outcome:
    """Shapes: levels (TAGS, packets)."""
    arrivals = np.array(heard.arrivals)
    silent_s = _after_last(arrivals, heard.loudness() > AUDIBLE, cut)
    closed_s = _after_last(lips.at_s, lips.opening > PARTED, cut)
    bears = levels[cut.number % TAGS] > HELD
    over_s = cut.until_s if silent_s is None else cut.called_s + silent_s
    stale = int(np.count_nonzero(bears & (arrivals >= over_s) & (arrivals < again_s)))
    begun_s = cut.called_s - BEFORE_S[1] - UTTERANCE_S
    played = np.count_nonzero(bears & (arrivals > begun_s) & (arrivals < over_s)) * OPUS_SAMPLES
    return Outcome(cut.way, silent_s, closed_s, stale, (cut.played - float(played)) / AUDIO_HZ)


def _after_last(arrivals: NDArray[np.float64], there: NDArray[np.bool_], cut: Cut) -> float | None:
    """When the first one came, of those between the call and the next utterance, after which none is ``there``."""
    within = np.flatnonzero((arrivals >= cut.called_s) & (arrivals < cut.until_s))
    loud = np.flatnonzero(there[within])
    after = within[loud[-1] + 1 :] if len(loud) else within
    return float(arrivals[after[0]] - cut.called_s) if len(after) else None


def rows_of(outcomes: Sequence[Outcome]) -> list[WayRow]:
    """By way, and all together. Errors: BenchFailed where no cut of a way led to silence."""
    ways = [way for way in WAYS if any(each.way == way for each in outcomes)]
    rows = [_row(way, [each for each in outcomes if each.way == way]) for way in ways]
    return [*rows, _row("all", outcomes)]


def _row(way: str, outcomes: Sequence[Outcome]) -> WayRow:
    silent = [each.silent_s for each in outcomes if each.silent_s is not None]
    closed = [each.closed_s for each in outcomes if each.closed_s is not None]
    if not silent or not closed:
        raise BenchFailed(f"{way}: no cut was followed by silence and a closed mouth")
    apart = [abs(each.played_apart_s) for each in outcomes]
    return WayRow(
        way,
        len(outcomes),
        spread(silent),
        quantile(silent, 1),
        spread(closed),
        quantile(closed, 1),
        sum(each.silent_s is None or each.closed_s is None for each in outcomes),
        sum(each.stale for each in outcomes),
        spread(apart),
    )
