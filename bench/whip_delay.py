"""From the microphone to the screen: how long after it was spoken a publisher's sound and its lips reach a viewer.

The real server with its worker, a publisher over WHIP that sends each packet when a live encoder would have it, a
viewer over WHEP that notes when each packet comes; all on one machine and one clock. The same sentence is uploaded
first: its lips are the reference that the published ones are held against. Beside it a server that relays sound alone.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import httpx
import numpy as np
from numpy.typing import NDArray

from avatar.prepared import PreparedAvatar
from bench.decoding import hear
from bench.faults import run_async
from bench.figures import Spread, spread
from bench.lip_curves import read_lips, shipped_avatar
from bench.machine import Machine, this_machine
from bench.observations import Observation, Track, tracks
from bench.observer import Observer, Whep, Wish, on_loopback
from bench.opus_publisher import Encoder, opus_packets, publishing, read_sound
from bench.placement import Placement, placed
from bench.processes import BenchFailed, answers, free_port, running
from bench.served import START_S, STREAM, serving
from bench.voice import SENTENCE
from bench.whip_analysis import find, lag, sound_delays
from whep_server.settings import Settings

SERVER_CORES: Final = 2
FPS: Final = 25
SIZE: Final = (1280, 720)
LEAD_IN_S: Final = 1.0
TAIL_S: Final = 1.5
SPEAK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Delays:
    """One way from a mouth to a viewer. Units: seconds."""

    sound: Spread
    """Of packets, from the speaking of the first sample to the arrival."""
    lips: float | None
    """From the speaking to the arrival of the pictures that show it; None where there are none."""


@dataclass(frozen=True, slots=True)
class WhipFigures:
    """All that was measured."""

    machine: Machine
    rounds: int
    sentence_s: float
    ours: Delays
    relay: Delays
    lead_s: float
    lookahead_s: float


@asynccontextmanager
async def viewing(endpoint: str, kinds: tuple[str, ...]) -> AsyncIterator[Observation]:
    """An observer that keeps every packet."""
    seen = Observation()
    observer = Observer(seen, Wish(kinds))
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client, asyncio.TaskGroup() as group:
        run: asyncio.Task[None] | None = None
        signaling = Whep(client, endpoint)
        try:
            await observer.join(signaling)
            run = group.create_task(observer.run())
            yield seen
        finally:
            if run is not None:
                run.cancel()
            await observer.leave(signaling)


def measure_whip(settings: Settings, rounds: int, say: Callable[[str], None]) -> WhipFigures:
    """Run both servers, one after the other. Errors: BenchFailed where one does not serve, or nothing is found."""
    machine = this_machine()
    sound = read_sound(settings.assets / SENTENCE, stereo=True)
    avatar = shipped_avatar(settings.assets, settings.avatar, SIZE)
    with (
        tempfile.TemporaryDirectory(prefix="whep-avatar-bench-") as folder,
        placed(SERVER_CORES) as placement,
        on_loopback(),
    ):
        say("starting the server; the first start encodes the idle loops, which takes minutes")
        ours = _measure_ours(settings, sound, avatar, rounds, Path(folder), placement, say)
        say("starting a server where aiortc relays the sound")
        relay = _measure_relay(sound, rounds, Path(folder), say)
    lookahead_s = _lookahead_s(settings)
    return WhipFigures(machine, rounds, len(sound) / 48_000, ours, relay, settings.lead_ms / 1000, lookahead_s)


def _lookahead_s(settings: Settings) -> float:
    from avatar.engines.viseme.viseme_engine import load_engine

    engine = load_engine(settings.assets)
    return engine.lookahead_samples / engine.sample_rate


def _measure_ours(
    settings: Settings,
    sound: NDArray[np.int16],
    avatar: PreparedAvatar,
    rounds: int,
    folder: Path,
    placement: Placement,
    say: Callable[[str], None],
) -> Delays:
    with serving(folder, placement, size=SIZE, fps=FPS) as served:
        base = served.base
        say("the sentence as an upload, for reference")
        reference = run_async(_uploaded(base, (settings.assets / SENTENCE).read_bytes()))
        said = sound.mean(axis=1).astype(np.float32) / 32768
        heard = hear(tracks(reference)[0])
        start = find(heard.samples, said[: len(said) // 2])
        if start is None:
            raise BenchFailed("the uploaded sentence is not in the sound")
        reference_lips, reference_s = read_lips(tracks(reference)[1], avatar, FPS), heard.arrivals[start // 960]
        sounds: list[float] = []
        lips: list[float] = []
        for number in range(rounds):
            say(f"published, round {number + 1} of {rounds}")
            received, encoder = run_async(_published(base + "/whip/demo", base + "/whep/demo", sound, lips=True))
            sounds += sound_delays(hear(Track("audio", received.audio, [])), said, encoder.spoken_s)
            lips.append(lag(read_lips(tracks(received)[1], avatar, FPS), encoder.start_s, reference_lips, reference_s))
    if not sounds:
        raise BenchFailed("the published sentence is not in the sound")
    return Delays(spread(sounds), statistics.median(lips))


def _measure_relay(sound: NDArray[np.int16], rounds: int, folder: Path, say: Callable[[str], None]) -> Delays:
    said = sound.mean(axis=1).astype(np.float32) / 32768
    sounds: list[float] = []
    for number in range(rounds):
        port = free_port()
        base = f"http://127.0.0.1:{port}"
        with running("bench.sound_relay", ["--port", str(port)], folder / "relay.log") as server:
            server.wait_for(partial(answers, base), START_S, "the server to compare with")
            say(f"relayed, round {number + 1} of {rounds}")
            received, encoder = run_async(_published(base + "/whip", base + "/whep", sound, lips=False))
            sounds += sound_delays(hear(Track("audio", received.audio, [])), said, encoder.spoken_s)
    if not sounds:
        raise BenchFailed("the relayed sentence is not in the sound")
    return Delays(spread(sounds), None)


async def _published(whip: str, whep: str, sound: NDArray[np.int16], *, lips: bool) -> tuple[Observation, Encoder]:
    """Publish the sentence once, with a viewer there."""
    packets = opus_packets(sound)
    kinds = ("audio", "video") if lips else ("audio",)
    async with publishing(whip, packets) as encoder, viewing(whep, kinds) as received:
        encoder.start(time.monotonic() + LEAD_IN_S)
        async with asyncio.timeout(SPEAK_S):
            await encoder.done.wait()
        await asyncio.sleep(TAIL_S)
    return received, encoder


async def _uploaded(base: str, file: bytes) -> Observation:
    """Upload the sentence, with a viewer there, and wait until it has been spoken."""
    async with viewing(f"{base}/whep/{STREAM}", ("audio", "video")) as received:
        await asyncio.sleep(LEAD_IN_S)
        async with httpx.AsyncClient(base_url=base, timeout=30, trust_env=False) as client:
            reply = await client.post(f"/streams/{STREAM}/speech", content=file)
            reply.raise_for_status()
            async with asyncio.timeout(SPEAK_S):
                await asyncio.sleep(LEAD_IN_S)
                while (await client.get(f"/streams/{STREAM}")).json()["state"] != "idle":  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        await asyncio.sleep(TAIL_S)
    return received
