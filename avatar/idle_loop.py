"""Encoded idle loops: made once for an avatar, format and codec, kept on disk, sent phase by phase.

Every picture is composed with the engine's neutral mouth, exactly as a live one is, so idle and speech meet without a
seam; smaller renditions are scaled from the same pictures. The work runs in one thread of low priority; the engine's
part of it (2 % of it) is done by the render thread, one picture at a time. Full pictures go before smaller ones, and
H.264 before VP8, because more viewers can play it.
"""

import contextlib
import hashlib
import itertools
import logging
import os
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from avatar.encode import SETTINGS_VERSION, SMALLER_VERSION, PictureEncoder, opus_silence
from avatar.engines.engine import Engine, Patch
from avatar.messages import (
    IDLE_PHASES,
    NEUTRAL_POSE,
    Codec,
    EncodeIdle,
    FromWorker,
    IdleFailed,
    IdleLoop,
    VideoFormat,
    WorkerConfig,
    idle_grid,
    ladder,
)
from avatar.motion import Mover
from avatar.pipeline import Compose
from avatar.poses import POSES_VERSION, pose_motion, poses_of
from avatar.prepared import PreparedAvatar
from avatar.scale import scale

log = logging.getLogger(__name__)

NICE: Final = 15
"""Live streams come first, and others on the machine too."""
CACHE_BYTES: Final = 4 * 1024**3
"""Of loops on disk: all phases of the shipped avatar's take 6 MB at 1280x720, those of a user's at most 19."""
_ORDER: Final = {Codec.H264: 0, Codec.VP8: 1}

GetAvatar = Callable[[str, tuple[int, int]], PreparedAvatar]
RunErrand = Callable[[Callable[[], None]], None]


def give_way() -> None:
    """Take priority from this thread (Linux: from it alone). One that has less stays: to raise it takes a privilege."""
    thread = threading.get_native_id()
    with contextlib.suppress(PermissionError):  # a sandbox may forbid this, too
        if os.getpriority(os.PRIO_PROCESS, thread) < NICE:
            os.setpriority(os.PRIO_PROCESS, thread, NICE)


@dataclass(order=True, slots=True)
class _Entry:
    rank: tuple[bool, bool, int, int]
    request: EncodeIdle = field(compare=False)


class IdleEncoder:
    """Makes idle loops as they are asked for."""

    def __init__(
        self,
        config: WorkerConfig,
        get_avatar: GetAvatar,
        compose: Compose,
        engine_of: Callable[[PreparedAvatar], Engine],
        run_errand: RunErrand,
        send: Callable[[FromWorker], None],
    ) -> None:
        self._cache = LoopCache(Path(config.cache))
        self._get_avatar, self._compose, self._engine_of = get_avatar, compose, engine_of
        self._run_errand, self._send = run_errand, send
        self._requests: queue.PriorityQueue[_Entry] = queue.PriorityQueue()
        self._serial = 0
        threading.Thread(target=self._run, name="idle-loop", daemon=True).start()

    def put(self, request: EncodeIdle) -> None:
        """Make one, after those of its kind asked for before."""
        self._serial += 1
        rank = request.rendition > 0, request.pose != NEUTRAL_POSE, _ORDER.get(request.codec, len(_ORDER)), self._serial
        self._requests.put(_Entry(rank, request))

    def _run(self) -> None:
        give_way()
        while True:
            request = self._requests.get().request
            try:
                self._make(request)
            except Exception as error:
                log.exception("idle loop of %s failed", request.avatar)
                self._send(
                    IdleFailed(
                        request.avatar, request.format, request.codec, f"{error}", request.rendition, request.pose
                    ),
                )

    def _make(self, request: EncodeIdle) -> None:
        shape, size = rung_of(request), (request.format.width, request.format.height)
        avatar = self._get_avatar(request.avatar, size)
        mover = self._engine_of(avatar).mover(avatar)
        if request.pose not in poses_of(mover):
            raise ValueError(f"no pose {request.pose!r}")
        label = f"idle loop {avatar.name} {shape.width}x{shape.height}@{shape.fps} {request.codec}"
        if request.pose != NEUTRAL_POSE:
            label += f" {request.pose}"
        began_s = time.monotonic()
        neutral: list[Patch] | None = None
        made = 0
        for phase in range(IDLE_PHASES):
            loop = self._cache.load(avatar.digest, request, phase)
            if loop is None:
                log.info("%s: phase %d of %d", label, phase + 1, IDLE_PHASES)
                neutral = neutral or self._neutral(avatar, shape.fps)
                loop = encode_phase(avatar, neutral, request, phase, self._compose, mover)
                self._cache.store(avatar.digest, loop)
                made += 1
            if self._get_avatar(request.avatar, size).digest != avatar.digest:
                log.info("%s: the avatar was replaced meanwhile", label)  # whoever shows the new one asks for its loop
                return
            self._send(loop)
        log.info("%s: ready, %d of %d phases new, %.1f s", label, made, IDLE_PHASES, time.monotonic() - began_s)

    def _neutral(self, avatar: PreparedAvatar, fps: int) -> list[Patch]:
        """The neutral mouth on every picture, drawn between the turns of live streams."""
        engine = self._engine_of(avatar)
        slots: list[int] = []
        patches: list[Patch] = []
        self._run_errand(lambda: slots.append(engine.open(avatar, fps)))
        (slot,) = slots
        try:
            for picture in range(len(avatar.pictures)):
                self._run_errand(partial(_draw_neutral, engine, slot, picture, patches))
        finally:
            self._run_errand(lambda: engine.close(slot))
        return patches


def _draw_neutral(engine: Engine, slot: int, picture: int, patches: list[Patch]) -> None:
    patches.append(engine.neutral(slot, picture))


def rung_of(request: EncodeIdle) -> VideoFormat:
    """What the loop's pictures are encoded as. Errors: ValueError for what they cannot be."""
    rungs = ladder(request.format)
    if request.codec not in _ORDER or not 0 <= request.rendition < len(rungs):
        raise ValueError(f"no rendition {request.rendition} of pictures in {request.codec}")
    return rungs[request.rendition]


def encode_phase(
    avatar: PreparedAvatar,
    neutral: list[Patch],
    request: EncodeIdle,
    phase: int,
    compose: Compose,
    mover: Mover | None = None,
) -> IdleLoop:
    """One phase: the whole loop, a keyframe every second, the first at ``phase * idle_grid``."""
    shape = rung_of(request)
    frames = avatar.loop_length * shape.fps // avatar.fps
    first = phase * idle_grid(shape.fps)
    encoder = PictureEncoder(request.codec, shape, idle=True, rendition=request.rendition)
    canvas = np.empty(avatar.pictures[0].shape, np.uint8)
    shown = np.empty((shape.height * 3 // 2, shape.width), np.uint8) if request.rendition else canvas
    units: list[bytes] = []
    for index in range(frames):
        picture = avatar.picture_at((first + index) % frames, shape.fps)
        compose(avatar.pictures[picture], neutral[picture], canvas)
        if mover is not None:
            mover(canvas, pose_motion(request.pose, picture, len(avatar.pictures)))
        if shown is not canvas:
            scale(canvas, shown)
        units.append(encoder.encode(shown, index, keyframe=index % shape.fps == 0).data)
    silence, codec, rendition = opus_silence(), request.codec, request.rendition
    about = request.avatar, request.format, codec, phase, shape.fps, first
    return IdleLoop(*about, units, silence, rendition, request.pose)


class LoopCache:
    """Encoded phases on disk, named by everything that they depend on. A disk that fails costs time, nothing else.

    Where they become too many, those go that nobody asked for longest: of avatars that were deleted, for example.
    """

    def __init__(self, directory: Path, most_bytes: int = CACHE_BYTES) -> None:
        self._directory, self._most_bytes = directory, most_bytes
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(IdleLoop).decode

    def load(self, digest: str, request: EncodeIdle, phase: int) -> IdleLoop | None:
        """A phase stored before, or None."""
        path = self._path(digest, request, phase)
        try:
            loop = self._decode(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            log.warning("cached idle loop %s is not readable and is made anew: %s", path.name, error)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        held, asked = ((each.format, each.codec, each.rendition, each.pose) for each in (loop, request))
        whole = held == asked and loop.phase == phase and all(loop.units)
        return msgspec.structs.replace(loop, avatar=request.avatar) if whole else None

    def store(self, digest: str, loop: IdleLoop) -> None:
        """Keep a phase where the disk lets us."""
        path = self._path(
            digest, EncodeIdle(loop.avatar, loop.format, loop.codec, loop.rendition, loop.pose), loop.phase
        )
        scratch = path.with_suffix(f".{os.getpid()}.part")
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            scratch.write_bytes(self._encode(loop))
            scratch.replace(path)
            self._prune()
        except OSError as error:
            log.warning("an idle loop cannot be kept in %s: %s", self._directory, error)
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)

    def _prune(self) -> None:
        """Delete the oldest. Errors: OSError, also where another process does the same."""
        held = [(path.stat(), path) for path in self._directory.glob("idle-*.msgpack")]
        held.sort(key=lambda entry: entry[0].st_mtime_ns, reverse=True)
        for (_, path), total in zip(held, itertools.accumulate(stat.st_size for stat, _ in held), strict=True):
            if total > self._most_bytes:
                path.unlink()

    def _path(self, digest: str, request: EncodeIdle, phase: int) -> Path:
        depends: tuple[object, ...] = (digest, request.format, request.codec.value, SETTINGS_VERSION)
        if request.rendition:
            depends += (rung_of(request), SMALLER_VERSION)
        if request.pose != NEUTRAL_POSE:
            depends += (request.pose, POSES_VERSION)
        name = hashlib.sha256(repr(depends).encode()).hexdigest()[:32]
        return self._directory / f"idle-{name}-{phase}.msgpack"
