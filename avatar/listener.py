"""Hears whether somebody speaks in a publisher's packets that are not played. They are hostile: nothing is raised."""

from typing import Final

from avatar.opus_decoder import OpusDecoder
from avatar.voice_activity import VoiceActivity

RESTART: Final = 100
"""Two seconds of packets: no network delivers one that late, so that the sender has started anew."""


class Listener:
    """One publisher's, with a decoder of its own: that of a voice that is played has to hear what is played alone."""

    def __init__(self) -> None:
        self._decoder = OpusDecoder()
        self._activity = VoiceActivity()
        self._newest: int | None = None

    def hear(self, sequence: int, data: bytes) -> bool:
        """A packet has come, in the order of ``sequence`` (RTP's) or else too late; whether a voice begins."""
        if self._newest is not None and self._newest - RESTART < sequence <= self._newest:
            return False
        self._newest = sequence
        sound = self._decoder.decode(data)
        return sound is not None and self._activity.hear(sound)
