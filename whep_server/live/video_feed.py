"""A viewer's pictures: where they come from at the moment, and in which rendition. No clock."""

from collections.abc import Callable, Sequence

from avatar.messages import Codec, Encoding, VideoFormat
from whep_server.live.fanout import Feed
from whep_server.live.idle import IdlePhase
from whep_server.live.packetize import Packetised
from whep_server.live.rate import RateChooser


class VideoFeed(Feed):
    """See the module."""

    def __init__(self, codec: Codec, rungs: Sequence[VideoFormat], on_reading: Callable[[], None]) -> None:
        """``rungs``: the renditions that there are, best first."""
        super().__init__(codec, on_reading)
        self.rendition = 0
        """The rung that it shows."""
        self.wanted = 0
        """The rung that it is to show: it changes over at a keyframe of that one."""
        self.live = False
        """Whether it shows the live stretch; else it shows ``phase`` of the idle loop."""
        self.phase: IdlePhase | None = None
        """None: nothing can be shown before the next keyframe."""
        self.wants_keyframe = True
        self.last_frame = -1
        """The last frame that was put in; only later ones may follow."""
        self.drains = False
        """Whether the way has just turned out to carry less than it is sent: what is queued on it is to go first."""
        self.resumes = -1
        """Before that frame no idle picture is sent."""
        self._asked = False
        """Whether the viewer has asked for a keyframe since the last one."""
        self._granted_until = -1
        """Before that frame a further request is not granted."""
        self._rungs = rungs
        self._chooser = RateChooser([rung.bitrate_bps for rung in rungs])

    @property
    def frame_size(self) -> tuple[int, int] | None:
        """Width and height of what it shows; None before the first picture."""
        shown = self._rungs[self.rendition]
        return None if self.fresh else (shown.width, shown.height)

    @property
    def fresh(self) -> bool:
        """Whether it was given no picture yet."""
        return self.last_frame < 0

    @property
    def encodings(self) -> set[Encoding]:
        """Those that it needs of a live stretch."""
        wanted = Encoding(self.codec, self.wanted)
        return {wanted, Encoding(self.codec, self.rendition)} if self.live else {wanted}

    def choose(self, now_s: float) -> None:
        """Want what the way to the viewer can carry; to be called once a second or more often."""
        before, self.wanted = self.wanted, self._chooser.choose(self.feedback, now_s)
        self.drains |= self.wanted > before

    def request_keyframe(self) -> None:
        """A picture loss indication came in: the next keyframe of any phase, or one from the encoder.

        At most one a second is made of them: where the way is full, more would keep it full.
        """
        self._asked = True

    def look_at(self, frame: int) -> None:
        """A frame is about to be shown: grant what was asked for, unless that was done just now."""
        if self._asked and frame >= self._granted_until:
            self.wants_keyframe, self._asked = True, False
            self._granted_until = frame + self._rungs[0].fps

    def give(self, unit: Packetised, frame: int) -> None:
        """Send the picture of a frame, or leave it out."""
        dropped = self.dropped
        needs_keyframe = self.push(unit)
        if unit.keyframe and self.dropped == dropped:
            self.wants_keyframe = self._asked = False
        self.wants_keyframe |= needs_keyframe
        self.last_frame = frame

    def go_idle(self) -> None:
        """Leave the live stretch; the next phase with a keyframe goes on."""
        self.live, self.phase, self.wants_keyframe = False, None, True
