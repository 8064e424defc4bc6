"""What each viewer is given: a feed a track. A unit that is put into one leaves at once, or is left out.

A slow viewer loses pictures, never time, and nobody else notices: where the way to it is full, its feed leaves pictures
out up to the next keyframe, and counts them.
"""

from collections.abc import Callable

from avatar.messages import Codec
from whep_server.live.packetize import Packetised
from whep_server.rtc.sender import Feedback, Outlet


class Feed:
    """A viewer's sound, or its pictures. Nothing is put in before it is ``opened``: the transport is not up before."""

    def __init__(self, codec: Codec, on_reading: Callable[[], None]) -> None:
        """``on_reading`` is called when it is opened."""
        self.codec = codec
        self.reading = False
        """Whether somebody takes units out."""
        self.dropped = 0
        """Units that the viewer was too slow for."""
        self._on_reading = on_reading
        self._outlet: Outlet | None = None
        self._awaits_keyframe = True

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height of the pictures; None for sound."""
        return None

    @property
    def feedback(self) -> Feedback:
        """What the viewer's reports say."""
        return Feedback() if self._outlet is None else self._outlet.feedback

    def opened(self, outlet: Outlet) -> None:
        """The way to the viewer is there, from now on."""
        self._outlet, self.reading = outlet, True
        self._on_reading()

    def push(self, unit: Packetised) -> bool:
        """Send ``unit`` or leave it out. True where the viewer needs a keyframe that is not coming by itself.

        While the way to it is full nothing is asked for, since that would be left out as well.
        """
        outlet = self._outlet
        if outlet is None or outlet.full:
            self._awaits_keyframe = True
            self.dropped += 1
            return False
        if self._awaits_keyframe and not unit.keyframe:
            self.dropped += 1
            return True
        self._awaits_keyframe = False
        outlet.send(unit)
        return False

    def request_keyframe(self) -> None:
        """Nothing to do for audio: every packet stands for itself."""
