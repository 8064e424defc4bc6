"""Which picture each viewer gets at a frame: of the live stretch, of an idle phase, or none. No clock, no socket.

A viewer changes over at keyframes alone. It shows the live stretch from the first live keyframe that comes in time, and
until then goes on with its idle phase; it goes back at the first phase keyframe at or after the stretch's end, or where
the worker has been silent for ``STALL_S``. From one rendition to another it goes at a keyframe of the other one, and
goes on with the old one until then. Times of frames never go back, and none is given out twice. Who has just come waits
for nothing: it is given the phase with the latest keyframe from there on, all at once.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from avatar.messages import NEUTRAL_POSE, RENDITIONS, VIDEO_HZ, Codec, Encoding, Unit
from whep_server.live.clock import StreamClock
from whep_server.live.idle import VIDEO_CODECS, IdleLoops, IdlePhase
from whep_server.live.packetize import Packetised, packetize
from whep_server.live.playout import Playout
from whep_server.live.video_feed import VideoFeed

STALL_S: Final = 0.4
"""A live picture that stands still for so long is worse than a face that has stopped speaking."""
DRAIN_S: Final = 0.4
"""Routers hold about so much; a keyframe behind it would be lost, and with it a second."""
GREETING_TICKS: Final = VIDEO_HZ // 1000
"""From picture to picture of those that a viewer is given at once. Were it told their own times, a player would take
the network for one that holds pictures back, and show all that follows later."""

Renditions = Mapping[int, Unit]
"""A frame's units by rung."""


class Pictures:
    """Hands out the pictures of one stream."""

    def __init__(
        self,
        clock: StreamClock,
        loops: IdleLoops,
        playout: Playout,
        force_keyframe: Callable[[Encoding], None],
        changed_over: Callable[[], None],
        pose_at: Callable[[int], str] = lambda _: NEUTRAL_POSE,
    ) -> None:
        """``changed_over`` is called when a viewer of the live stretch shows another rendition of it.

        ``pose_at`` says in which pose an idle picture shows the figure.
        """
        self._clock = clock
        self._loops = loops
        self._playout = playout
        self._force_keyframe = force_keyframe
        self._changed_over = changed_over
        self._pose_at = pose_at
        self._stall_frames = max(1, round(STALL_S * clock.fps))
        self._drain_frames = round(DRAIN_S * clock.fps)
        self.last_live_frame = -1
        """The last frame of a live stretch that some viewer was given."""

    def show(self, frame: int, feeds: Iterable[VideoFeed], live: bool) -> None:
        """Put the pictures that are due at ``frame`` into the feeds that are read."""
        reading = [feed for feed in feeds if feed.reading]
        for feed in reading:
            feed.look_at(frame)
            if feed.drains:
                self._drain(feed, frame)
        for codec in VIDEO_CODECS:
            due = self._pop_due(codec, frame)
            mine = [feed for feed in reading if feed.codec is codec]
            if mine:
                self._end_live(frame, mine, live)
                if live:
                    self._show_live(codec, frame, due, mine)
                self._show_idle(frame, [feed for feed in mine if not feed.live])

    def greet(self, frame: int, feeds: Iterable[VideoFeed]) -> None:
        """Have those that came since ``frame`` was shown see it now."""
        for feed in feeds:
            if feed.reading and feed.fresh:
                self._begin(feed, frame)

    def _drain(self, feed: VideoFeed, frame: int) -> None:
        """Send nothing to who is to show a smaller picture, until there is room for its keyframe on the way."""
        feed.drains = False
        if self._loops.nearest(Encoding(feed.codec, feed.wanted)).rendition > feed.rendition:
            feed.go_idle()
            feed.resumes = frame + self._drain_frames

    def _pop_due(self, codec: Codec, now: int) -> dict[int, dict[int, Unit]]:
        """Live units whose time has come, by frame and rung."""
        due: dict[int, dict[int, Unit]] = {}
        for rung in range(RENDITIONS):
            for unit in self._playout.pop_due(codec, self._clock.video_time(now), rung):
                due.setdefault(self._clock.frame_of_time(unit.media_time), {}).setdefault(rung, unit)
        return due

    def _end_live(self, frame: int, feeds: list[VideoFeed], live: bool) -> None:
        for feed in feeds:
            if feed.live and (not live or frame - feed.last_frame > self._stall_frames):
                feed.go_idle()

    # --- live

    def _show_live(self, codec: Codec, now: int, due: Mapping[int, Renditions], feeds: list[VideoFeed]) -> None:
        changes = False
        for frame in sorted(due):
            packed: dict[int, Packetised] = {}
            for feed in feeds:
                unit = _next_unit(feed, due[frame]) if frame > feed.last_frame else None
                if unit is not None:
                    changes |= feed.live and unit.rendition != feed.rendition
                    self._give(feed, unit, frame, packed)
        for rung in sorted({unit.rendition for units in due.values() for unit in units.values()}):
            wanting = [feed for feed in feeds if _wants_keyframe(feed, rung)]
            if wanting:
                self._await_keyframe(Encoding(codec, rung), now, wanting)
        if changes:
            self._changed_over()

    def _give(self, feed: VideoFeed, unit: Unit, frame: int, packed: dict[int, Packetised]) -> None:
        made = packed.get(unit.rendition)
        if made is None:
            payloads = packetize(unit.codec, unit.data)
            made = packed[unit.rendition] = Packetised(payloads, self._clock.video_time(frame), unit.keyframe)
            self.last_live_frame = max(self.last_live_frame, frame)
        feed.live, feed.phase, feed.rendition = True, None, unit.rendition
        feed.give(made, frame)

    def _await_keyframe(self, encoding: Encoding, frame: int, feeds: list[VideoFeed]) -> None:
        """Have a keyframe made where none is made yet. Who would wait for it too long shows the idle loop meanwhile."""
        media_time, made = self._playout.next_keyframe(encoding.codec, encoding.rendition)
        if not made:
            self._force_keyframe(encoding)
        if media_time > self._clock.video_time(frame + self._stall_frames):  # the worker is far ahead of the clock
            for feed in feeds:
                if feed.live and feed.wants_keyframe:
                    feed.go_idle()

    # --- idle

    def _show_idle(self, frame: int, feeds: list[VideoFeed]) -> None:
        joinable: dict[Encoding, IdlePhase | None] = {}
        cut: dict[int, Packetised] = {}
        pose = self._pose_at(frame)
        for feed in feeds:
            if feed.last_frame >= frame:  # the live stretch was ahead of a clock that stumbled
                continue
            if feed.fresh:
                self._begin(feed, frame)
                continue
            other_pose = feed.phase is not None and feed.phase.pose != pose
            if feed.wants_keyframe or feed.rendition != feed.wanted or other_pose:
                self._change_phase(feed, frame, joinable)
            if feed.phase is None:
                continue
            unit = cut.get(id(feed.phase))
            if unit is None:
                unit = cut[id(feed.phase)] = feed.phase.unit(frame, self._clock.video_time(frame))
            feed.give(unit, frame)

    def _begin(self, feed: VideoFeed, frame: int) -> None:
        """A viewer's first pictures: from the latest keyframe of any phase up to ``frame``."""
        pose = self._pose_at(frame)
        nearest = self._loops.nearest(Encoding(feed.codec, feed.wanted), pose)
        phase = self._loops.newest(nearest, frame, pose)
        if phase is None:
            return
        feed.phase, feed.rendition = phase, nearest.rendition
        now = self._clock.video_time(frame)
        for each in range(phase.keyframe_before(frame), frame + 1):
            feed.give(phase.unit(each, now - (frame - each) * GREETING_TICKS), each)

    def _change_phase(self, feed: VideoFeed, frame: int, joinable: dict[Encoding, IdlePhase | None]) -> None:
        """Go over to a phase with a keyframe at ``frame``, in the pose; the rendition is as wanted, or next to it."""
        if frame < feed.resumes:
            return
        pose = self._pose_at(frame)
        nearest = self._loops.nearest(Encoding(feed.codec, feed.wanted), pose)
        same = nearest.rendition == feed.rendition and (feed.phase is None or feed.phase.pose == pose)
        if not feed.wants_keyframe and same:
            return
        if nearest not in joinable:
            joinable[nearest] = self._loops.phase_at(nearest, frame, pose)
        phase = joinable[nearest]
        if phase is not None:
            feed.phase, feed.rendition = phase, nearest.rendition


def _next_unit(feed: VideoFeed, units: Renditions) -> Unit | None:
    """The one of a frame's units with which a feed goes on, if any."""
    wanted = units.get(feed.wanted)
    if wanted is not None and wanted.keyframe:
        return wanted
    return units.get(feed.rendition) if feed.live else None


def _wants_keyframe(feed: VideoFeed, rung: int) -> bool:
    """Whether a feed would go on, or change over, at a keyframe of that rung."""
    if feed.wanted == rung:
        return feed.wants_keyframe or not feed.live or feed.rendition != rung
    return feed.live and feed.wants_keyframe and feed.rendition == rung
