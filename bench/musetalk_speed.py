"""How many faces a second MuseTalk's networks make on a device, with random weights of the real size: speed needs no
others. Beside it, what the device's arithmetic would allow.

Each batch goes the whole way that a stream's rows go: sound encoded, UNet, VAE, bytes, home to the CPU's memory.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from avatar.engines.musetalk.generator import BUCKETS, Generator, Speedup
from avatar.engines.musetalk.musetalk_engine import EngineOptions
from avatar.engines.musetalk.networks import SAMPLE_RATE, TINY, Networks, Sizes, random_networks
from avatar.engines.musetalk.speech_features import LOOKAHEAD, STEPS, Hearing, Windows, moments
from avatar.engines.musetalk.whisper_mel import WhisperMel
from bench.machine import Machine, this_machine

FPS: Final = 25
TOP: Final = 112
"""The row from which an avatar's mask shows something, as a rule."""
FRAMES_A_TURN: Final = 4
_MATMUL: Final = 8192
HEADROOM: Final = 0.8
"""Part of the speed that streams may take: the rest is for batches that are not full."""


@dataclass(frozen=True, slots=True)
class SpeedPlan:
    """What is to be measured."""

    options: EngineOptions
    batches: Sequence[int] = BUCKETS
    tiny: bool = False
    seconds: float = 2.0
    """Each figure is measured for so long, and three times at least."""


@dataclass(frozen=True, slots=True)
class BatchSpeed:
    """One batch size."""

    rows: int
    batch_ms: float
    unet_ms: float
    vae_ms: float
    """Of one batch each, by themselves."""
    memory_bytes: int
    """Most of the device's memory that was taken; 0 on a CPU."""

    @property
    def fps(self) -> float:
        """Faces a second."""
        return 1000 * self.rows / self.batch_ms


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """All that was measured."""

    machine: Machine
    device: str
    precision: str
    speedup: str
    tiny: bool
    gflop: float
    """Of one face: UNet and VAE decoder."""
    peak_tflops: float
    """What a large product of matrices reaches on the device in this precision."""
    warm_s: float
    """From networks in memory to all batch sizes warm."""
    first_ms: float
    """From the last sound that a first frame needs to its face in the CPU's memory, nothing else going on."""
    hearing_ms: float
    """Encoding the sound of one turn of one stream."""
    batches: Sequence[BatchSpeed]

    @property
    def limit_fps(self) -> float:
        """Faces a second if nothing but arithmetic counted."""
        return 1000 * self.peak_tflops / self.gflop

    @property
    def best(self) -> BatchSpeed:
        """The batch size that makes the most."""
        return max(self.batches, key=lambda each: each.fps)

    @property
    def streams(self) -> int:
        """Streams of 25 frames a second that this speed would carry, computed."""
        return int(HEADROOM * self.best.fps / FPS)


def measure_speed(plan: SpeedPlan, say: Callable[[str], None]) -> SpeedFigures:
    """Measure one device. Errors: ValueError where there is no such device."""
    machine, device = this_machine(), plan.options.place()
    kind = plan.options.kind(device)
    sizes = TINY if plan.tiny else Sizes()
    say(f"making networks at random on {_name(device)}")
    networks = random_networks(sizes, device).moved(device, kind)
    generator = Generator(networks, device, kind, plan.options.speedup, max(plan.batches))
    hearing = Hearing(networks, device, kind)
    say("warming up")
    began_s = time.perf_counter()
    generator.warm_up(STEPS * networks.states)
    _wait(device)
    warm_s = time.perf_counter() - began_s
    lane = _Lane(networks, generator, hearing, device, kind, plan.seconds)
    first_ms, hearing_ms = _first(lane), _hearing(lane)
    batches = []
    for rows in plan.batches:
        say(f"batches of {rows}")
        batches.append(_batch(lane, rows))
    return SpeedFigures(
        machine,
        _name(device),
        str(kind).removeprefix("torch."),
        (plan.options.speedup if device.type == "cuda" else Speedup.NONE).value,
        plan.tiny,
        count_gflop(sizes),
        _peak(lane),
        warm_s,
        first_ms,
        hearing_ms,
        batches,
    )


@dataclass(frozen=True, slots=True)
class _Lane:
    """Everything a row passes through."""

    networks: Networks
    generator: Generator
    hearing: Hearing
    device: torch.device
    kind: torch.dtype
    seconds: float

    def heard(self, streams: int, frames: int) -> list[WhisperMel]:
        """So many streams' sound, enough for frames."""
        windows, noise = Windows(self.networks.positions), np.random.default_rng(1)
        mels = []
        for _ in range(streams):
            mel = WhisperMel(self.networks.mel_filters.cpu().numpy(), windows.kept_s)
            samples = noise.standard_normal(LOOKAHEAD + frames * SAMPLE_RATE // FPS)
            mel.push((0.1 * samples).astype(np.float32))
            mels.append(mel)
        return mels

    @torch.inference_mode()
    def make(self, mels: Sequence[WhisperMel], rows: int) -> None:
        """One batch, from sound to bytes: ``FRAMES_A_TURN`` rows a stream."""
        windows = Windows(self.networks.positions)
        wanted = [moment for mel in mels for moment in moments(mel, windows, range(min(rows, FRAMES_A_TURN)), FPS)][
            :rows
        ]
        latents = torch.zeros(rows, 8, 32, 32, device=self.device, dtype=self.kind)
        self.generator.generate(latents, self.hearing.hear(wanted), TOP)


def _batch(lane: _Lane, rows: int) -> BatchSpeed:
    if lane.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(lane.device)
    mels = lane.heard(-(-rows // FRAMES_A_TURN), FRAMES_A_TURN)
    whole_ms = _timed(lane, lambda: lane.make(mels, rows))
    networks = lane.networks
    latents = torch.zeros(rows, 8, 32, 32, device=lane.device, dtype=lane.kind)
    latents = latents.contiguous(memory_format=torch.channels_last)
    heard = torch.zeros(rows, STEPS * networks.states, networks.width, device=lane.device, dtype=lane.kind)
    step = torch.zeros((), dtype=torch.int64, device=lane.device)
    unet_ms = _timed(lane, lambda: networks.unet(latents, step, encoder_hidden_states=heard))
    vae_ms = _timed(lane, lambda: networks.vae.decode(latents[:, :4]))
    memory = torch.cuda.max_memory_allocated(lane.device) if lane.device.type == "cuda" else 0
    return BatchSpeed(rows, whole_ms, unet_ms, vae_ms, memory)


def _first(lane: _Lane) -> float:
    mels = lane.heard(1, 1)
    return _timed(lane, lambda: lane.make(mels, 1))


def _hearing(lane: _Lane) -> float:
    mel = torch.zeros(1, lane.networks.mel_filters.shape[1], 2 * lane.networks.positions)
    return _timed(lane, lambda: lane.hearing.encode(mel))


@torch.inference_mode()
def _timed(lane: _Lane, work: Callable[[], object]) -> float:
    """The median of several runs, after one that does not count. Units: ms."""
    work()
    _wait(lane.device)
    spent: list[float] = []
    while len(spent) < 3 or (sum(spent) < lane.seconds and len(spent) < 200):
        began_s = time.perf_counter()
        work()
        _wait(lane.device)
        spent.append(time.perf_counter() - began_s)
    return 1000 * float(np.median(spent))


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _peak(lane: _Lane) -> float:
    """TFLOP a second in a product of large matrices."""
    side = _MATMUL if lane.device.type == "cuda" else 1024
    one = torch.randn(side, side, device=lane.device, dtype=lane.kind)
    return 2 * side**3 / _timed(lane, lambda: one @ one) / 1e9


def count_gflop(sizes: Sizes) -> float:
    """Of one face by UNet and VAE decoder, counted without computing any of it."""
    networks = random_networks(sizes, torch.device("meta"))
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        heard = torch.empty(1, STEPS * networks.states, networks.width)
        networks.unet(torch.empty(1, 8, 32, 32), torch.zeros(()), encoder_hidden_states=heard)
        networks.vae.decode(torch.empty(1, 4, 32, 32))
    return float(counter.get_total_flops() / 1e9)
