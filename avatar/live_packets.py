"""A publisher's packets on their way to the decoder: put in order, on one line of time that never jumps. Pure.

An encoder may start anew in the middle: with other sequence numbers, with another time, or both. What comes after is
moved to where the line goes on. As with RFC 3550, appendix A.1, it takes two packets that agree to be believed.
"""

from bisect import bisect_left
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from avatar.messages import AUDIO_HZ

JUMP: Final = AUDIO_HZ
"""Time that is further off than a second is another time: no network holds a live packet for longer."""
TOLERANCE: Final = AUDIO_HZ // 100
"""Encoders stamp packets by clocks that waver, some by a few milliseconds: within 10 ms they follow each other."""
STRAY_PACKETS: Final = 10
"""Of a source that started anew, so many packets may be lost between the two that are believed."""
MAX_PACKETS: Final = 200
"""Held at once; 400 ms of the shortest packets there are."""


@dataclass(frozen=True, slots=True)
class Packet:
    """An Opus packet on the line. Units: 48 kHz samples."""

    sequence: int
    at: int
    samples: int
    data: bytes
    anew: bool = False
    """The first one of a source that started anew: nothing is lost before it."""

    @property
    def end(self) -> int:
        """Where the next one begins."""
        return self.at + self.samples


class Line:
    """Gives each packet its place."""

    def __init__(self) -> None:
        self._sequence_shift = self._time_shift = 0
        self._newest: int | None = None
        self.end = 0
        """Where the furthest packet ends."""
        self._stray: Packet | None = None
        self.restarts = 0

    def place(self, packet: Packet, earliest: int) -> list[Packet]:
        """The packet with its place, that of a stray one before it as well, or nothing yet.

        ``earliest``: where a source that starts anew may begin, unless packets reach beyond.
        """
        moved = self._moved(packet)
        if self._newest is None or self._plausible(moved, earliest):
            self._stray = None
            return [self._placed(moved)]
        stray = self._stray
        if stray is None or not _follows(packet, stray):
            self._stray = packet
            return []
        self._stray = None
        self.restarts += 1
        self._sequence_shift = self._newest + 1 - stray.sequence
        self._time_shift = max(self.end, earliest) - stray.at
        return [self._placed(self._moved(stray, anew=True)), self._placed(self._moved(packet))]

    def _moved(self, packet: Packet, *, anew: bool = False) -> Packet:
        sequence, at = packet.sequence + self._sequence_shift, packet.at + self._time_shift
        return Packet(sequence, at, packet.samples, packet.data, anew)

    def _plausible(self, packet: Packet, earliest: int) -> bool:
        assert self._newest is not None
        if packet.sequence > self._newest:
            return self.end - TOLERANCE <= packet.at <= max(self.end, earliest) + JUMP
        return self.end - JUMP <= packet.at < self.end

    def _placed(self, packet: Packet) -> Packet:
        first = self._newest is None
        self._newest = packet.sequence if self._newest is None else max(self._newest, packet.sequence)
        self.end = packet.end if first else max(self.end, packet.end)  # a late one may reach a little beyond it, too
        return packet


def _follows(packet: Packet, stray: Packet) -> bool:
    return 0 < packet.sequence - stray.sequence <= STRAY_PACKETS and 0 < packet.at - stray.at <= JUMP


class Waiting:
    """Packets that are not decoded yet, by sequence number. When full, the oldest one is dropped."""

    def __init__(self) -> None:
        self._packets: list[Packet] = []

    def __len__(self) -> int:
        return len(self._packets)

    @property
    def first(self) -> Packet | None:
        """The one that is next."""
        return self._packets[0] if self._packets else None

    def add(self, packet: Packet) -> bool:
        """Hold a packet; False where it is held already."""
        place = bisect_left(self._packets, packet.sequence, key=attrgetter("sequence"))
        if place < len(self._packets) and self._packets[place].sequence == packet.sequence:
            return False
        self._packets.insert(place, packet)
        if len(self._packets) > MAX_PACKETS:
            del self._packets[0]
        return True

    def pop(self) -> Packet:
        """Take the one that is next."""
        return self._packets.pop(0)

    def clear(self) -> None:
        """Drop all."""
        self._packets.clear()
