"""Which picture each viewer gets at a frame: of the live stretch, of an idle phase, or none. No clock, no socket.

A viewer changes over at keyframes alone. It shows the live stretch from the first live keyframe that comes in time, and
until then goes on with its idle phase; it goes back at the first phase keyframe at or after the stretch's end, or where
the worker has been silent for ``STALL_S``. Times of frames never go back, and none is given out twice.
"""

from collections.abc import Callable, Iterable
from typing import Final

from avatar.messages import Codec, Unit
from whep_server.live.clock import StreamClock
from whep_server.live.fanout import VideoFeed
from whep_server.live.idle import IdleLoops
from whep_server.live.packetize import Packetised, packetize
from whep_server.live.playout import Playout

VIDEO_CODECS: Final = (Codec.H264, Codec.VP8)
STALL_S: Final = 0.4
"""A live picture that stands still for so long is worse than a face that has stopped speaking."""


class Pictures:
    """Hands out the pictures of one stream."""

    def __init__(
        self, clock: StreamClock, loops: IdleLoops, playout: Playout, force_keyframe: Callable[[Codec], None]
    ) -> None:
        self._clock = clock
        self._loops = loops
        self._playout = playout
        self._force_keyframe = force_keyframe
        self._stall_frames = max(1, round(STALL_S * clock.fps))
        self.last_live_frame = -1
        """The last frame of a live stretch that some viewer was given."""

    def show(self, frame: int, feeds: Iterable[VideoFeed], live: bool) -> None:
        """Put the pictures that are due at ``frame`` into the feeds that are read."""
        reading = [feed for feed in feeds if feed.reading]
        for codec in VIDEO_CODECS:
            due = self._playout.pop_due(codec, self._clock.video_time(frame))
            mine = [feed for feed in reading if feed.codec is codec]
            if mine:
                self._end_live(frame, mine, live)
                if live:
                    self._show_live(codec, frame, due, mine)
                self._show_idle(codec, frame, [feed for feed in mine if not feed.live])

    def _end_live(self, frame: int, feeds: list[VideoFeed], live: bool) -> None:
        for feed in feeds:
            if feed.live and (not live or frame - feed.last_frame > self._stall_frames):
                feed.go_idle()

    def _show_live(self, codec: Codec, now: int, due: list[Unit], feeds: list[VideoFeed]) -> None:
        for unit in due:
            frame = self._clock.frame_of_time(unit.media_time)
            takers = [feed for feed in feeds if frame > feed.last_frame and (feed.live or unit.keyframe)]
            if takers:
                packed = Packetised(packetize(codec, unit.data), self._clock.video_time(frame), unit.keyframe)
                self.last_live_frame = max(self.last_live_frame, frame)
                for feed in takers:
                    feed.live, feed.phase = True, None
                    feed.wants_keyframe = feed.push(packed) or (feed.wants_keyframe and not unit.keyframe)
                    feed.last_frame = frame
        wanting = [feed for feed in feeds if feed.wants_keyframe or not feed.live]
        if due and wanting:
            self._await_keyframe(codec, now, wanting)

    def _await_keyframe(self, codec: Codec, frame: int, feeds: list[VideoFeed]) -> None:
        """Have a keyframe made where none is made yet. Who would wait for it too long shows the idle loop meanwhile."""
        media_time, made = self._playout.next_keyframe(codec)
        if not made:
            self._force_keyframe(codec)
        if media_time > self._clock.video_time(frame + self._stall_frames):  # the worker is far ahead of the clock
            for feed in feeds:
                if feed.live:
                    feed.go_idle()

    def _show_idle(self, codec: Codec, frame: int, feeds: list[VideoFeed]) -> None:
        joinable = self._loops.phase_at(codec, frame) if any(feed.wants_keyframe for feed in feeds) else None
        cut: dict[int, Packetised] = {}
        for feed in feeds:
            if feed.last_frame >= frame:  # the live stretch was ahead of a clock that stumbled
                continue
            if feed.wants_keyframe and joinable is not None:
                feed.phase, feed.wants_keyframe = joinable, False
            if feed.phase is None:
                continue
            unit = cut.get(id(feed.phase))
            if unit is None:
                unit = cut[id(feed.phase)] = feed.phase.unit(frame, self._clock.video_time(frame))
            feed.wants_keyframe = feed.push(unit) or feed.wants_keyframe
            feed.last_frame = frame
