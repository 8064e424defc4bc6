"""The embedded engine: speech to a drawn mouth, on any CPU.

A slot turns its samples into log-mel frames as they come; a step runs the network once over all slots, interpolates its
50 Hz answers at the frames' times and has the painter draw them in the poses of the idle pictures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from avatar.engines.engine import REWIND_S, Drawing, FrameJob, Patch, Work
from avatar.engines.viseme.features import HOP, MELS, SAMPLE_RATE, SILENCE, LogMelStream, finite, take_frames
from avatar.engines.viseme.mover import FigureMover
from avatar.engines.viseme.network import (
    FRAMES_A_STEP,
    STEP_RATE,
    State,
    VisemeNetwork,
    load_network,
    rest_state,
    rested,
    sharpened,
)
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import NEUTRAL, PARAMETERS, eased
from avatar.engines.viseme.pose import VisemeState
from avatar.engines.viseme.stress import StressEar
from avatar.engines.viseme.warp import WarpPainter
from avatar.engines.viseme.warp_state import WarpState
from avatar.motion import STILL, Motion, Mover
from avatar.prepared import Box, PreparedAvatar

RATES = (10, 15, 20, 25, 30)
"""Units: frames a second."""
MAX_BATCH = 64
WARM_SLOTS = (1, 2, 4, 8, 16)
WARM_STEPS = (2, 4, 8)
WEIGHTS = Path("viseme") / "weights.pt"
"""Within the assets."""


class Painter(Protocol):
    """Draws mouths of one avatar at one size, in any thread."""

    def box(self, picture: int) -> Box:
        """Where the mouth of a picture is."""
        ...

    def paint(self, picture: int, mouth: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The mouth in the picture's pose. Shapes: (7,) -> (box.height, box.width, 4), premultiplied."""
        ...


@dataclass(slots=True)
class _Slot:
    """One stream's stretch of speech: what was pushed, what the network made of it, what was drawn of that."""

    avatar: tuple[str, tuple[int, int]]
    painter: Painter
    fps: int
    state: State
    mel: LogMelStream = field(default_factory=LogMelStream)
    waiting: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, MELS), np.float32))
    """Frames that the network has not heard, but for those that ``mel`` has ready. Shapes: (n, 80)."""
    pushed: int = 0
    """Samples."""
    steps: int = 0
    """Steps that the network has made."""
    mouths: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, len(PARAMETERS)), np.float32))
    """Those of the last ``REWIND_S`` and the ones to come, whose frames can be made. Shapes: (n, 7)."""
    frames: int = 0
    """Video frames made."""
    ear: StressEar = field(default_factory=StressEar)

    def steps_heard(self) -> int:
        """Steps that the pushed samples suffice for."""
        return self.steps + (len(self.waiting) + self.mel.ready) // FRAMES_A_STEP


class VisemeEngine:
    """``avatar.engines.engine.Engine`` with a small network and a live drawing."""

    name = "viseme"
    sample_rate = SAMPLE_RATE
    max_batch = MAX_BATCH
    hurried_fps = 0
    speed = 0.0
    idle = False

    def __init__(self, network: VisemeNetwork, make_painter: Callable[[PreparedAvatar], Painter]) -> None:
        self._network = network
        self._first = network.config.first_step
        self._rest = rest_state(network)
        self._make_painter = make_painter
        self._slots: dict[int, _Slot] = {}
        # A frame between two steps waits for the later one.
        between = max(-frame * STEP_RATE % fps / fps for fps in RATES for frame in range(fps))
        self.lookahead_samples = network.config.lookahead_samples + int(np.ceil(between * SAMPLE_RATE / STEP_RATE))

    @torch.inference_mode()
    def warm_up(self) -> None:
        """Have the kernels compiled that speech usually needs, so that no stream waits for them."""
        for rows in WARM_SLOTS:
            for steps in WARM_STEPS:
                mel = torch.full((rows, FRAMES_A_STEP * steps, MELS), SILENCE)
                state = [part.expand(rows, *part.shape[1:]).contiguous() for part in self._rest]
                self._network(mel, state, torch.full((rows,), steps))

    def open(self, avatar: PreparedAvatar, fps: int) -> int:
        """A fresh slot. Errors: ValueError for a rate that is not one of ``RATES``."""
        if fps not in RATES:
            raise ValueError(f"{fps} frames a second is not one of {RATES}")
        number = next(free for free in range(len(self._slots) + 1) if free not in self._slots)
        key = (avatar.digest, avatar.size)
        shared = next((slot.painter for slot in self._slots.values() if slot.avatar == key), None)
        self._slots[number] = _Slot(key, shared or self._make_painter(avatar), fps, self._rest)
        return number

    def close(self, slot: int) -> None:
        """Free the slot."""
        del self._slots[slot]

    def reset(self, slot: int) -> None:
        """Forget everything pushed."""
        old = self._slots[slot]
        self._slots[slot] = _Slot(old.avatar, old.painter, old.fps, self._rest)

    def push(self, slot: int, samples: NDArray[np.float32]) -> None:
        """Append samples; NaN and infinities count as silence."""
        chosen = self._slots[slot]
        chosen.pushed += len(samples)
        chosen.mel.push(finite(samples))

    def ready(self, slot: int) -> int:
        """How many further frames can be made now."""
        chosen = self._slots[slot]
        newest = chosen.steps_heard() - 1 - self._first  # in 1 / 50 s since the first sample
        return newest * chosen.fps // STEP_RATE + 1 - chosen.frames if newest >= 0 else 0

    def step(self, work: Sequence[Work]) -> list[list[Drawing | None]]:
        """Make frames, with one call of the network for all slots. Errors: ValueError where ``work`` cannot be done."""
        self._check(work)
        slots = [self._slots[item.slot] for item in work]
        wanted = [self._steps_wanted(slot, len(item.frames)) for slot, item in zip(slots, work, strict=True)]
        hungry = [(slot, count) for slot, count in zip(slots, wanted, strict=True) if count]
        _take_in(slots)
        if hungry:
            self._hear([slot for slot, _ in hungry], [count for _, count in hungry])
        return [self._draw(slot, item.frames) for slot, item in zip(slots, work, strict=True)]

    def rewind(self, slot: int, frame: int, heard: int) -> None:
        """Make frames again, and forget what was pushed after the first ``heard`` samples, a multiple of 320.

        What the network made of the samples before stays; from there on it hears as if after a second of silence.
        """
        chosen = self._slots[slot]
        oldest = chosen.steps - len(chosen.mouths)
        step, part = divmod(heard, HOP * FRAMES_A_STEP)
        if part or not 0 <= heard <= chosen.pushed or not 0 <= frame <= chosen.frames:
            raise ValueError(f"slot {slot} cannot go back to frame {frame} and sample {heard}")
        if frame * STEP_RATE // chosen.fps + self._first < oldest:
            raise ValueError(f"slot {slot} does not know frame {frame} any more")
        chosen.frames = frame
        if heard < chosen.pushed:
            self._forget(chosen, step)
            chosen.pushed = heard

    def _forget(self, slot: _Slot, step: int) -> None:
        """All from a step on. The last frame before it looked beyond it, and is silence now."""
        _take_in([slot])
        slot.mel = LogMelStream()
        wanted = FRAMES_A_STEP * max(0, step - slot.steps)
        slot.ear = slot.ear.forget(FRAMES_A_STEP * step)
        known = slot.waiting[: max(0, wanted - 1)]
        slot.waiting = np.concatenate([known, np.full((wanted - len(known), MELS), SILENCE, np.float32)])
        if step < slot.steps:
            slot.mouths = slot.mouths[: len(slot.mouths) - (slot.steps - step)]
            slot.steps, slot.state = step, self._rest

    def mover(self, avatar: PreparedAvatar) -> Mover | None:
        """One for a drawn figure; a filmed one stands before what nobody could bend unseen."""
        return FigureMover(avatar.state.view) if isinstance(avatar.state, VisemeState) else None

    def neutral(self, slot: int, picture: int) -> Patch:
        """The neutral mouth on ``picture``."""
        return _painted(self._slots[slot].painter, picture, NEUTRAL)

    def _check(self, work: Sequence[Work]) -> None:
        if len(work) > self.max_batch or len({item.slot for item in work}) < len(work):
            raise ValueError(f"a step takes up to {self.max_batch} slots, each once")
        for item in work:
            if len(item.frames) > self.ready(item.slot):
                raise ValueError(f"slot {item.slot} has {self.ready(item.slot)} frames, not {len(item.frames)}")

    def _steps_wanted(self, slot: _Slot, frames: int) -> int:
        """Steps that the network has yet to make for so many frames."""
        if not frames:
            return 0
        last = -(-(slot.frames + frames - 1) * STEP_RATE // slot.fps)  # rounded up
        return max(0, last + self._first + 1 - slot.steps)

    @torch.inference_mode()
    def _hear(self, slots: Sequence[_Slot], counts: Sequence[int]) -> None:
        """Run the network for ``counts[i]`` steps of slot i: one call, padded to one of few shapes.

        For each shape that it has not seen PyTorch compiles its kernels, 2 to 20 ms, and keeps them, 0.3 MB.
        """
        rows = _padded(len(slots))
        spare = rows - len(slots)
        mel = np.zeros((rows, FRAMES_A_STEP * max(2, _padded(max(counts))), MELS), np.float32)  # (B, T, 80)
        for row, (slot, count) in enumerate(zip(slots, counts, strict=True)):
            mel[row, : FRAMES_A_STEP * count] = slot.waiting[: FRAMES_A_STEP * count]
        states = [*(slot.state for slot in slots), *[self._rest] * spare]
        state = [torch.cat(parts) for parts in zip(*states, strict=True)]
        said, scores, after = self._network(torch.from_numpy(mel), state, torch.tensor([*counts, *[0] * spare]))
        mouths = rested(sharpened(said.numpy(), scores.numpy()))  # (B, N, 7)
        for row, (slot, count) in enumerate(zip(slots, counts, strict=True)):
            slot.state = [part[row : row + 1].clone() for part in after]
            slot.waiting = slot.waiting[FRAMES_A_STEP * count :]
            slot.mouths = np.concatenate([slot.mouths, mouths[row, :count]])
            slot.steps += count

    def _draw(self, slot: _Slot, frames: Sequence[FrameJob]) -> list[Drawing | None]:
        drawings: list[Drawing | None] = []
        for job in frames:
            mouth = eased(self._mouth_at(slot, slot.frames), job.strength) if job.draw else None
            accent = slot.ear.motion(slot.frames / slot.fps).times(job.strength)
            drawings.append(None if mouth is None else partial(_painted, slot.painter, job.picture, mouth, accent))
            slot.frames += 1
        # The next frame stands between two steps, the earlier of which may have been made; but it may be made again.
        oldest = slot.frames * STEP_RATE // slot.fps + self._first - REWIND_S * STEP_RATE
        slot.mouths = slot.mouths[max(0, oldest - (slot.steps - len(slot.mouths))) :]
        return drawings

    def _mouth_at(self, slot: _Slot, frame: int) -> NDArray[np.float32]:
        """The mouth at the time of a frame, between the steps on either side of it."""
        step, part = divmod(frame * STEP_RATE, slot.fps)
        row = step + self._first - (slot.steps - len(slot.mouths))
        if not part:
            return np.asarray(slot.mouths[row])
        weight = np.float32(part / slot.fps)
        return np.asarray((1 - weight) * slot.mouths[row] + weight * slot.mouths[row + 1], np.float32)


def _padded(count: int) -> int:
    """The power of two that holds it."""
    return 1 << (count - 1).bit_length()


def _take_in(slots: Sequence[_Slot]) -> None:
    """Have the frames that are ready wait for the network."""
    for slot, sound in zip(slots, take_frames([slot.mel for slot in slots]), strict=True):
        slot.waiting = np.concatenate([slot.waiting, sound.mel])
        slot.ear.hear(sound.levels, sound.pitches)


def _painted(painter: Painter, picture: int, mouth: NDArray[np.float32], accent: Motion = STILL) -> Patch:
    return Patch(picture, painter.box(picture), painter.paint(picture, mouth), accent)


def painter_of(avatar: PreparedAvatar) -> Painter:
    """The painter that the avatar was prepared for. Errors: TypeError where that is none of ours."""
    return WarpPainter(avatar) if isinstance(avatar.state, WarpState) else MouthPainter(avatar)


def load_engine(assets: Path) -> VisemeEngine:
    """The engine with the weights that ship in ``assets``."""
    engine = VisemeEngine(load_network(assets / WEIGHTS), painter_of)
    engine.warm_up()
    return engine
