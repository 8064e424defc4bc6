"""Lips, read off observed pictures of the embedded avatar: how far they are open, when that came, and when they part.

While it is idle the lips are sealed in every pose and the measure is 0, so that the first picture that differs from the
idle one is the first whose opening is above ``PARTED``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import FrameJob, Work
from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.pose import VisemeState
from avatar.engines.viseme.viseme_engine import load_engine
from avatar.messages import VIDEO_HZ
from avatar.prepared import PreparedAvatar, find_avatar, load_prepared
from bench.decoding import Seen, pictures
from bench.observations import Track

Curve = NDArray[np.float64]
PARTED: Final = 0.05
"""Opening above which lips are not sealed; the widest is about 1."""
SHRINK: Final = 8
VOTES: Final = 12
SILENCE_S: Final = 0.6


@dataclass(frozen=True, slots=True)
class Lips:
    """The opening of the lips, picture by picture. Shapes: all (n,)."""

    at_s: Curve
    """When each picture had come whole (monotonic clock)."""
    opening: Curve
    rtp_time: NDArray[np.int64]


@cache
def shipped_avatar(assets: Path, name: str, size: tuple[int, int]) -> PreparedAvatar:
    """Its pictures, to know poses by."""
    return load_prepared(find_avatar(assets / "avatars", name), size)


def state_of(avatar: PreparedAvatar) -> VisemeState:
    """How it is drawn."""
    assert isinstance(avatar.state, VisemeState), "the embedded avatar is drawn"
    return avatar.state


def read_lips(track: Track, avatar: PreparedAvatar, fps: int) -> Lips:
    """Decode an observer's H.264 pictures and measure the lips in each. Errors: ValueError where there is none."""
    place: int | None = None
    waiting: list[Seen] = []
    rows: list[tuple[float, float, int]] = []
    for seen in pictures(track, avatar.size):
        waiting.append(seen)
        if place is None and len(waiting) == VOTES:
            place = _place_in_loop(waiting, avatar, fps)
        if place is not None:
            rows += [_row(each, place, avatar, fps) for each in waiting]
            waiting.clear()
    if waiting:
        place = _place_in_loop(waiting, avatar, fps)
        rows += [_row(each, place, avatar, fps) for each in waiting]
    if not rows:
        raise ValueError("no picture came")
    at_s, opening, rtp_time = zip(*rows, strict=True)
    return Lips(np.array(at_s), np.array(opening), np.array(rtp_time, np.int64))


def _row(seen: Seen, place: int, avatar: PreparedAvatar, fps: int) -> tuple[float, float, int]:
    index = (_frame(seen, fps) + place) % len(avatar.pictures)
    return seen.at_s, mouth_opening(seen.picture, state_of(avatar), index), seen.rtp_time


def _frame(seen: Seen, fps: int) -> int:
    return seen.rtp_time * fps // VIDEO_HZ


def _place_in_loop(samples: Sequence[Seen], avatar: PreparedAvatar, fps: int) -> int:
    """Which picture of the idle loop was under frame 0, by the votes of some. It shows one picture a frame."""
    height, count = avatar.size[1], len(avatar.pictures)
    loop = np.stack([picture[:height:SHRINK, ::SHRINK] for picture in avatar.pictures]).astype(np.int16)
    votes = []
    for seen in samples:
        small = seen.picture[:height:SHRINK, ::SHRINK].astype(np.int16)
        nearest = int(np.argmin(np.abs(loop - small).mean(axis=(1, 2))))
        votes.append((nearest - _frame(seen, fps)) % count)
    return int(np.bincount(votes).argmax())


def drawn_lips(assets: Path, avatar: PreparedAvatar, fps: int, analyse: NDArray[np.float32]) -> Lips:
    """What the engine itself draws for a sound, silence before and after it: times count from its first sample.

    Shapes: analyse (n,), at the engine's rate.
    """
    engine = load_engine(assets)
    silence = np.zeros(int(SILENCE_S * engine.sample_rate), np.float32)
    slot, mover = engine.open(avatar, fps), engine.mover(avatar)
    engine.push(slot, np.concatenate([silence, analyse, silence]))
    openings: list[float] = []
    while engine.ready(slot):
        index = avatar.picture_at(len(openings), fps)
        ((drawing,),) = engine.step([Work(slot, [FrameJob(index)])])
        assert drawing is not None, "it is to be drawn"
        patch = drawing()
        picture = compose(avatar.pictures[index], patch)
        if mover is not None:
            mover(picture, patch.accent)
        openings.append(mouth_opening(picture, state_of(avatar), index))
    engine.close(slot)
    frames = np.arange(len(openings))
    return Lips(frames / fps - SILENCE_S, np.array(openings), (frames * VIDEO_HZ // fps).astype(np.int64))


def first_parted(lips: Lips, since_s: float) -> float | None:
    """When the first picture came, after ``since_s``, in which the lips are not sealed."""
    found = np.flatnonzero((lips.at_s > since_s) & (lips.opening > PARTED))
    return float(lips.at_s[found[0]]) if len(found) else None
