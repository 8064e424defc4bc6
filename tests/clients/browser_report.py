"""What a browser's probe recorded, turned into the questions a test asks. Media time is the RTP clock's, never ours."""

from dataclasses import dataclass
from itertools import pairwise

VIDEO_HZ = 90_000
AUDIO_HZ = 48_000
OPUS_TICKS = 960


def ticks_between(earlier: int, later: int) -> int:
    """From one 32-bit RTP time to a later one."""
    return (later - earlier) % (1 << 32)


@dataclass(frozen=True, slots=True)
class Recording:
    """Readings of a receiver's counters and the pictures that were shown, in order."""

    polls: list[dict]
    frames: list[dict]

    def frame_rates(self, window_s: float) -> list[float]:
        """Pictures decoded a second of media time, over every window at least so long."""
        rates = []
        readings = [poll["video"] for poll in self.polls]
        for start, first in enumerate(readings):
            for last in readings[start + 1 :]:
                seconds = ticks_between(first["rtpTime"], last["rtpTime"]) / VIDEO_HZ
                if seconds >= window_s:
                    rates.append((last["framesDecoded"] - first["framesDecoded"]) / seconds)
                    break
        return rates

    def longest_picture_gap_s(self) -> float:
        """The longest step of media time from one shown picture to the next."""
        times = [frame["rtpTime"] for frame in self.frames]
        return max(ticks_between(a, b) for a, b in pairwise(times)) / VIDEO_HZ

    def longest_freeze_s(self, start: int, end: int) -> float:
        """The longest time that one picture stayed, from the frame numbered ``start`` to the one numbered ``end``."""
        shown = [frame["shownMs"] for frame in self.frames[start:end]]
        return max(later - earlier for earlier, later in pairwise(shown)) / 1000

    def grew(self, kind: str, counter: str) -> float:
        """By how much a counter grew while it was recorded."""
        return self.polls[-1][kind][counter] - self.polls[0][kind][counter]

    def sound_packets_missing(self) -> float:
        """Sound packets that media time asks for, less those received."""
        first, last = self.polls[0]["audio"], self.polls[-1]["audio"]
        expected = ticks_between(first["rtpTime"], last["rtpTime"]) / OPUS_TICKS
        return expected - (last["packetsReceived"] - first["packetsReceived"])

    def readings_without_sound(self) -> int:
        """How many readings found no sound packet since the one before."""
        counts = [poll["audio"]["packetsReceived"] for poll in self.polls]
        return sum(later <= earlier for earlier, later in pairwise(counts))
