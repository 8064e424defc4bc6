"""When a stream is live: the stretches granted to the worker, and how they end. Pure.

A stretch starts at a frame where video and 20 ms audio packets meet, and ends where an idle phase has a keyframe.
"""

from dataclasses import dataclass

from avatar.messages import idle_grid, start_grid
from whep_server.live.clock import round_up


@dataclass(slots=True)
class Stretch:
    """Frames from ``start`` on; ``end``, the first idle frame after it, is None while it is not known."""

    start: int
    end: int | None = None
    cut: bool = False
    """Whether the worker that was to make it is gone: nobody makes anything of it anew."""


class Stretches:
    """The stretches that are not over yet; at most the last one is open."""

    def __init__(self, fps: int) -> None:
        self._start_grid = start_grid(fps)
        self._idle_grid = idle_grid(fps)
        self._known: list[Stretch] = []
        self._free_from = 0

    @property
    def open(self) -> bool:
        """Whether the worker is to make further frames."""
        return bool(self._known) and self._known[-1].end is None

    @property
    def start(self) -> int:
        """The first frame of the open stretch; 0 where none is open."""
        return self._known[-1].start if self.open else 0

    def begin(self, now: int, lead: int) -> int:
        """Open a stretch as soon as a picture can be made in time; its first frame."""
        start = round_up(max(self._free_from, now + lead), self._start_grid)
        self._known.append(Stretch(start))
        return start

    def end(self, frame: int) -> None:
        """The open stretch ends before ``frame``."""
        if self.open:
            self._known[-1].end = max(frame, self._known[-1].start)
            self._free_from = max(self._free_from, frame)

    def reopen(self, frame: int) -> None:
        """All after the start of ``frame`` is made anew: of the stretch it lies in, or the next, no end is known."""
        for place, stretch in enumerate(self._known):
            if stretch.end is None or (stretch.end > frame and not stretch.cut):
                del self._known[place + 1 :]
                stretch.end, self._free_from = None, stretch.start
                return

    def cut(self, now: int) -> int:
        """The worker is gone: end everything at the next idle keyframe; that frame."""
        frame = round_up(now + 1, self._idle_grid)
        self._known = [stretch for stretch in self._known if stretch.start < frame]
        for stretch in self._known:
            stretch.end, stretch.cut = frame if stretch.end is None else min(stretch.end, frame), True
        self._free_from = frame
        return frame

    def live_at(self, frame: int) -> bool:
        """Whether a frame is the worker's to make."""
        return any(stretch.start <= frame and (stretch.end is None or frame < stretch.end) for stretch in self._known)

    def speaking(self, frame: int) -> bool:
        """Whether a stretch is on or about to be."""
        self._known = [stretch for stretch in self._known if stretch.end is None or stretch.end > frame]
        return bool(self._known)
