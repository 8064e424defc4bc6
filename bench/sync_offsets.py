"""How far sound and lips are apart in what an observer got. Pure, but for the decoding.

By content: when the lips part for each burst of sound, both on the sender's clock as its reports tell it (a receiver
shows by that clock). By arrival: how much later pictures come than sound of the same time (what a receiver has to make
good, a few milliseconds a second).
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ
from avatar.prepared import PreparedAvatar
from bench.decoding import Heard, hear
from bench.lip_curves import Lips, read_lips
from bench.observations import Observation, Track, tracks

Curve = NDArray[np.float64]
LOUD: Final = 0.05
"""Amplitude, of 1, at which a burst begins."""
QUIET_S: Final = 0.25
"""Without sound before it; bursts are further apart."""
BEFORE_S: Final = 0.24
AFTER_S: Final = 0.28
OPENED: Final = 0.2
"""The least opening that counts as a burst's."""
LONGEST_STEP_S: Final = 0.05
"""Between the two pictures about a parting: more, and pictures are missing there."""


class Offsets(msgspec.Struct):
    """Of one observer. Units: (seconds of the sender's clock, seconds that lips come after sound)."""

    content: list[tuple[float, float]] = []
    arrival: list[tuple[float, float]] = []
    bursts: int = 0
    """Those heard; the lips of some may have been lost."""


def offsets(seen: Observation, avatar: PreparedAvatar, fps: int) -> Offsets:
    """All that can be told. Errors: ValueError where one of both tracks, or its reports, did not come."""
    sound, pictures = tracks(seen)
    onsets = [sound.ntp_s(time) for time in burst_times(hear(sound))]
    lips = read_lips(pictures, avatar, fps)
    times = np.array([pictures.ntp_s(int(each)) for each in lips.rtp_time])
    parted = [(onset, parting(times, lips.opening, onset)) for onset in onsets]
    content = [(onset, moment - onset) for onset, moment in parted if moment is not None]
    return Offsets(content, arrival_offsets(sound, pictures), len(onsets))


def burst_times(heard: Heard) -> list[int]:
    """RTP times at which sound begins after silence."""
    loud = np.flatnonzero(np.abs(heard.samples) > LOUD)
    if not len(loud):
        return []
    begins = np.concatenate([[True], np.diff(loud) > QUIET_S * AUDIO_HZ])
    return [heard.first_time + int(sample) for sample in loud[begins]]


def parting(times_s: Curve, opening: Curve, onset_s: float) -> float | None:
    """When the lips are half as far open as they will be for the burst at ``onset_s``; None where it was not seen."""
    near = np.flatnonzero((times_s > onset_s - BEFORE_S) & (times_s < onset_s + AFTER_S))
    if len(near) < 3 or opening[near].max() < OPENED:
        return None
    half = opening[near].max() / 2
    above = int(near[np.argmax(opening[near] >= half)])
    below = above - 1
    if above == near[0] or times_s[above] - times_s[below] > LONGEST_STEP_S:
        return None
    part = (half - opening[below]) / (opening[above] - opening[below])
    return float(times_s[below] + part * (times_s[above] - times_s[below]))


def own_partings(lips: Lips, onsets_s: Sequence[float]) -> list[float]:
    """What the engine itself does for each burst of a clip: seconds that the lips come after the sound."""
    found = [(onset, parting(lips.at_s, lips.opening, onset)) for onset in onsets_s]
    return [moment - onset for onset, moment in found if moment is not None]


def arrival_offsets(sound: Track, pictures: Track) -> list[tuple[float, float]]:
    """Second by second, by the medians of both."""
    sounds = _delays([(piece.rtp_time, piece.at_s) for piece in sound.pieces], sound)
    shown = _delays([(unit.rtp_time, unit.at_s) for unit in pictures.units() if unit.whole], pictures)
    both = sorted(sounds.keys() & shown.keys())[1:-1]  # the first and the last are cut
    return [(second + 0.5, float(np.median(shown[second]) - np.median(sounds[second]))) for second in both]


def _delays(times: Sequence[tuple[int, float]], track: Track) -> dict[int, list[float]]:
    """How long after its time on the sender's clock each came (plus a constant, the same for both tracks)."""
    delays: dict[int, list[float]] = {}
    for rtp_time, at_s in times:
        ntp_s = track.ntp_s(rtp_time)
        delays.setdefault(int(ntp_s), []).append(at_s - ntp_s)
    return delays
