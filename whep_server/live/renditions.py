"""In which encodings a stream's worker makes pictures, and which rendition each viewer is to be shown.

An encoding is made as long as some viewer shows it or is about to, and no longer.
"""

import asyncio
import math
from collections.abc import Callable, Iterable
from typing import Final

from avatar.messages import Encoding, ForceKeyframe, SetEncodings, VideoFormat, ladder
from whep_server.live.house import House
from whep_server.live.idle import VIDEO_CODECS, IdleLoops
from whep_server.live.telling import tell
from whep_server.live.video_feed import VideoFeed

CHOOSE_S: Final = 0.25
"""Viewers report about once a second; who joins over a slow network sees the sooner, the sooner that is acted on."""


class Renditions:
    """One stream's. ``key`` is what the worker calls the stream; ``feeds`` are its viewers' pictures."""

    def __init__(
        self, key: str, video: VideoFormat, loops: IdleLoops, house: House, feeds: Callable[[], Iterable[VideoFeed]]
    ) -> None:
        self.rungs = ladder(video)[: house.settings.renditions]
        """What there is to choose from, best first."""
        self._key, self._loops, self._worker, self._feeds = key, loops, house.worker, feeds
        self._time = asyncio.get_running_loop().time
        self._interval_s = house.settings.keyframe_interval_ms / 1000
        self._encodings: list[Encoding] = []
        self._asked_keyframe_s: dict[Encoding, float] = {}
        self._chose_s = -math.inf

    def worker_ready(self) -> None:
        """A worker has started and knows nothing of this stream."""
        tell(self._worker, SetEncodings(self._key, self._encodings))

    def fit(self) -> None:
        """Viewers have come, gone or changed over: have the worker make what they need now."""
        needed = {encoding for feed in self._feeds() for encoding in feed.encodings}
        encodings = sorted(needed, key=lambda each: (VIDEO_CODECS.index(each.codec), each.rendition))
        if encodings != self._encodings:
            self._encodings = encodings
            tell(self._worker, SetEncodings(self._key, encodings))

    def choose(self, now_s: float) -> None:
        """Now and then, look at what the viewers report. Units: ``now_s`` of the event loop's clock."""
        if now_s - self._chose_s < CHOOSE_S or len(self.rungs) == 1:
            return
        self._chose_s = now_s
        reporting = [feed for feed in self._feeds() if feed.feedback.reports]
        for feed in reporting:
            feed.choose(now_s)
        for codec in {feed.codec for feed in reporting}:
            for rung in reversed(range(1, len(self.rungs))):  # who cannot wait for it needs the smallest one
                self._loops.want(Encoding(codec, rung))
        self.fit()

    def force_keyframe(self, encoding: Encoding) -> None:
        """Ask the encoder, at most once in ``keyframe_interval_ms``: one keyframe serves all who wait."""
        now_s = self._time()
        if now_s - self._asked_keyframe_s.get(encoding, -math.inf) >= self._interval_s:
            self._asked_keyframe_s[encoding] = now_s
            tell(self._worker, ForceKeyframe(self._key, encoding.codec, encoding.rendition))
