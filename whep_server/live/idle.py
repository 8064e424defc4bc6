"""An avatar's encoded idle loop in its phases: which one can be joined at a frame, and what it shows. Pure.

Phases arrive one by one; the first is enough to play, all of them bring a keyframe every 200 ms. A unit is packetised
when first needed; its payloads are kept in its place, so that a loop takes no more memory the more of it is seen.
"""

from collections.abc import Callable
from typing import Final

from avatar.messages import IDLE_PHASES, Codec, Encoding, IdleLoop
from whep_server.live.packetize import Packetised, level_idc_of, packetize

VIDEO_CODECS: Final = (Codec.H264, Codec.VP8)


class IdlePhase:
    """One encoding of the loop; keyframes every ``interval`` frames from ``first_frame`` on."""

    def __init__(self, loop: IdleLoop) -> None:
        self._codec, self._first_frame, self._interval = loop.codec, loop.first_frame, loop.interval
        self._units: list[bytes | tuple[bytes, ...]] = list(loop.units)

    def keyframe_at(self, frame: int) -> bool:
        """Whether the phase has a keyframe at a frame of the stream."""
        return self._index(frame) % self._interval == 0

    def keyframe_before(self, frame: int) -> int:
        """The last frame up to ``frame`` at which the phase has a keyframe."""
        return frame - self._index(frame) % self._interval

    def unit(self, frame: int, rtp_time: int) -> Packetised:
        """What the phase shows at a frame of the stream."""
        index = self._index(frame)
        payloads = self._units[index]
        if isinstance(payloads, bytes):
            payloads = self._units[index] = packetize(self._codec, payloads)
        return Packetised(payloads, rtp_time, index % self._interval == 0)

    def _index(self, frame: int) -> int:
        return (frame - self._first_frame) % len(self._units)


class IdleLoops:
    """All phases of one avatar at one format, in all renditions, shared by the streams that show it."""

    def __init__(self, request: Callable[[Encoding], None] = lambda _: None) -> None:
        """``request`` has the worker encode the loop; called once for each encoding."""
        self._request = request
        self._phases: dict[Encoding, dict[int, IdlePhase]] = {}
        self.silence: bytes | None = None
        """An Opus packet of silence; None until the first phase is there."""
        self.level_idc: int | None = None
        """As the H.264 pictures say, of the rendition with the highest; None until they are there."""

    def want(self, encoding: Encoding) -> None:
        """Have the loop encoded in that way, too."""
        if encoding not in self._phases:
            self._phases[encoding] = {}
            self._request(encoding)

    def want_again(self) -> None:
        """What was asked for and has not come is asked for again: of a new worker."""
        for encoding in self._phases:
            if not self.complete(encoding):
                self._request(encoding)

    def add(self, loop: IdleLoop) -> None:
        """Take a phase; one that is there already is kept, since viewers may be on it."""
        self.silence = loop.silence
        if loop.codec is Codec.H264 and loop.rendition == 0 and self.level_idc is None:
            self.level_idc = level_idc_of(loop.units[0])
        phases = self._phases.setdefault(Encoding(loop.codec, loop.rendition), {})
        phases.setdefault(loop.phase, IdlePhase(loop))

    @property
    def codecs(self) -> list[Codec]:
        """Those in which a viewer can be shown something."""
        return [codec for codec in VIDEO_CODECS if self._phases.get(Encoding(codec))]

    def phase_at(self, encoding: Encoding, frame: int) -> IdlePhase | None:
        """The phase with a keyframe at ``frame``, or None where there is none."""
        phases = self._phases.get(encoding, {})
        return next((phase for phase in phases.values() if phase.keyframe_at(frame)), None)

    def newest(self, encoding: Encoding, frame: int) -> IdlePhase | None:
        """The phase whose last keyframe up to ``frame`` is the latest, or None while there is none."""
        phases = self._phases.get(encoding, {}).values()
        return max(phases, key=lambda phase: phase.keyframe_before(frame), default=None)

    def complete(self, encoding: Encoding) -> bool:
        """Whether all phases are there."""
        return len(self._phases.get(encoding, {})) == IDLE_PHASES

    def nearest(self, wanted: Encoding) -> Encoding:
        """The rendition that can be shown for one that may not be there yet: complete if possible, and next to it."""
        if self.complete(wanted):
            return wanted
        there = [each for each, phases in self._phases.items() if each.codec is wanted.codec and phases]
        whole = [each for each in there if self.complete(each)]
        return min(whole or there, key=lambda each: abs(each.rendition - wanted.rendition), default=wanted)
