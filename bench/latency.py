"""From the first byte of speech to the viewer: when the first sound and the first moved lip have come.

The real server, warm and idle before each round; an observer in a process of its own that notes when each packet was
read off its socket; whoever speaks is this process. All clocks are the machine's one monotonic clock. What is spoken is
an open vowel from its first sample on, so that nothing of the figures is the clip's own; the first lip is the first
picture in which the lips are not sealed as they are while it is idle, at the time its last packet came.
"""

import asyncio
import random
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
import numpy as np

from bench.decoding import Heard, hear
from bench.faults import run_async
from bench.figures import Spread, spread
from bench.lip_curves import PARTED, Lips, drawn_lips, first_parted, read_lips, shipped_avatar
from bench.machine import Machine, this_machine
from bench.observations import load, tracks
from bench.pcm_client import PcmClient, pcm_client
from bench.placement import placed
from bench.processes import BenchFailed, running
from bench.served import STREAM, Served, serving
from bench.speech_clips import greeting, pcm_bytes, wav_file
from whep_server.settings import Settings

SERVER_CORES: Final = 2
SIZE: Final = (1280, 720)
FPS: Final = 25
RATE_HZ: Final = 24_000
ANALYSE_HZ: Final = 16_000
WARM_UP: Final = 2
"""Rounds of each way that are not counted."""
AUDIBLE: Final = 0.01
"""Amplitude, of 1, from which a packet counts as sound; idle it is 0."""
WAIT_S: Final = 30.0
PAUSE_S: Final = (0.6, 1.0)
"""Before a round; uneven, so that rounds fall on all parts of a frame and of an idle loop."""
LATE_S: Final = 5.0
"""What has not come by then is not of this round."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to have something said. Units: seconds."""

    name: str
    rounds: int
    sound: Spread
    lips: Spread


@dataclass(frozen=True, slots=True)
class LatencyFigures:
    """All that was measured."""

    machine: Machine
    placement: str
    clip_lips_s: float
    """When the engine itself, which hears what is to come, parts the lips for this clip, after its first sample."""
    ways: list[Way]


@dataclass(frozen=True, slots=True)
class Round:
    """Something was said. Units: seconds on the monotonic clock, when its first byte left."""

    way: str
    began_s: float


Speak = Callable[[], Awaitable[float]]
"""Has it said once, waits until it is over, gives when the first byte left."""


def measure_latency(settings: Settings, rounds: int, say: Callable[[str], None]) -> LatencyFigures:
    """Run the server and speak. Errors: BenchFailed where something does not serve, or nothing is found."""
    machine = this_machine()
    avatar = shipped_avatar(settings.assets, settings.avatar, SIZE)
    with tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as name, placed(SERVER_CORES) as placement:
        folder = Path(name)
        say("starting the server; a first start encodes its idle loops, which takes minutes")
        with serving(folder, placement, size=SIZE, fps=FPS) as served:
            log = folder / "observer.log"
            with running("bench.observer_process", [], log, talks=True, cores=placement.clients) as observer:
                observer.ask({"join": [served.whep()]}, WAIT_S)
                observer.ask({"keep": True}, WAIT_S)
                spoken = run_async(_speak(served, rounds, say))
                observer.ask({"save": str(folder / "seen")}, WAIT_S)
        say("reading lips")
        (seen,) = load(folder / "seen")
    drawn = drawn_lips(settings.assets, avatar, FPS, greeting(ANALYSE_HZ))
    sound, pictures = tracks(seen)
    ways = summed_up(spoken, hear(sound), read_lips(pictures, avatar, FPS))
    return LatencyFigures(machine, str(placement), first_parted(drawn, -1.0) or 0.0, ways)


async def _speak(served: Served, rounds: int, say: Callable[[str], None]) -> list[Round]:
    """All ways in turn, round by round, so that whatever else the machine does is shared fairly."""
    clip = greeting(RATE_HZ)
    spoken = []
    async with (
        httpx.AsyncClient(base_url=served.base, timeout=WAIT_S, trust_env=False) as http,
        pcm_client(served.base, STREAM) as pcm,
    ):
        ways: dict[str, Speak] = {
            "PCM, in real time": lambda: _stream(pcm, pcm_bytes(clip), real_time=True),
            "PCM, at once": lambda: _stream(pcm, pcm_bytes(clip), real_time=False),
            "a file": lambda: _upload(http, wav_file(clip, RATE_HZ)),
        }
        for number in range(WARM_UP + rounds):
            say(f"round {number + 1 - WARM_UP} of {rounds}" if number >= WARM_UP else "warming up")
            for way, speak in ways.items():
                await _until_idle(http)
                await asyncio.sleep(random.uniform(*PAUSE_S))
                began_s = await speak()
                if number >= WARM_UP:
                    spoken.append(Round(way, began_s))
        await _until_idle(http)
    return spoken


async def _stream(pcm: PcmClient, samples: bytes, *, real_time: bool) -> float:
    await pcm.begin(RATE_HZ)
    began_s = await pcm.send(samples, RATE_HZ, real_time=real_time)
    await pcm.commit()
    over = await pcm.until("finished", "interrupted", "failed", "error")
    if over.kind != "finished":
        raise BenchFailed(f"it was not spoken to its end: {over.data}")
    return began_s


async def _upload(http: httpx.AsyncClient, file: bytes) -> float:
    began_s = time.monotonic()
    reply = await http.post(f"/streams/{STREAM}/speech", content=file)
    reply.raise_for_status()
    return began_s


async def _until_idle(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(WAIT_S):
        while (await http.get(f"/streams/{STREAM}")).json()["state"] != "idle":  # noqa: ASYNC110  another process
            await asyncio.sleep(0.1)


def summed_up(spoken: Sequence[Round], heard: Heard, lips: Lips) -> list[Way]:
    """Each way's spreads. Errors: BenchFailed where a round's sound or lips did not come."""
    names = list(dict.fromkeys(each.way for each in spoken))
    ways = []
    for name in names:
        begun = [each.began_s for each in spoken if each.way == name]
        sounds = [_delay(first_sound(heard, began_s), began_s, name, "sound") for began_s in begun]
        parted = [_delay(first_parted(lips, began_s), began_s, name, f"lip above {PARTED}") for began_s in begun]
        ways.append(Way(name, len(begun), spread(sounds), spread(parted)))
    return ways


def first_sound(heard: Heard, since_s: float) -> float | None:
    """When the first audible packet after ``since_s`` came."""
    arrivals = np.array(heard.arrivals)
    found = np.flatnonzero((arrivals > since_s) & (heard.loudness() > AUDIBLE))
    return float(arrivals[found[0]]) if len(found) else None


def _delay(came_s: float | None, began_s: float, way: str, what: str) -> float:
    if came_s is None or came_s - began_s > LATE_S:
        raise BenchFailed(f"{way}: no {what} came within {LATE_S:.0f} s")
    return came_s - began_s
