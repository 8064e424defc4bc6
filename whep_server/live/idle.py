"""An avatar's encoded idle loops in their phases: which one can be joined at a frame, and what it shows. Pure.

Phases arrive one by one; the first is enough to play, all of them bring a keyframe every 200 ms. A unit is packetised
when first needed; its payloads are kept in its place, so that a loop takes no more memory the more of it is seen.
"""

from collections.abc import Callable
from typing import Final

from avatar.messages import IDLE_PHASES, NEUTRAL_POSE, Codec, Encoding, IdleLoop
from whep_server.live.packetize import Packetised, level_idc_of, packetize

VIDEO_CODECS: Final = (Codec.H264, Codec.VP8)


class IdlePhase:
    """One encoding of the loop; keyframes every ``interval`` frames from ``first_frame`` on."""

    def __init__(self, loop: IdleLoop) -> None:
        self._codec, self._first_frame, self._interval = loop.codec, loop.first_frame, loop.interval
        self._units: list[bytes | tuple[bytes, ...]] = list(loop.units)
        self.pose = loop.pose
        """In which it shows the figure."""

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
    """All phases of one avatar at one format, in all renditions, shared by the streams that show it.

    The neutral pose is there from the beginning; others are made when a stream first takes them, and kept.
    """

    def __init__(self, request: Callable[[Encoding, str], None] = lambda _encoding, _pose: None) -> None:
        """``request`` has the worker encode the loop; called once for each encoding and pose."""
        self._request = request
        self._poses: dict[str, dict[Encoding, dict[int, IdlePhase]]] = {NEUTRAL_POSE: {}}
        self.silence: bytes | None = None
        """An Opus packet of silence; None until the first phase is there."""
        self.level_idc: int | None = None
        """As the H.264 pictures say, of the rendition with the highest; None until they are there."""

    def want(self, encoding: Encoding) -> None:
        """Have the loop encoded in that way, too, in all poses that were taken so far."""
        for pose in self._poses:
            self._ask(encoding, pose)

    def want_pose(self, pose: str) -> None:
        """Have the loop made in a pose, too, in all ways in which there is a neutral one."""
        self._poses.setdefault(pose, {})
        for encoding in self._poses[NEUTRAL_POSE]:
            self._ask(encoding, pose)

    def _ask(self, encoding: Encoding, pose: str) -> None:
        encodings = self._poses[pose]
        if encoding not in encodings:
            encodings[encoding] = {}
            self._request(encoding, pose)

    def drop_pose(self, pose: str) -> None:
        """It could not be made: when it is wanted again, it is asked for again. Of the neutral one all is kept."""
        if pose != NEUTRAL_POSE and not self.has_pose(pose):
            self._poses.pop(pose, None)

    def has_pose(self, pose: str) -> bool:
        """Whether every viewer can be shown it: complete in each codec, whatever smaller renditions are to come."""
        whole_size = [each for each in self._poses.get(pose, {}) if each.rendition == 0]
        return Encoding(Codec.H264) in whole_size and all(self.complete(each, pose) for each in whole_size)

    def want_again(self) -> None:
        """What was asked for and has not come is asked for again: of a new worker."""
        for pose, encodings in self._poses.items():
            for encoding in encodings:
                if not self.complete(encoding, pose):
                    self._request(encoding, pose)

    def add(self, loop: IdleLoop) -> None:
        """Take a phase; one that is there already is kept, since viewers may be on it."""
        self.silence = loop.silence
        if loop.codec is Codec.H264 and loop.rendition == 0 and self.level_idc is None:
            self.level_idc = level_idc_of(loop.units[0])
        phases = self._poses.setdefault(loop.pose, {}).setdefault(Encoding(loop.codec, loop.rendition), {})
        phases.setdefault(loop.phase, IdlePhase(loop))

    @property
    def codecs(self) -> list[Codec]:
        """Those in which a viewer can be shown something."""
        return [codec for codec in VIDEO_CODECS if self._poses[NEUTRAL_POSE].get(Encoding(codec))]

    def _phases(self, encoding: Encoding, pose: str) -> dict[int, IdlePhase]:
        return self._poses.get(pose, {}).get(encoding, {})

    def phase_at(self, encoding: Encoding, frame: int, pose: str = NEUTRAL_POSE) -> IdlePhase | None:
        """The phase with a keyframe at ``frame``, or None where there is none."""
        phases = self._phases(encoding, pose)
        return next((phase for phase in phases.values() if phase.keyframe_at(frame)), None)

    def newest(self, encoding: Encoding, frame: int, pose: str = NEUTRAL_POSE) -> IdlePhase | None:
        """The phase whose last keyframe up to ``frame`` is the latest, or None while there is none."""
        phases = self._phases(encoding, pose).values()
        return max(phases, key=lambda phase: phase.keyframe_before(frame), default=None)

    def complete(self, encoding: Encoding, pose: str = NEUTRAL_POSE) -> bool:
        """Whether all phases are there."""
        return len(self._phases(encoding, pose)) == IDLE_PHASES

    def nearest(self, wanted: Encoding, pose: str = NEUTRAL_POSE) -> Encoding:
        """The rendition that can be shown for one that may not be there yet: complete if possible, and next to it."""
        if self.complete(wanted, pose):
            return wanted
        encodings = self._poses.get(pose, {})
        there = [each for each, phases in encodings.items() if each.codec is wanted.codec and phases]
        whole = [each for each in there if self.complete(each, pose)]
        return min(whole or there, key=lambda each: abs(each.rendition - wanted.rendition), default=wanted)
