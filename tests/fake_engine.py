"""A worker with an engine that draws loudness as a grey box: no torch, no art, every number predictable.

Run as a program it is the worker process (``python tests/fake_engine.py --fd N``); imported, engine and library.
The avatar named ``breaks`` cannot be heard, ``tears`` cannot be drawn, drawing ``hangs`` takes for ever, that of
``slow`` longer than a picture is shown; ``damaged`` cannot be loaded.
"""

import sys
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
from numpy.typing import NDArray

from avatar.engines.engine import Drawing, Engine, Patch, Work
from avatar.messages import POSES, AvatarInfo, WorkerConfig
from avatar.motion import Motion, Mover
from avatar.prepared import AvatarInvalid, Box, PreparedAvatar
from avatar.worker import main

SIZE = (128, 96)
BOX = Box(48, 48, 32, 32)
FACES = 20
PICTURES = 200
SLOW_S = 0.06
TILT_ROWS, TILT = 16, 40
"""Rows in which the avatar named ``poser`` shows how far it tilts its head, and levels of luma to a degree."""
FPS = 25


def face_chroma(number: int) -> tuple[int, int]:
    """The colour by which the face of that number is told from the others: Cb and Cr."""
    return 64 + 32 * (number % 5), 64 + 32 * (number // 5)


def make_avatar(name: str, size: tuple[int, int] = SIZE) -> PreparedAvatar:
    """Pictures of one grey each, another from picture to picture; those of a face are coloured."""
    pictures = np.full((PICTURES, size[1] * 3 // 2, size[0]), 128, np.uint8)
    if name.startswith("face-"):
        cb, cr = face_chroma(int(name.removeprefix("face-")))
        chroma = pictures[:, size[1] :].reshape(PICTURES, 2, -1)
        chroma[:, 0], chroma[:, 1] = cb, cr
    pictures[:, : size[1]] = (100 + np.arange(PICTURES) % 50)[:, None, None]
    return PreparedAvatar(name, name.title(), "loudness", FPS, size, pictures, f"digest-{name}", None)


class LoudnessEngine:
    """Frame k shows the loudness of its own samples; it looks 80 ms ahead to be as slow as a real one."""

    name = "loudness"
    sample_rate = 16_000
    lookahead_samples = 1280
    max_batch = 16
    hurried_fps = 0
    speed = 0.0
    idle = False

    def __init__(self) -> None:
        self._open: dict[int, tuple[str, int]] = {}
        self._samples: dict[int, NDArray[np.float32]] = {}
        self._made: dict[int, int] = {}

    def open(self, avatar: PreparedAvatar, fps: int) -> int:
        slot = max(self._open, default=-1) + 1
        self._open[slot] = (avatar.name, fps)
        self.reset(slot)
        return slot

    def close(self, slot: int) -> None:
        del self._open[slot], self._samples[slot], self._made[slot]

    def reset(self, slot: int) -> None:
        self._samples[slot] = np.zeros(0, np.float32)
        self._made[slot] = 0

    def push(self, slot: int, samples: NDArray[np.float32]) -> None:
        self._samples[slot] = np.concatenate([self._samples[slot], samples])

    def ready(self, slot: int) -> int:
        fps = self._open[slot][1]
        return max(0, (len(self._samples[slot]) - self.lookahead_samples) * fps // self.sample_rate - self._made[slot])

    def step(self, work: Sequence[Work]) -> list[list[Drawing | None]]:
        return [self._frames(each) for each in work]

    def _frames(self, work: Work) -> list[Drawing | None]:
        name, fps = self._open[work.slot]
        if name == "breaks":
            raise RuntimeError("this avatar cannot be heard")
        if len(work.frames) > self.ready(work.slot):
            raise ValueError("more frames than samples")
        drawings: list[Drawing | None] = []
        for job in work.frames:
            first = self._made[work.slot] * self.sample_rate // fps
            heard = self._samples[work.slot][first : first + self.sample_rate // fps]
            self._made[work.slot] += 1
            loudness = float(np.sqrt(np.mean(heard**2))) * job.strength
            drawings.append(partial(DRAWN.get(name, _box), job.picture, loudness) if job.draw else None)
        return drawings

    def rewind(self, slot: int, frame: int, heard: int) -> None:
        if not (0 <= frame <= self._made[slot] and 0 <= heard <= len(self._samples[slot])):
            raise ValueError("there is nothing to go back to")
        self._made[slot] = frame
        self._samples[slot] = self._samples[slot][:heard]

    def mover(self, avatar: PreparedAvatar) -> Mover | None:
        return _tilted if avatar.name == "poser" else None

    def neutral(self, slot: int, picture: int) -> Patch:
        return _box(picture, 0.0)


def _tilted(picture: NDArray[np.uint8], motion: Motion) -> None:
    """A strip at the top tells the tilt."""
    picture[:TILT_ROWS] = np.clip(128 + round(TILT * motion.roll), 16, 235)


def _torn(picture: int, loudness: float) -> Patch:
    raise RuntimeError("this avatar cannot be drawn")


def _never(picture: int, loudness: float) -> Patch:
    threading.Event().wait()
    raise AssertionError


def _slowly(picture: int, loudness: float) -> Patch:
    time.sleep(SLOW_S)
    return _box(picture, loudness)


def _box(picture: int, loudness: float) -> Patch:
    return Patch(picture, BOX, np.full((BOX.height, BOX.width, 4), round(255 * min(1.0, loudness)), np.uint8))


DRAWN = {"tears": _torn, "hangs": _never, "slow": _slowly}


class FakeLibrary:
    """``avatar.library.Library`` of avatars that are made up."""

    def __init__(self, config: WorkerConfig) -> None:
        self._config = config

    def avatars(self) -> list[AvatarInfo]:
        names = ["grey", "slow", *(f"face-{number}" for number in range(FACES))]
        still = [AvatarInfo(name, name.title(), "loudness", [SIZE]) for name in names]
        return [*still, AvatarInfo("poser", "Poser", "loudness", [SIZE], poses=POSES)]

    def load(self, name: str, size: tuple[int, int]) -> PreparedAvatar:
        if name == "damaged" or size != SIZE:
            raise AvatarInvalid(f"no {name} of {size[0]}x{size[1]}")
        return make_avatar(name)

    def engines(self) -> dict[str, Engine]:
        return {LoudnessEngine.name: LoudnessEngine()}

    def compose(self, picture: NDArray[np.uint8], patch: Patch, out: NDArray[np.uint8]) -> None:
        np.copyto(out, picture)
        x, y, width, height = patch.box
        out[y : y + height, x : x + width] = np.maximum(16, patch.rgba[..., 0])


if __name__ == "__main__":
    main(FakeLibrary)
