"""The engine of MuseTalk 1.5: speech to the mouth's half of a filmed face, for all streams in batches, on a GPU.

A slot keeps what was heard; a step says which moments of it the new frames hear and hands these, as rows, to the
networks' own thread (``batches``). So a step takes no time, rows of several streams and rounds share batches by how
soon they are needed, and whoever draws a frame waits for its row. A frame without strength is the picture itself and a
frame that is not drawn is only counted: neither costs a row.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from avatar.engines.engine import REWIND_S, Drawing, FrameJob, Patch, Work
from avatar.engines.musetalk.batches import MAKING_S, Batches
from avatar.engines.musetalk.generator import BUCKETS, Generator, Speedup
from avatar.engines.musetalk.musetalk_state import MuseTalkState, patch_of
from avatar.engines.musetalk.networks import SAMPLE_RATE, Networks, load_networks
from avatar.engines.musetalk.speech_features import LOOKAHEAD, STEPS, Hearing, Moment, Windows, moments
from avatar.engines.musetalk.whisper_mel import WhisperMel
from avatar.prepared import Box, PreparedAvatar

log = logging.getLogger(__name__)

MAX_SLOTS: Final = 64
HURRIED_FPS: Final = 15
"""The original server found that 15 faces a second, each shown twice, carry nearly twice the streams and look well."""
_NOTHING: Final = Box(0, 0, 2, 2)
_GRID: Final = 320
"""Units: samples; a cut is a multiple of it."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How the networks are run."""

    device: str = "auto"
    """``auto``, or as PyTorch names it: ``cpu``, ``cuda``, ``cuda:1``."""
    precision: str = "auto"
    """``fp32``, ``fp16``, ``bf16``; ``auto``: fp16 on a GPU, fp32 elsewhere."""
    speedup: Speedup = Speedup.NONE
    max_batch: int = BUCKETS[-1]

    def place(self) -> torch.device:
        """Errors: ValueError where there is no such device."""
        name = ("cuda" if torch.cuda.is_available() else "cpu") if self.device == "auto" else self.device
        try:
            device = torch.device(name)
            torch.zeros(1, device=device)
        except (RuntimeError, AssertionError) as error:  # as PyTorch says that it was built without CUDA
            raise ValueError(f"the device {name!r} cannot be used: {str(error).splitlines()[0]}") from error
        return device

    def kind(self, device: torch.device) -> torch.dtype:
        """Of all numbers."""
        named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        usual = torch.float16 if device.type == "cuda" else torch.float32
        return named.get(self.precision, usual)


@dataclass(eq=False)
class _Cast:
    """An avatar's latents on the device, for all its slots."""

    latents: Tensor


@dataclass(slots=True)
class _Slot:
    avatar: PreparedAvatar
    state: MuseTalkState
    cast: _Cast
    fps: int
    mel: WhisperMel
    frames: int = 0
    """Made, or passed over."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One face that is to be made."""

    moment: Moment
    cast: _Cast
    picture: int
    top: int


@dataclass(frozen=True, slots=True)
class _Face:
    """One that was. Shapes: pixels (256 - top, 256, 3) RGB."""

    pixels: NDArray[np.uint8]
    top: int


class MuseTalkEngine:
    """``avatar.engines.engine.Engine`` with MuseTalk's networks."""

    name = "musetalk"
    sample_rate = SAMPLE_RATE
    lookahead_samples = LOOKAHEAD
    max_batch = MAX_SLOTS
    hurried_fps = HURRIED_FPS

    def __init__(self, networks: Networks, options: EngineOptions) -> None:
        """Warm when it is made. Errors: ValueError where there is no such device."""
        self.device = options.place()
        self.dtype = options.kind(self.device)
        networks = networks.moved(self.device, self.dtype)
        self._filters = networks.mel_filters.numpy()
        self._windows = Windows(networks.positions)
        self._hearing = Hearing(networks, self.device, self.dtype)
        self.generator = Generator(networks, self.device, self.dtype, options.speedup, options.max_batch)
        self._tokens = STEPS * networks.states
        self.speed = 0.0
        self._slots: dict[int, _Slot] = {}
        self._casts: WeakValueDictionary[tuple[str, tuple[int, int]], _Cast] = WeakValueDictionary()
        self._batches: Batches[_Row, _Face] = Batches(self._make, self.generator.buckets[-1], self._warm_up)

    @property
    def idle(self) -> bool:
        """Whether the networks have nothing to do."""
        return self._batches.idle

    @torch.inference_mode()
    def _warm_up(self) -> None:
        """On the networks' thread, which alone uses the device from then on."""
        silence = torch.full((1, self._filters.shape[1], 2 * self._windows.positions), -1.5)
        self._hearing.encode(silence)
        self.generator.warm_up(self._tokens)
        self.speed = self.generator.speed(self._tokens)

    def open(self, avatar: PreparedAvatar, fps: int) -> int:
        """A fresh slot. Errors: TypeError for an avatar of another engine."""
        if not isinstance(avatar.state, MuseTalkState):
            raise TypeError(f"{avatar.name} was not prepared for this engine")
        number = next(free for free in range(len(self._slots) + 1) if free not in self._slots)
        key = (avatar.digest, avatar.size)
        cast = self._casts.get(key)
        if cast is None:
            cast = self._casts[key] = _Cast(torch.from_numpy(avatar.state.latents).to(self.device, self.dtype))
        self._slots[number] = _Slot(avatar, avatar.state, cast, fps, self._silent())
        return number

    def _silent(self) -> WhisperMel:
        return WhisperMel(self._filters, self._windows.kept_s)

    def close(self, slot: int) -> None:
        """Free the slot."""
        del self._slots[slot]

    def reset(self, slot: int) -> None:
        """Forget everything pushed."""
        self._slots[slot].mel, self._slots[slot].frames = self._silent(), 0

    def push(self, slot: int, samples: NDArray[np.float32]) -> None:
        """Append samples; NaN and infinities count as silence."""
        self._slots[slot].mel.push(np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0))

    def ready(self, slot: int) -> int:
        """How many further frames can be made now."""
        chosen = self._slots[slot]
        heard = chosen.mel.pushed - LOOKAHEAD
        return heard * chosen.fps // SAMPLE_RATE + 1 - chosen.frames if heard >= 0 else 0

    def step(self, work: Sequence[Work]) -> list[list[Drawing | None]]:
        """Have frames made. Errors: ValueError where ``work`` cannot be done."""
        if len(work) > self.max_batch or len({item.slot for item in work}) < len(work):
            raise ValueError(f"a step takes up to {self.max_batch} slots, each once")
        for item in work:
            if len(item.frames) > self.ready(item.slot):
                raise ValueError(f"slot {item.slot} has {self.ready(item.slot)} frames, not {len(item.frames)}")
        return [self._begin(self._slots[item.slot], item) for item in work]

    def _begin(self, slot: _Slot, work: Work) -> list[Drawing | None]:
        """The rows of one slot, on their way, and what waits for them."""
        first, slot.frames = slot.frames, slot.frames + len(work.frames)
        numbered = list(enumerate(work.frames, first))
        moving = [(frame, job) for frame, job in numbered if job.draw and job.strength > 0]
        heard = moments(slot.mel, self._windows, [frame for frame, _ in moving], slot.fps)
        rows = [
            _Row(moment, slot.cast, job.picture, slot.state.top) for moment, (_, job) in zip(heard, moving, strict=True)
        ]
        slack_s = [work.slack_s + (frame - first) / slot.fps for frame, _ in moving]
        faces = dict(zip((frame for frame, _ in moving), self._batches.put(rows, slack_s), strict=True))
        return [_drawing(slot.state, job, faces.get(frame)) if job.draw else None for frame, job in numbered]

    @torch.inference_mode()
    def _make(self, rows: Sequence[_Row]) -> list[_Face]:
        """One batch, on the networks' thread."""
        heard = self._hearing.hear([row.moment for row in rows])
        latents = torch.stack([row.cast.latents[row.picture] for row in rows])
        top = min(row.top for row in rows)
        return [_Face(pixels, top) for pixels in self.generator.generate(latents, heard, top)]

    def rewind(self, slot: int, frame: int, heard: int) -> None:
        """Make frames again, and forget what was pushed after the first ``heard`` samples, a multiple of 320."""
        chosen = self._slots[slot]
        if heard % _GRID or not 0 <= heard <= chosen.mel.pushed or not 0 <= frame <= chosen.frames:
            raise ValueError(f"slot {slot} cannot go back to frame {frame} and sample {heard}")
        if (chosen.frames - frame) > REWIND_S * chosen.fps:
            raise ValueError(f"slot {slot} does not know frame {frame} any more")
        chosen.mel.cut(heard)
        chosen.frames = frame

    def mover(self, avatar: PreparedAvatar) -> None:
        """None: a film has the poses that it shows."""

    def neutral(self, slot: int, picture: int) -> Patch:
        """Nothing over ``picture``: at rest an avatar is its film."""
        del slot
        return _bare(picture)


def _drawing(state: MuseTalkState, job: FrameJob, face: "Future[_Face] | None") -> Drawing:
    if face is None:
        return partial(_bare, job.picture)
    return partial(_painted, state, job.picture, job.strength, face)


def _bare(picture: int) -> Patch:
    return Patch(picture, _NOTHING, np.zeros((_NOTHING.height, _NOTHING.width, 4), np.uint8))


def _painted(state: MuseTalkState, picture: int, strength: float, face: "Future[_Face]") -> Patch:
    made, mouth = face.result(MAKING_S), state.mouths[picture]
    return Patch(picture, Box(*mouth.box), patch_of(mouth, made.pixels, made.top, strength))


def load_engine(models: Path, options: EngineOptions) -> MuseTalkEngine:
    """The engine with the weights of a models folder. Errors: ModelsInvalid, ValueError for a device."""
    engine = MuseTalkEngine(load_networks(models), options)
    log.info("musetalk: %s, %s, batches of %s", engine.device, engine.dtype, engine.generator.buckets)
    return engine
