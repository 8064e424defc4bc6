"""What one track was sent lately, so that packets that were lost can be sent again (RFC 4585 section 6.2.1). Pure.

References alone are kept: the payloads exist once, however many viewers were sent them.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from avatar.messages import VIDEO_HZ
from whep_server.rtc.sendable import Sendable

KEPT_TICKS: Final = 5 * VIDEO_HZ
"""Five seconds of pictures: what is lost longer has been replaced by a keyframe, but for aiortc, which still asks for
what was sent 128 packets ago."""
KEPT_UNITS: Final = 128
"""However close together they come."""
KEPT_PACKETS: Final = 1000
"""Fewer than the 1024 that aiortc has libsrtp look back; an older number cannot be encrypted again."""
COOLDOWN_S: Final = 0.025
"""A packet that was just sent again is on its way; receivers ask anew before it can have arrived."""
SEQUENCES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class SentPacket:
    """A packet as it left."""

    sequence: int
    """As it was counted, not wrapped."""
    payload: bytes
    rtp_time: int
    """Media time in ticks of the RTP clock."""
    last: bool
    """Whether it ends its unit."""
    extensions: bytes
    """Its block of header extensions."""


class Sent:
    """The units of the last seconds."""

    def __init__(self) -> None:
        self._units: deque[tuple[int, Sendable, bytes]] = deque(maxlen=KEPT_UNITS)
        self._repeated_s: dict[int, float] = {}
        """Until when what was sent again is not sent once more, by sequence number."""

    def note(self, first: int, unit: Sendable, extensions: bytes) -> None:
        """A unit has left. ``first``: sequence number of its first packet, not wrapped; the others follow on it."""
        units, oldest = self._units, unit.rtp_time - KEPT_TICKS
        units.append((first, unit, extensions))
        while units[0][1].rtp_time < oldest:
            units.popleft()

    def again(self, number: int, now_s: float, trip_s: float = 0.0) -> SentPacket | None:
        """The packet with a 16-bit sequence number, to be sent again; None where that is of no use.

        It never was, was too long ago, or was sent again just now, less than a round trip ago.
        """
        if not self._units:
            return None
        newest = self._units[-1][0] + len(self._units[-1][1].payloads) - 1
        sequence = newest - (newest - number) % SEQUENCES
        if newest - sequence >= KEPT_PACKETS or now_s < self._repeated_s.get(sequence, now_s):
            return None
        for first, unit, extensions in reversed(self._units):
            if first <= sequence:
                self._note_repeated(sequence, now_s, now_s + max(COOLDOWN_S, trip_s))
                index, last = sequence - first, len(unit.payloads) - 1
                return SentPacket(sequence, unit.payloads[index], unit.rtp_time, index == last, extensions)
        return None

    def _note_repeated(self, sequence: int, now_s: float, until_s: float) -> None:
        if len(self._repeated_s) >= KEPT_PACKETS:
            self._repeated_s = {each: later_s for each, later_s in self._repeated_s.items() if now_s < later_s}
        if len(self._repeated_s) < KEPT_PACKETS:
            self._repeated_s[sequence] = until_s
