"""What a stream sends, and when: pictures and sound of live stretches or of the idle loop, put into viewers' feeds.

A picture every 1 / fps, an audio packet every 20 ms, those of one media time in one go. What is due when is decided in
the pure parts (``stretches``, ``pictures``, ``sounds``); here they meet the clock, and the worker is granted frames.
"""

import asyncio
import logging
import math
from collections.abc import Iterable
from typing import Final

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ, Advance, GoLive, Unit
from whep_server.live.clock import StreamClock
from whep_server.live.fanout import Feed
from whep_server.live.house import House
from whep_server.live.idle import IdleLoops
from whep_server.live.pictures import STALL_S, Pictures
from whep_server.live.playout import Playout
from whep_server.live.posing import Posing
from whep_server.live.renditions import Renditions
from whep_server.live.sounds import Sounds
from whep_server.live.stretches import Stretches
from whep_server.live.telling import tell
from whep_server.live.video_feed import VideoFeed

logger = logging.getLogger(__name__)

CATCH_UP_S: Final = 0.5
"""A loop that stood still for less sends what it missed, in order; after more it goes on at the present."""
UNANSWERED_S: Final = STALL_S / 2
"""A worker that has not answered an interruption for so long may hang, and the mouth is as it was."""
AHEAD_S: Final = 15
"""So far ahead of its time the worker may make what is also recorded; ``playout.MAX_HELD`` holds 20 s."""


class Transmission:
    """One stream's pictures and sound on its clock. ``key`` is what the worker and the log call the stream."""

    def __init__(self, key: str, fps: int, loops: IdleLoops, house: House, renditions: Renditions) -> None:
        self._time = asyncio.get_running_loop().time
        self.clock = StreamClock(self._time(), fps)
        self.playout = Playout()
        self.stretches = Stretches(fps)
        self.sounds = Sounds(loops, self.playout)
        self.posing = Posing(fps, loops)
        keyframe, fit, pose_at = renditions.force_keyframe, renditions.fit, self._pose_at
        self._pictures = Pictures(self.clock, loops, self.playout, keyframe, fit, pose_at)
        self.moves_only = False
        """Whether nothing is said in the stretch that is on: the figure changes its pose."""
        self._key, self._fps, self._worker = key, fps, house.worker
        self._lead = math.ceil(house.settings.lead_ms * fps / 1000)
        self._frame = self._packet = -1  # the last ones that were handed out
        self._fenced: int | None = None  # from that sample on all is made anew, while an interruption is unanswered
        self._epoch = 0
        self._granted = (-1, -1)  # what the worker was told last

    @property
    def frame(self) -> int:
        """The frame that is due now."""
        return self.clock.frame_at(self._time())

    @property
    def speaking(self) -> bool:
        """Whether a live stretch is on or about to be in which something is said."""
        return self.stretches.speaking(self.frame) and not self.moves_only

    @property
    def unfinished(self) -> bool:
        """Whether frames of a live stretch are yet to be handed out."""
        return self.stretches.speaking(self._frame)

    @property
    def pictured(self) -> int:
        """Up to where viewers were given live pictures. Units: 48 kHz samples."""
        return self._sample_of(self._pictures.last_live_frame)

    @property
    def played(self) -> int:
        """What is heard by now. Units: 48 kHz samples."""
        return (self._packet + 1) * OPUS_SAMPLES - 1

    @property
    def stretch_begins(self) -> int:
        """Where the live stretch that is open starts. Units: 48 kHz samples."""
        return self._sample_of(self.stretches.start)

    def _pose_at(self, frame: int) -> str:
        return self.posing.at(frame, live=self.stretches.live_at(frame))

    def _sample_of(self, frame: int) -> int:
        return frame * AUDIO_HZ // self._fps

    # --- what is due

    def next_due_s(self) -> float:
        """When something is due next."""
        return min(self.clock.frame_due_s(self._frame + 1), self.clock.packet_due_s(self._packet + 1))

    def resume(self) -> None:
        """Nothing was due while nobody watched: go on at the present."""
        now_s = self._time()
        self._frame = max(self._frame, self.clock.frame_at(now_s) - 1)
        self._packet = max(self._packet, self.clock.packet_at(now_s) - 1)
        self.sounds.skip_to(self._packet + 1)

    def show(self, now_s: float, pictures: Iterable[VideoFeed], sounds: Iterable[Feed]) -> None:
        """Hand out what is due; audio and video of one media time leave together."""
        frame, packet = self.clock.frame_at(now_s), self.clock.packet_at(now_s)
        if frame - self._frame > CATCH_UP_S * self._fps:
            logger.warning("stream %s: the event loop stood still for %d frames", self._key, frame - self._frame)
            self.resume()
        while self._frame < frame:
            self._frame += 1
            self._pictures.show(self._frame, pictures, self._shown_live(self._frame))
        while self._packet < packet:
            self._packet += 1
            self.sounds.play(self._packet, sounds, self.stretches.live_at(self.clock.frame_of_packet(self._packet)))

    def greet(self, pictures: Iterable[VideoFeed]) -> None:
        """Show viewers that have just come the present picture, unless the clock stands still or stumbles."""
        if 0 <= self._frame >= self.frame - 1:
            self._pictures.greet(self._frame, pictures)

    def _shown_live(self, frame: int) -> bool:
        """Whether viewers are shown live pictures; not for long where an interruption is not answered.

        From an idle keyframe to the next it is 200 ms: an open mouth stands still for ``STALL_S`` at the most.
        """
        if self._fenced is not None and self._sample_of(frame) - self._fenced > UNANSWERED_S * AUDIO_HZ:
            return False
        return self.stretches.live_at(frame)

    # --- live stretches

    def push(self, unit: Unit) -> None:
        """The worker has made one."""
        self.playout.push(unit)

    def go_live(self, *, moves_only: bool = False) -> None:
        """Open a stretch as soon as a picture can be made in time."""
        now = self.frame
        self.moves_only = moves_only
        start = self.stretches.begin(now, self._lead)
        self.posing.begin(start)
        tell(self._worker, GoLive(self._key, start, self.posing.shown))
        self._granted = -1, -1
        self._advance(now + self._lead + 1, now)

    def went_idle(self, frame: int, pose: str) -> None:
        """The worker makes no more from ``frame`` on, and the idle loop goes on in ``pose``.

        It takes that back where it did not know of an interruption.
        """
        if self._fenced is None or self._sample_of(frame) <= self._fenced:
            self.stretches.end(frame)
            self.posing.settle(frame, pose)

    def grant(self, recorded: int) -> None:
        """Let the worker go on: a little ahead of the clock, or far where it makes a recording.

        Units: ``recorded``, where what is recorded ends, in 48 kHz samples.
        """
        frame = self._frame
        far = min(frame + AHEAD_S * self._fps, recorded * self._fps // AUDIO_HZ)
        self._advance(max(frame + self._lead + 1, far), frame)

    def _advance(self, until: int, now: int) -> None:
        """Say so once: there are three ticks to a frame."""
        if (until, now) != self._granted:
            self._granted = until, now
            tell(self._worker, Advance(self._key, until, now))

    def cut(self, least: int = 0) -> int:
        """The worker makes no more: idle from the next idle keyframe on, or from the one after frame ``least``.

        Answers up to where what is there will still be heard. Units: 48 kHz samples.
        """
        self.answered(self._epoch)
        frame = self.stretches.cut(max(self.frame, least))
        heard_until = self._sample_of(frame)
        self.playout.cut(self.clock.video_time(frame), heard_until)
        return heard_until

    # --- interruption

    def next_packet(self, grace_s: float) -> int:
        """Where the first packet begins that is due in ``grace_s`` or later. Units: 48 kHz samples."""
        return max(self.clock.packet_from(self._time() + grace_s), self._packet + 1) * OPUS_SAMPLES

    def fence(self, epoch: int, at: int) -> None:
        """What was made before ``epoch`` does not come out from sample ``at`` on: silence, until more is made."""
        self._epoch, self._fenced = epoch, at
        self.playout.fence(epoch, at * VIDEO_HZ // AUDIO_HZ, at)
        self.sounds.hush(at // OPUS_SAMPLES)
        self.stretches.reopen(at * self._fps // AUDIO_HZ)

    def answered(self, epoch: int) -> None:
        """The worker has taken note of an interruption: what follows is made under its epoch."""
        if epoch == self._epoch:
            self._fenced = None
            self.sounds.hush(None)
