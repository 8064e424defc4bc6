"""What each viewer has yet to send: a bounded ring, and the feed that a sender reads it through.

A slow viewer loses pictures, never time, and nobody else notices. The ring is pure; a feed adds one event to wait on.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from avatar.messages import Codec
from whep_server.live.idle import IdlePhase
from whep_server.live.packetize import Packetised
from whep_server.rtc.sender import Feedback


class ViewerRing:
    """Bounded; when full it drops to the next keyframe, never to the middle of a picture group, and counts."""

    def __init__(self, size: int) -> None:
        self._units: deque[Packetised] = deque()
        self._size = size
        self._waiting_for_keyframe = True
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._units)

    def push(self, unit: Packetised) -> bool:
        """Take ``unit`` or drop it. True where the viewer needs a keyframe that is not coming by itself."""
        if self._waiting_for_keyframe and not unit.keyframe:
            self.dropped += 1
            return True
        if len(self._units) >= self._size:
            self.dropped += len(self._units) + (not unit.keyframe)
            self._units.clear()
            if not unit.keyframe:
                self._waiting_for_keyframe = True
                return True
        self._waiting_for_keyframe = False
        self._units.append(unit)
        return False

    def pop(self) -> Packetised | None:
        """The oldest unit that is held."""
        return self._units.popleft() if self._units else None


class Feed:
    """A ring as ``rtc.sender`` reads it. Nothing is put in before the first read: the transport is not up before."""

    def __init__(self, codec: Codec, size: int, on_reading: Callable[[], None]) -> None:
        self.codec = codec
        self.reading = False
        """Whether somebody takes units out."""
        self._ring = ViewerRing(size)
        self._filled = asyncio.Event()
        self._on_reading = on_reading

    @property
    def dropped(self) -> int:
        """Units that the viewer was too slow for."""
        return self._ring.dropped

    @property
    def feedback(self) -> Feedback:
        """What the viewer's reports say."""
        return Feedback()

    def push(self, unit: Packetised) -> bool:
        """As ``ViewerRing.push``; wakes the reader."""
        needs_keyframe = self._ring.push(unit)
        self._filled.set()
        return needs_keyframe

    async def next_unit(self) -> Packetised:
        """The next unit; waits for one."""
        if not self.reading:
            self.reading = True
            self._on_reading()
        while (unit := self._ring.pop()) is None:
            self._filled.clear()
            await self._filled.wait()
        return unit

    def request_keyframe(self) -> None:
        """Nothing to do for audio: every packet stands for itself."""


class VideoFeed(Feed):
    """A viewer's pictures, and where they come from at the moment."""

    def __init__(self, codec: Codec, size: int, on_reading: Callable[[], None]) -> None:
        super().__init__(codec, size, on_reading)
        self.rendition = 0
        """The rung of ``formats.ladder`` that it shows."""
        self.live = False
        """Whether it shows the live stretch; else it shows ``phase`` of the idle loop."""
        self.phase: IdlePhase | None = None
        """None: nothing can be shown before the next keyframe."""
        self.wants_keyframe = True
        self.last_frame = -1
        """The last frame that was put in; only later ones may follow."""

    def request_keyframe(self) -> None:
        """A picture loss indication came in: the next keyframe of any phase, or one from the encoder."""
        self.wants_keyframe = True

    def go_idle(self) -> None:
        """Leave the live stretch; the next phase with a keyframe goes on."""
        self.live, self.phase, self.wants_keyframe = False, None, True
