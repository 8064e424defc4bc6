"""Timed phonemes to mouth trajectories: the truth that the network learns and the tests measure against.

A phoneme becomes one of fifteen visemes, or two where it glides. A viseme has a pose of the mouth, and for each
parameter a dominance: how strongly it insists on its own value against its neighbours'. The trajectory is the average
of the poses weighted by dominance, which fades with the distance in time, so that sounds colour each other as in
speech: a bilabial seals the lips and takes its jaw from the vowels around it.

Source: Cohen and Massaro, "Modeling coarticulation in synthetic visual speech" (1993).
"""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.parameters import JAW, NEUTRAL, PARAMETERS

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "ih", "oh", "ou")
VOWELS = frozenset({"aa", "E", "ih", "oh", "ou"})
_LONG_ARPABET = frozenset({"aa", "ae", "ao", "ay", "aw", "ey", "iy", "ow"})


class Segment(NamedTuple):
    """A stretch of speech with one viseme. Units: seconds."""

    start_s: float
    end_s: float
    viseme: str
    phoneme: str
    """As the synthesiser wrote it: ``ˈaɪ``, ``ay``, ``a1``."""

    @property
    def stressed(self) -> bool:
        """Whether a vowel is one that opens the mouth fully."""
        return "ˈ" in self.phoneme or self.phoneme.endswith((":", "1")) or self.phoneme in _LONG_ARPABET


POSES: dict[str, NDArray[np.float32]] = {
    viseme: np.array(pose, np.float32)
    for viseme, pose in {
        # jaw, wide, round, press, bite, teeth, tongue
        "sil": (0.00, 0.10, 0.00, 0.0, 0.0, 0.0, 0.0),
        "PP": (0.00, 0.10, 0.10, 1.0, 0.0, 0.0, 0.0),
        "FF": (0.12, 0.20, 0.00, 0.0, 1.0, 0.2, 0.0),
        "TH": (0.22, 0.25, 0.00, 0.0, 0.0, 0.3, 1.0),
        "DD": (0.22, 0.30, 0.00, 0.0, 0.0, 0.5, 0.6),
        "kk": (0.28, 0.25, 0.00, 0.0, 0.0, 0.2, 0.0),
        "CH": (0.20, 0.00, 0.60, 0.0, 0.0, 0.9, 0.1),
        "SS": (0.14, 0.45, 0.00, 0.0, 0.0, 1.0, 0.1),
        "nn": (0.22, 0.25, 0.00, 0.0, 0.0, 0.3, 0.8),
        "RR": (0.25, 0.05, 0.45, 0.0, 0.0, 0.3, 0.2),
        "aa": (1.00, 0.25, 0.00, 0.0, 0.0, 0.0, 0.0),
        "E": (0.60, 0.60, 0.00, 0.0, 0.0, 0.0, 0.0),
        "ih": (0.32, 0.85, 0.00, 0.0, 0.0, 0.2, 0.0),
        "oh": (0.65, 0.00, 0.65, 0.0, 0.0, 0.0, 0.0),
        "ou": (0.28, 0.00, 1.00, 0.0, 0.0, 0.0, 0.0),
    }.items()
}

_DOMINANCE_OF_VOWEL = (1.6, 1.2, 1.6, 4.0, 4.0, 2.0, 1.5)
_DOMINANCE: dict[str, tuple[float, ...]] = {
    # jaw, wide, round, press, bite, teeth, tongue
    "sil": (1.0, 0.7, 0.8, 0.8, 2.0, 2.0, 2.0),
    "PP": (0.25, 0.3, 0.3, 14.0, 5.0, 6.0, 2.0),  # seals the lips whatever stands beside; the jaw is free
    "FF": (2.5, 0.4, 0.5, 5.0, 12.0, 3.0, 2.0),
    "TH": (0.8, 0.4, 0.4, 3.0, 3.0, 2.0, 5.0),
    "DD": (0.7, 0.35, 0.35, 3.0, 3.0, 1.2, 3.0),
    "kk": (0.35, 0.25, 0.25, 3.0, 3.0, 0.6, 1.0),  # made far back: the lips belong to the vowels
    "CH": (2.0, 0.8, 1.2, 4.0, 4.0, 6.0, 1.0),
    "SS": (2.0, 0.8, 0.6, 4.0, 4.0, 6.0, 1.0),
    "nn": (0.7, 0.35, 0.35, 3.0, 3.0, 1.2, 3.0),
    "RR": (0.7, 0.6, 0.8, 3.0, 3.0, 1.0, 1.0),
}
_REACH_OF_LABIAL_S, _REACH_OF_CONSONANT_S, _REACH_OF_VOWEL_S = 0.045, 0.055, 0.07

_IPA: dict[str, str] = {
    letter: viseme
    for viseme, letters in {
        "PP": "pbmɓʙɸβ",
        "FF": "fvɱʋ",
        "TH": "θð",
        "DD": "tdʈɖɗ",
        "kk": "kɡgqɢxɣχʁħʕhɦŋɴcɟçʝʔʀɠ",
        "CH": "ʃʒʂʐɕʑ",
        "SS": "sz",
        "nn": "nlɲɳɭʎɬɮɫʟ",
        "RR": "rɹɾɽɻɚɝ",
        "aa": "aɑɐɒʌæɶ",
        "E": "eɛəɜɘɞœɤ",
        "ih": "iɪɨjɯʲ",
        "oh": "oɔ",
        "ou": "uʊʉwyøɥʏɵ",
    }.items()
    for letter in letters
}
_ARPABET: dict[str, tuple[str, ...]] = {
    phoneme: tuple(visemes.split())
    for phoneme, visemes in {
        **dict.fromkeys(("p", "b", "m", "em"), "PP"),
        **dict.fromkeys(("f", "v"), "FF"),
        **dict.fromkeys(("th", "dh"), "TH"),
        **dict.fromkeys(("t", "d", "dx"), "DD"),
        **dict.fromkeys(("k", "g", "ng", "hh", "hv", "h"), "kk"),
        **dict.fromkeys(("ch", "jh"), "DD CH"),
        **dict.fromkeys(("sh", "zh"), "CH"),
        **dict.fromkeys(("s", "z"), "SS"),
        **dict.fromkeys(("n", "nx", "en", "l", "el"), "nn"),
        **dict.fromkeys(("r", "er", "axr"), "RR"),
        **dict.fromkeys(("aa", "ae", "ah"), "aa"),
        **dict.fromkeys(("ax", "eh"), "E"),
        **dict.fromkeys(("ih", "iy", "y", "ix"), "ih"),
        **dict.fromkeys(("uh", "uw", "w", "ux"), "ou"),
        "ao": "oh",
        "aw": "aa ou",
        "ay": "aa ih",
        "ey": "E ih",
        "ow": "oh ou",
        "oy": "oh ih",
    }.items()
}


def segments_of_ipa(phoneme: str, start_s: float, end_s: float) -> list[Segment]:
    """The segments of one IPA phoneme as espeak-ng writes it (``ˈaɪ``, ``tʃ``).

    No sound is silence; an unknown one is taken for one that leaves the lips alone.
    """
    visemes: list[str] = []
    for letter in unicodedata.normalize("NFD", phoneme):
        viseme = _IPA.get(letter)
        if viseme and visemes[-1:] != [viseme]:
            visemes.append(viseme)
    return segments_of_visemes(visemes[:3] or ["kk" if phoneme.strip("ˈˌː") else "sil"], phoneme, start_s, end_s)


def segments_of_arpabet(phoneme: str, start_s: float, end_s: float) -> list[Segment]:
    """The segments of one ARPAbet phoneme as flite and festival write it; pauses are silence."""
    visemes = _ARPABET.get(phoneme.lower(), ("sil",))
    return segments_of_visemes(visemes, phoneme, start_s, end_s)


def segments_of_visemes(visemes: Sequence[str], phoneme: str, start_s: float, end_s: float) -> list[Segment]:
    """One phoneme's segments, of equal length."""
    edges = np.linspace(start_s, end_s, len(visemes) + 1).tolist()
    return [Segment(edges[i], edges[i + 1], viseme, phoneme) for i, viseme in enumerate(visemes)]


def read_segments(path: Path) -> list[Segment]:
    """The truth beside a recording: ``segments`` of a JSON file, each ``[start_s, end_s, viseme, phoneme]``."""
    return [Segment(*row) for row in json.loads(path.read_text(encoding="utf-8"))["segments"]]


def trajectory(segments: Sequence[Segment], times_s: NDArray[np.float64]) -> NDArray[np.float32]:
    """The mouth at each of the times, coarticulation and anticipation included.

    Shapes: (T,) -> (T, 7).
    """
    weighted = np.tile(1e-6 * NEUTRAL.astype(np.float64), (len(times_s), 1))
    weight = np.full((len(times_s), len(PARAMETERS)), 1e-6)
    for segment in segments:
        dominance = _dominance(segment, times_s)  # (T, 7)
        weighted += dominance * _pose(segment)
        weight += dominance
    return np.asarray(weighted / weight, np.float32)


def viseme_indices(segments: Sequence[Segment], times_s: NDArray[np.float64]) -> NDArray[np.int64]:
    """Which viseme sounds at each of the times, as an index into ``VISEMES``; 0 outside all segments."""
    indices = np.zeros(len(times_s), np.int64)
    for segment in segments:
        indices[(times_s >= segment.start_s) & (times_s < segment.end_s)] = VISEMES.index(segment.viseme)
    return indices


def _dominance(segment: Segment, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    length_s = segment.end_s - segment.start_s
    margin_s = min(0.06, 0.4 * length_s) if segment.viseme == "sil" else 0.25 * length_s
    before_s, after_s = segment.start_s + margin_s - times_s, times_s - (segment.end_s - margin_s)
    distance_s = np.maximum(np.maximum(before_s, after_s), 0)
    fading = np.exp(-((distance_s / _reach_s(segment.viseme)) ** 1.5))
    insistence = np.array(_DOMINANCE.get(segment.viseme, _DOMINANCE_OF_VOWEL))
    return np.asarray(fading[:, None] * insistence, np.float64)


def _reach_s(viseme: str) -> float:
    if viseme in ("PP", "FF"):
        return _REACH_OF_LABIAL_S
    return _REACH_OF_VOWEL_S if viseme in VOWELS or viseme == "sil" else _REACH_OF_CONSONANT_S


def _pose(segment: Segment) -> NDArray[np.float32]:
    """The viseme's pose; a stressed or long vowel opens the jaw further."""
    pose = POSES[segment.viseme].copy()
    if segment.viseme in VOWELS:
        length = 0.75 + 0.25 * min(1.0, (segment.end_s - segment.start_s) / 0.09)
        pose[JAW] = min(1.0, pose[JAW] * (1.1 if segment.stressed else 0.85) * length)
    return pose
