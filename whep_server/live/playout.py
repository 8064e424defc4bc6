"""Holds a stream's live units until their time. Pure: the caller says what time it is.

Units come out in order of media time. One that arrives after its time comes out at the next look, still in order; one
from behind a fence, or from beyond a cut, never does.
"""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from avatar.messages import Codec, Unit

MAX_HELD: Final = 1000
"""Of one encoding; a worker runs at most a few frames ahead, so that more means it ignores what it was granted."""
FENCES: Final = 32
"""Interruptions whose fences are remembered; what was made before even older ones never comes out."""

Kind = tuple[Codec, int]
"""Codec and rendition."""


@dataclass(frozen=True, slots=True)
class _Fence:
    """What was made before ``epoch`` for these times, or later ones, is not played."""

    epoch: int
    video_time: int
    audio_time: int


class Playout:
    """Live units by encoding, ordered by media time."""

    def __init__(self) -> None:
        self._held: dict[Kind, list[tuple[int, int, Unit]]] = {}
        self._serial = 0
        self._fences: deque[_Fence] = deque(maxlen=FENCES)
        self.dropped = 0
        """Units that never came out: fenced off, too many, or cut off."""

    def push(self, unit: Unit) -> None:
        """Take a unit; drops it where it is from behind a fence or too many are held."""
        held = self._held.setdefault((unit.codec, unit.rendition), [])
        if self._fenced_off(unit) or len(held) >= MAX_HELD:
            self.dropped += 1
            return
        self._serial += 1
        heapq.heappush(held, (unit.media_time, self._serial, unit))

    def pop_due(self, codec: Codec, media_time: int, rendition: int = 0) -> list[Unit]:
        """The units whose time has come, oldest first. Units: ticks of the codec's RTP clock."""
        held = self._held.get((codec, rendition), [])
        due = []
        while held and held[0][0] <= media_time:
            due.append(heapq.heappop(held)[2])
        return due

    def next_keyframe(self, codec: Codec, rendition: int = 0) -> tuple[int, bool]:
        """When the next keyframe can come at the earliest, and whether it is held: else it is yet to be made.

        Units: ticks of the codec's RTP clock; 0 where nothing is held.
        """
        held = self._held.get((codec, rendition), [])
        made = [media_time for media_time, _, unit in held if unit.keyframe]
        if made:
            return min(made), True
        return max((media_time for media_time, _, _ in held), default=0), False

    def fence(self, epoch: int, video_time: int, audio_time: int) -> None:
        """Drop what was made before ``epoch``, held or still to come, for these media times or later ones."""
        self._fences.append(_Fence(epoch, video_time, audio_time))
        self._keep(lambda unit: not self._fenced_off(unit))

    def _fenced_off(self, unit: Unit) -> bool:
        if not self._fences or unit.epoch >= self._fences[-1].epoch:
            return False
        if len(self._fences) == FENCES and unit.epoch < self._fences[0].epoch:  # its own fence may be forgotten
            return True
        first = next(fence for fence in self._fences if fence.epoch > unit.epoch)
        return unit.media_time >= (first.audio_time if unit.codec is Codec.OPUS else first.video_time)

    def cut(self, video_time: int, audio_time: int) -> None:
        """Drop what is held from these media times on."""
        self._keep(lambda unit: unit.media_time < (audio_time if unit.codec is Codec.OPUS else video_time))

    def _keep(self, wanted: Callable[[Unit], bool]) -> None:
        for kind, held in self._held.items():
            kept = [entry for entry in held if wanted(entry[2])]
            self.dropped += len(held) - len(kept)
            heapq.heapify(kept)
            self._held[kind] = kept
