"""Which audio packet goes out at a time: live or silent, one every 20 ms, none left out, none twice. No clock.

A live packet that is late is waited for a little, since a receiver's jitter buffer hides that; then silence takes its
place for good, so that audio never stops. After an interruption nothing is waited for until the worker has answered.
"""

from collections.abc import Iterable

from avatar.messages import OPUS_SAMPLES, PATIENCE_PACKETS, Codec
from whep_server.live.fanout import Feed
from whep_server.live.idle import IdleLoops
from whep_server.live.packetize import Packetised
from whep_server.live.playout import Playout


class Sounds:
    """Hands out the audio packets of one stream."""

    def __init__(self, loops: IdleLoops, playout: Playout) -> None:
        self._loops = loops
        self._playout = playout
        self._next = 0
        self._hushed_from: int | None = None
        self.silent_live = 0
        """Packets of a live stretch that were replaced by silence."""

    def skip_to(self, packet: int) -> None:
        """Go on at ``packet``: nobody listened until now."""
        self._next = max(self._next, packet)

    def hush(self, packet: int | None) -> None:
        """Wait for no packet from this one on; None: wait for all again."""
        self._hushed_from = packet

    def play(self, packet: int, feeds: Iterable[Feed], live: bool) -> None:
        """Put what is due up to ``packet`` into the feeds that are read."""
        reading = [feed for feed in feeds if feed.reading]
        for unit in self._playout.pop_due(Codec.OPUS, packet * OPUS_SAMPLES):
            at = unit.media_time // OPUS_SAMPLES
            if at >= self._next:
                self._fill(at, reading, live)
                self._give(unit.data, reading)
        self._fill(packet + 1 - PATIENCE_PACKETS if live else packet + 1, reading, live)
        if self._hushed_from is not None and self._next >= self._hushed_from:
            self._fill(packet + 1, reading, live)

    def _fill(self, until: int, feeds: list[Feed], live: bool) -> None:
        """Silence for the packets below ``until`` that are missing."""
        while self._next < until:
            self.silent_live += live
            self._give(self._loops.silence, feeds)

    def _give(self, data: bytes | None, feeds: list[Feed]) -> None:
        if data is not None:
            unit = Packetised((data,), self._next * OPUS_SAMPLES, keyframe=True)
            for feed in feeds:
                feed.push(unit)
        self._next += 1
