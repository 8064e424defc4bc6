"""Speech that is spoken while it is made: samples in, as they come; samples out, as a ``timeline.Source``. No clock.

**When it begins.** A stretch takes the engine's view ahead at once (``Pipeline.head_start``; 100 ms with the embedded
engine); what is left then must last through the jitter of who makes it. Frames are granted by the server's clock: the
next one soon, at the worst at once, then one after the other. A piece that decided that there is enough may have been
20 ms early, and those after it may be 20 ms late. Pieces of 20 ms, 25 frames a second, t after the beginning:

    taken in t, at most          40 * (1 + floor(t / 40))
    come in t, at least          20 * floor((t - 2 * 20) / 20)
    the most that is lacking     80 ms, at t = 40: a frame and twice the jitter (``reserve``)

So a voice that comes as fast as it is spoken begins with 180 ms of it, and one that is made faster almost at once. What
the filters keep until more comes, 1 to 3 ms, would cost another piece: it begins that much later instead (``lead``).

**When it pauses.** Where nothing has come for longer than usual and the end of what is there is near, the last quiet
place in it is where to pause: between two words, at best between two sentences. Where there is none, all that is there
is played; all up to a mark in any case, for whoever makes it may wait for it to be reached. It goes on when there is
enough again; more than that where it pauses often. Where nothing comes for a second, what was kept is played after all,
lest the last word stays unsaid.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from avatar.decode import RATIO, Analyser, Samples
from avatar.fifo import Fifo
from avatar.loudness import Loudness
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.resampler import Resampler

JITTER: Final = AUDIO_HZ * 20 // 1000
"""A piece may be early or late by so much."""
MAX_WAITING: Final = AUDIO_HZ * 90
"""More waits only where who sends knows nothing of credit: 35 MB at the highest rate, of two channels."""
TELL: Final = AUDIO_HZ // 10
"""What was taken is told every 100 ms."""
OVERDUE: Final = AUDIO_HZ * 60 // 1000
"""Samples taken since the last piece, beyond what is usual, that tell that more is late."""
FADING: Final = 0.9
"""Of the longest time between two pieces, so much is remembered from piece to piece."""
NEAR: Final = AUDIO_HZ * 4 // 10
"""A pause is looked for in the last 400 ms: a word, as a rule, with the place before it."""
SOON: Final = AUDIO_HZ // 2
"""So much is ready to be taken: more than is looked at for a pause."""
KEPT_BLOCKS: Final = 50
"""What is after a quiet place, and all that is too little to go on with, is kept for at most a second of pausing."""
STUTTER: Final = AUDIO_HZ * 2
"""Where it pauses again after less than 2 s, who makes it is slow: twice as much is to be there before it goes on."""
MOST_DOUBLINGS: Final = 3
"""A producer that is far too slow is heard in phrases of half a second rather than in syllables."""
HOP: Final = 240
"""A quiet place is twice 5 ms: a fade's end and another's beginning."""


def reserve(frame_samples: int) -> int:
    """What must be there beyond what is taken at once, lest it runs dry. Units: 48 kHz samples."""
    ragged = OPUS_SAMPLES if frame_samples % OPUS_SAMPLES else 0  # some frames take a block more than others
    return frame_samples + ragged + 2 * JITTER


class PcmSource:
    """One utterance. Belongs to one thread."""

    def __init__(
        self, sample_rate: int, channels: int, *, max_s: float, patience_s: float, taken: Callable[[int], None]
    ) -> None:
        """``taken`` is called with the bytes that do not wait any more, all in all.

        Errors: ValueError for a rate or a number of channels that cannot be played.
        """
        self._resampler, self._analyser = Resampler(sample_rate, channels), Analyser()
        self._rate, self._channels, self._frame_bytes = sample_rate, channels, 2 * channels
        self._most_frames, self._max_s = int(max_s * sample_rate), max_s
        self._taken = taken
        self.patience_s: float | None = patience_s
        self.lead = (self._resampler.delay + Analyser.DELAY + 2 * RATIO - 1) // RATIO * RATIO
        """Begun so much later, it can be taken when it has come, whatever the filters keep of it."""
        self.enough = OPUS_SAMPLES
        """So much is to be there before it goes on where it ran dry; set by whoever knows the frame rate."""
        self.abandoned = False
        self._error: str | None = None
        self._closed = self._flushed = False
        self._cut = b""  # a piece's end that is half a frame
        self._frames = 0  # put so far
        self._raw = Fifo(np.int16)  # interleaved, as they came
        self._play, self._analyse = Fifo(np.int16), Fifo(np.float32)
        self._position = 0  # samples taken so far
        self._told = 0  # bytes
        self._marks: deque[tuple[str, int]] = deque()
        self._loudness = Loudness()
        self._since = 0  # samples taken since the last piece
        self._usual = 0.0  # as many are taken between two pieces, as a rule
        self._rest: int | None = None  # where to pause
        self._paused = self._pauses = 0  # where it paused last, and how often in quick succession

    # --- samples in

    @property
    def received(self) -> int:
        """What was put so far. Units: 48 kHz samples."""
        return self._frames * AUDIO_HZ // self._rate

    @property
    def waiting(self) -> int:
        """What was put and not taken. Units: 48 kHz samples."""
        return self.received - self._position

    def put(self, data: bytes) -> None:
        """Some more, a whole number of samples or not; nothing where no more is wanted. Shapes: (n, channels) int16."""
        if self.ended:
            return
        data = self._cut + data
        frames = len(data) // self._frame_bytes
        self._cut = data[frames * self._frame_bytes :]
        if not frames:
            return
        room = self._most_frames - self._frames
        samples = np.frombuffer(data, "<i2", min(frames, room) * self._channels).astype(np.int16, copy=False)
        self._frames += min(frames, room)
        self._raw.append(samples)
        self._usual, self._since = max(self._since, self._usual * FADING), 0
        self._rest = None
        if frames > room:
            self._end(f"the speech is longer than {self._max_s:.0f} s")
        elif self.waiting > MAX_WAITING:
            self._end(f"more than {MAX_WAITING // AUDIO_HZ} s of samples wait to be played")
        self._convert()

    def _convert(self) -> None:
        """Make what is needed soon of what has come; not all at once, which would hold up other streams."""
        missing = SOON - self._play.count
        if self._raw.count and missing > 0:
            raw = self._raw.take(-(-missing * self._rate // AUDIO_HZ) * self._channels)
            self._append(self._resampler.convert(raw.astype(np.int16, copy=False)))
        if self._closed and not self._raw.count and not self._flushed:
            self._flushed = True
            self._append(self._resampler.flush())
            self._analyse.append(self._analyser.flush())

    def _append(self, play: NDArray[np.int16]) -> None:
        if len(play):
            self._play.append(play)
            self._analyse.append(self._analyser.hear(play))

    def _end(self, error: str | None) -> None:
        self._closed, self._error, self._rest = True, error, None

    def mark(self, name: str) -> None:
        """The place that this much of it reaches is to be told (``reached``)."""
        if not self.ended:
            self._marks.append((name, self.received))

    def close(self) -> None:
        """It is whole."""
        if not self.ended:
            self._end(None)
            self._convert()

    # --- samples out

    @property
    def ended(self) -> bool:
        """Whether what is available is all there is to come."""
        return self._closed or self.abandoned

    @property
    def error(self) -> str | None:
        """Why it ended too early, or None."""
        return self._error

    def available(self, held_blocks: int = 0) -> int:
        """Samples that are to be played now; where more is late, up to the place where to pause."""
        if self._flushed:
            return self._play.count
        if not held_blocks:
            return self._there if self._rest is None else self._rest - self._position
        if held_blocks == 1:
            self._pauses = self._pauses + 1 if self._position < self._paused + STUTTER else 1
            self._paused = self._position
        enough = self.enough << min(self._pauses - 1, MOST_DOUBLINGS)
        may_go_on = self._closed or (self._rest is None and self.waiting >= enough)
        return self._there if may_go_on or held_blocks % KEPT_BLOCKS == 0 else 0

    @property
    def _there(self) -> int:
        """Samples to play whose samples to analyse are there too."""
        return min(self._play.count, self._analyse.count * RATIO)

    def take(self, count: int) -> Samples:
        """The next ``count``, or all there are."""
        play, analyse = self._play.take(count), self._analyse.take(-(-count // RATIO))
        self._position += len(play)
        self._since += len(play)
        self._loudness.hear(play.astype(np.int16, copy=False))
        self._convert()
        self._tell()
        if self._rest is not None and self._rest < self._position:
            self._rest = None
        if not self.ended and self._rest is None and self._dwindles():
            self._rest = self._resting_place()
        return Samples(play.astype(np.int16, copy=False), analyse.astype(np.float32, copy=False))

    def _tell(self) -> None:
        over = self._flushed and not self._play.count
        frames = self._frames if over else self._position * self._rate // AUDIO_HZ
        size = frames * self._frame_bytes + (len(self._cut) if over else 0)
        due = self._told + TELL * self._rate // AUDIO_HZ * self._frame_bytes
        if size >= due or (size > self._told and self._there < RATIO):
            self._told = size
            self._taken(size)

    def _dwindles(self) -> bool:
        """Whether it is time to look for a place to pause."""
        left = self._play.count
        return left < OPUS_SAMPLES or (left < NEAR and self._since >= self._usual + OVERDUE)

    def _resting_place(self) -> int | None:
        """The middle of the last 10 ms that are quiet, or the last mark; None: the end. Units: as ``_position``."""
        left = self._play.peek(self._there).astype(np.int16, copy=False)
        quiet = self._loudness.quiet(left[: len(left) // HOP * HOP].reshape(-1, HOP))
        pairs = np.flatnonzero(quiet[:-1] & quiet[1:])
        places = [self._position + (int(pair) + 1) * HOP for pair in pairs[-1:]]
        places += [place for _, place in self._marks if place > self._position]
        if not places:
            return None
        distance = -(-(max(places) - self._position) // RATIO) * RATIO
        return self._position + distance if distance < len(left) else None

    def reached(self, samples: int) -> list[tuple[str, int]]:
        """The marks in its first ``samples``, each told once: names, and places in samples."""
        if self._there < RATIO:
            samples += self.waiting  # what a filter keeps until more comes: nobody waits for that
        reached = []
        while self._marks and self._marks[0][1] <= samples:
            reached.append(self._marks.popleft())
        return reached

    def abandon(self) -> None:
        """Nobody will take the rest."""
        self.abandoned = True
        self._raw, self._play, self._analyse = Fifo(np.int16), Fifo(np.int16), Fifo(np.float32)
        self._marks.clear()
