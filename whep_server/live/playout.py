"""Holds a stream's live units until their time. Pure: the caller says what time it is.

Units come out in order of media time. One that arrives after its time comes out at the next look, still in order; one
of an older epoch, or from beyond a cut, never does.
"""

import heapq
from collections.abc import Callable
from typing import Final

from avatar.messages import Codec, Unit

MAX_HELD: Final = 1000
"""Of one codec; a worker runs at most a few frames ahead, so that more means it ignores what it was granted."""


class Playout:
    """Live units by codec, ordered by media time."""

    def __init__(self) -> None:
        self._held: dict[Codec, list[tuple[int, int, Unit]]] = {codec: [] for codec in Codec}
        self._serial = 0
        self._epoch = 0
        self.dropped = 0
        """Units that never came out: too old, too many, or cut off."""

    def push(self, unit: Unit) -> None:
        """Take a unit; drops it where it is of an older epoch or too many are held."""
        held = self._held[unit.codec]
        if unit.epoch < self._epoch or len(held) >= MAX_HELD:
            self.dropped += 1
            return
        self._serial += 1
        heapq.heappush(held, (unit.media_time, self._serial, unit))

    def pop_due(self, codec: Codec, media_time: int) -> list[Unit]:
        """The units whose time has come, oldest first. Units: ticks of the codec's RTP clock."""
        held = self._held[codec]
        due = []
        while held and held[0][0] <= media_time:
            due.append(heapq.heappop(held)[2])
        return due

    def next_keyframe(self, codec: Codec) -> tuple[int, bool]:
        """When the next keyframe can come at the earliest, and whether it is held: else it is yet to be made.

        Units: ticks of the codec's RTP clock; 0 where nothing is held.
        """
        made = [media_time for media_time, _, unit in self._held[codec] if unit.keyframe]
        if made:
            return min(made), True
        return max((media_time for media_time, _, _ in self._held[codec]), default=0), False

    def raise_epoch(self, epoch: int) -> None:
        """Drop what is of an older epoch, held or still to come."""
        self._epoch = max(self._epoch, epoch)
        self._keep(lambda unit: unit.epoch >= self._epoch)

    def cut(self, video_time: int, audio_time: int) -> None:
        """Drop what is held from these media times on."""
        self._keep(lambda unit: unit.media_time < (audio_time if unit.codec is Codec.OPUS else video_time))

    def _keep(self, wanted: Callable[[Unit], bool]) -> None:
        for codec, held in self._held.items():
            kept = [entry for entry in held if wanted(entry[2])]
            self.dropped += len(held) - len(kept)
            heapq.heapify(kept)
            self._held[codec] = kept
