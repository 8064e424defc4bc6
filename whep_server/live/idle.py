"""An avatar's encoded idle loop in its phases: which one can be joined at a frame, and what it shows. Pure.

Phases arrive one by one; the first is enough to play, all of them bring a keyframe every 200 ms. Units are packetised
when first needed and then kept.
"""

from avatar.messages import IDLE_PHASES, Codec, IdleLoop
from whep_server.live.packetize import Packetised, level_idc_of, packetize


class IdlePhase:
    """One encoding of the loop; keyframes every ``interval`` frames from ``first_frame`` on."""

    def __init__(self, loop: IdleLoop) -> None:
        self._loop = loop
        self._payloads: list[tuple[bytes, ...] | None] = [None] * len(loop.units)

    def keyframe_at(self, frame: int) -> bool:
        """Whether the phase has a keyframe at a frame of the stream."""
        return self._index(frame) % self._loop.interval == 0

    def unit(self, frame: int, rtp_time: int) -> Packetised:
        """What the phase shows at a frame of the stream."""
        index = self._index(frame)
        payloads = self._payloads[index]
        if payloads is None:
            payloads = self._payloads[index] = packetize(self._loop.codec, self._loop.units[index])
        return Packetised(payloads, rtp_time, index % self._loop.interval == 0)

    def _index(self, frame: int) -> int:
        return (frame - self._loop.first_frame) % len(self._loop.units)


class IdleLoops:
    """All phases of one avatar at one format, shared by the streams that show it."""

    def __init__(self) -> None:
        self._phases: dict[Codec, dict[int, IdlePhase]] = {Codec.H264: {}, Codec.VP8: {}}
        self.silence: bytes | None = None
        """An Opus packet of silence; None until the first phase is there."""
        self.level_idc: int | None = None
        """As the H.264 pictures say; None until they are there."""

    def add(self, loop: IdleLoop) -> None:
        """Take a phase; one that is there already is kept, since viewers may be on it."""
        self.silence = loop.silence
        if loop.codec is Codec.H264 and self.level_idc is None:
            self.level_idc = level_idc_of(loop.units[0])
        self._phases[loop.codec].setdefault(loop.phase, IdlePhase(loop))

    @property
    def codecs(self) -> list[Codec]:
        """Those in which a viewer can be shown something."""
        return [codec for codec, phases in self._phases.items() if phases]

    def phase_at(self, codec: Codec, frame: int) -> IdlePhase | None:
        """The phase with a keyframe at ``frame``, or None where there is none."""
        return next((phase for phase in self._phases[codec].values() if phase.keyframe_at(frame)), None)

    def complete(self, codec: Codec) -> bool:
        """Whether all phases are there."""
        return len(self._phases[codec]) == IDLE_PHASES
