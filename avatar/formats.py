"""How a stream's media is cut and timed: rates, codecs, sizes, and the grids on which idle and live meet."""

from enum import StrEnum
from typing import Final

import msgspec

AUDIO_HZ: Final = 48_000
"""Sample rate of all audio that is played."""
OPUS_SAMPLES: Final = 960
"""One Opus packet: 20 ms at 48 kHz."""
PATIENCE_PACKETS: Final = 3
"""How long a live packet is waited for: 60 ms, what a jitter buffer on a good path holds. Then there is silence."""
VIDEO_HZ: Final = 90_000
"""RTP clock of video (RFC 6184, RFC 7741)."""
FRAME_RATES: Final = (10, 15, 20, 25, 30)
RENDITIONS: Final = 3
"""Most rungs of ``ladder``."""
IDLE_PHASES: Final = 5
"""Copies of the idle loop with staggered keyframes: with one a second in each, one is never above 200 ms away."""
SLACK_BOUNDS_S: Final = (-1.0, -0.2, -0.08, -0.04, 0.0, 0.02, 0.04, 0.06, 0.08, 0.12, 0.16, 0.24, 0.32, 0.4)
"""How long before they are due pictures are finished, in a histogram: the server has them made 0.04 to 0.4 s ahead."""

NEUTRAL_POSE: Final = "neutral"
POSES: Final = (NEUTRAL_POSE, "listening", "nodding")
"""What a figure that can move may do while it does not speak, and under its speech."""


class Codec(StrEnum):
    """What a unit is encoded with."""

    H264 = "H264"
    VP8 = "VP8"
    OPUS = "opus"


class VideoFormat(msgspec.Struct, frozen=True):
    """Size, rate and bitrate of a stream's picture."""

    width: int = 1280
    height: int = 720
    fps: int = 25
    bitrate_bps: int = 1_500_000


def start_grid(fps: int) -> int:
    """A live stretch starts at a multiple of this many frames: video and 20 ms audio packets meet there."""
    return next(n for n in range(1, fps + 1) if (n * AUDIO_HZ // fps) % OPUS_SAMPLES == 0 and n * AUDIO_HZ % fps == 0)


def idle_grid(fps: int) -> int:
    """A live stretch ends at a multiple of this many frames: one of the idle phases has a keyframe there (200 ms)."""
    return fps // IDLE_PHASES


_SMALLER: Final = ((3, 4, 1 / 2), (1, 2, 1 / 6))
"""Of the full picture's sides, and of its bitrate: 1280x720 at 1.5 Mbit/s, 960x540 at 0.75, 640x360 at 0.25."""
_SMALLEST: Final = 180
"""Pixels of the shorter side below which a picture is not scaled down."""


def ladder(shape: VideoFormat) -> tuple[VideoFormat, ...]:
    """The renditions of a stream, best first: the format itself, and up to two smaller ones for slower networks."""
    smaller = (
        VideoFormat(
            _even(shape.width * up, down), _even(shape.height * up, down), shape.fps, int(shape.bitrate_bps * part)
        )
        for up, down, part in _SMALLER
    )
    return (shape, *(rung for rung in smaller if min(rung.width, rung.height) >= _SMALLEST))


def _even(pixels: int, divisor: int) -> int:
    """Whole chroma samples."""
    return pixels // divisor // 2 * 2
