"""A few seconds of the avatar speaking, as plain pictures and samples: what every rival is given to send.

A folder with ``pictures.i420`` (planar 4:2:0, one after another) and ``sound.s16`` (48 kHz mono, little endian), both
of the same length; played again and again.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.engines.engine import FrameJob, Work
from avatar.engines.viseme.viseme_engine import load_engine
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.prepared import find_avatar, load_prepared
from bench.voice import Voice

PICTURES: Final = "pictures.i420"
SOUND: Final = "sound.s16"


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip on disk, its pictures mapped into memory: whoever sends it shares them."""

    pictures: NDArray[np.uint8]
    """Shapes: (n, height * 3 // 2, width), I420."""
    sound: NDArray[np.int16]
    """Shapes: (packets, 960)."""


def make_clip(assets: Path, avatar_name: str, size: tuple[int, int], fps: int, seconds: int, folder: Path) -> None:
    """Write a clip. Errors: AvatarInvalid."""
    with (folder / PICTURES).open("wb") as pictures:
        for picture in speaking(assets, avatar_name, size, fps, seconds * fps):
            pictures.write(picture.tobytes())
    voice = Voice(assets)
    packets = [voice.play(packet) for packet in range(seconds * AUDIO_HZ // OPUS_SAMPLES)]
    (folder / SOUND).write_bytes(np.concatenate(packets).astype("<i2").tobytes())


def speaking(
    assets: Path, avatar_name: str, size: tuple[int, int], fps: int, frames: int
) -> Iterator[NDArray[np.uint8]]:
    """The avatar's pictures while it says the shipped sentence. Shapes: (height * 3 // 2, width); the same array."""
    avatar, engine, voice = (
        load_prepared(find_avatar(assets / "avatars", avatar_name), size),
        load_engine(assets),
        Voice(assets),
    )
    slot = engine.open(avatar, fps)
    canvas = np.empty(avatar.pictures[0].shape, np.uint8)
    pushed = 0
    for frame in range(frames):
        while engine.ready(slot) < 1:
            engine.push(slot, voice.analyse(pushed))
            pushed += 1
        picture = avatar.picture_at(frame, fps)
        ((drawing,),) = engine.step([Work(slot, [FrameJob(picture)])])
        assert drawing is not None
        compose(avatar.pictures[picture], drawing(), canvas)
        yield canvas


def open_clip(folder: Path, size: tuple[int, int]) -> Clip:
    """A clip that was made. Errors: OSError, ValueError where it has another size."""
    width, height = size
    pictures = np.memmap(folder / PICTURES, np.uint8, "r").reshape(-1, height * 3 // 2, width)
    sound = np.fromfile(folder / SOUND, "<i2").reshape(-1, OPUS_SAMPLES)
    return Clip(pictures, sound)
