"""Reading lips off a recording of a stream and holding them against what was said, on the sender's clock.

Where the sentence begins is found in the sound that was received; when each picture was, from the video's own sender
reports. Nothing that the server says about its timing is taken for true.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.parameters import gap
from avatar.engines.viseme.phonemes import Segment, trajectory
from bench.whip_analysis import find
from tests.clients.picture_steps import Aligned
from tests.clients.recording_viewer import AUDIO_HZ, Track
from tests.clients.speech_files import Sentence

CLOSED = 0.1
"""Opening below which lips count as closed; the widest is 1."""
MARGIN_S = 0.02
FOUND = 0.8
"""Part of a sentence's seconds that must be found in the sound."""
LAGS_S = np.arange(-0.3, 0.3005, 0.005)

Curve = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reading:
    """How well lips and sound went together."""

    correlation: float
    """Of the opening with the truth, at the times that the viewer was told."""
    closed: float
    """The part of all p, b, m in which the lips were seen closed."""
    closures: int
    offset_s: float
    """By how much the lips come after the sound."""


class Recorded(Protocol):
    """What a viewer got."""

    @property
    def video(self) -> Track:
        """The pictures' clock."""
        ...

    @property
    def audio(self) -> Track:
        """The sound's clock."""
        ...

    def samples(self) -> tuple[int, NDArray[np.float32]]:
        """The sound in one piece: (RTP time of its first sample, samples in [-1, 1])."""
        ...


def begins_at(viewer: Recorded, sentence: Sentence) -> float:
    """When the sentence's first sample was, in the sound received. Units: seconds on the sender's clock.

    Looked for second by second, since a jitter buffer may shorten a live voice by some milliseconds on the way; the
    middle of what they say counts. Errors: AssertionError where a fifth of the seconds are not there.
    """
    first, heard = viewer.samples()
    count = len(sentence.samples) * AUDIO_HZ // sentence.rate_hz
    wanted = np.interp(
        np.arange(count) / AUDIO_HZ, np.arange(len(sentence.samples)) / sentence.rate_hz, sentence.samples
    ).astype(np.float32)
    starts = range(0, count - AUDIO_HZ + 1, AUDIO_HZ)
    places = [(start, find(heard, wanted[start : start + AUDIO_HZ])) for start in starts]
    offsets = [place - start for start, place in places if place is not None]
    assert len(offsets) >= FOUND * len(places), f"the sentence is not in the sound: {places}"
    return viewer.audio.ntp_s(first + int(np.median(offsets)))


def read_lips(aligned: Aligned, viewer: Recorded, sentence: Sentence) -> Reading:
    """Measure every picture from the sentence's start to its end."""
    start_s = begins_at(viewer, sentence)
    times, openings = [], []
    length_s = len(sentence.samples) / sentence.rate_hz
    for position, picture in enumerate(aligned.pictures):
        time_s = viewer.video.ntp_s(picture.rtp_time) - start_s
        if -LAGS_S[-1] <= time_s <= length_s + LAGS_S[-1]:
            times.append(time_s)
            openings.append(mouth_opening(picture.i420(), aligned.reference.avatar.state, aligned.index(position)))
    at, seen = np.array(times), np.array(openings)
    correlations = [correlation(seen, truth(sentence, at - lag)) for lag in LAGS_S]
    least = least_openings(sentence.segments, at, seen)
    return Reading(
        correlation=correlation(seen, truth(sentence, at)),
        closed=float(np.mean(np.array(least) < CLOSED)),
        closures=len(least),
        offset_s=float(LAGS_S[int(np.argmax(correlations))]),
    )


def truth(sentence: Sentence, times_s: Curve) -> Curve:
    """The lip opening that the phonemes ask for."""
    return gap(trajectory(sentence.segments, times_s)).astype(np.float64)


def correlation(one: Curve, other: Curve) -> float:
    """Pearson's r."""
    return float(np.corrcoef(one, other)[0, 1])


def least_openings(segments: Sequence[Segment], times_s: Curve, seen: Curve) -> list[float]:
    """The least opening seen within each p, b, m."""
    least = []
    for segment in segments:
        if segment.viseme == "PP":
            within = (times_s >= segment.start_s - MARGIN_S) & (times_s <= segment.end_s + MARGIN_S)
            if within.any():
                least.append(float(seen[within].min()))
    return least
