"""A stream's one clock: which frame and which audio packet are due at a time. Pure; the time comes as an argument."""

import math
from dataclasses import dataclass
from typing import Final

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ

_ROUNDING: Final = 1e-6
"""A frame's own due time must count as that frame in spite of binary fractions."""


@dataclass(frozen=True, slots=True)
class StreamClock:
    """Media time 0 is ``started_s`` on the server's monotonic clock."""

    started_s: float
    fps: int

    def frame_at(self, now_s: float) -> int:
        """The frame that is due or was due last."""
        return math.floor((now_s - self.started_s) * self.fps + _ROUNDING)

    def packet_at(self, now_s: float) -> int:
        """The 20 ms audio packet that is due or was due last."""
        return math.floor((now_s - self.started_s) * AUDIO_HZ / OPUS_SAMPLES + _ROUNDING)

    def packet_from(self, now_s: float) -> int:
        """The first packet that is due at ``now_s`` or later."""
        return math.ceil((now_s - self.started_s) * AUDIO_HZ / OPUS_SAMPLES - _ROUNDING)

    def frame_due_s(self, frame: int) -> float:
        """When a frame is to be sent."""
        return self.started_s + frame / self.fps

    def packet_due_s(self, packet: int) -> float:
        """When an audio packet is to be sent: together with the picture of the same media time."""
        return self.started_s + packet * OPUS_SAMPLES / AUDIO_HZ

    def frame_of_packet(self, packet: int) -> int:
        """The frame that is shown when an audio packet begins."""
        return packet * OPUS_SAMPLES * self.fps // AUDIO_HZ

    def video_time(self, frame: int) -> int:
        """Units: 90 kHz ticks."""
        return frame * VIDEO_HZ // self.fps

    def frame_of_time(self, video_time: int) -> int:
        """The frame at a media time in 90 kHz ticks."""
        return (video_time * self.fps + VIDEO_HZ // 2) // VIDEO_HZ


def round_up(value: int, grid: int) -> int:
    """The first multiple of ``grid`` at or above ``value``."""
    return -(-value // grid) * grid
