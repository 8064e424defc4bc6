"""Speech with phoneme times from festival: more voices that derive from recordings, in several languages.

A development tool. Needs the Debian packages ``festival``, ``festvox-us-slt-hts``, ``festvox-kdlpc16k``,
``festvox-ca-ona-hts``, ``festvox-czech-dita``, ``-krb``, ``-machac``, ``-ph``, ``festvox-suopuhe-lj``, ``-mv``,
``festvox-italp16k``, ``festvox-itapc16k`` and ``festvox-ru``.
"""

import subprocess
import tempfile
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.phonemes import Segment, segments_of_arpabet, segments_of_visemes

_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class FestivalVoice:
    """What a voice reads and which phonemes it writes."""

    language: str
    """Of our sentences; the Catalan voice reads Spanish ones."""
    encoding: str
    phonemes: dict[str, str] | None
    """Visemes of the phonemes whose names mean something else than in ``_COMMON``; None where it writes ARPAbet."""


_COMMON = {
    phoneme: visemes
    for names, visemes in {
        "# _ pau": "sil",
        "p b m pp bb mm": "PP",
        "f v ff vv": "FF",
        "t d tt dd t~ d~": "DD",
        "k g h x ng N kk gg hh": "kk",
        "s z ss zz": "SS",
        "S Z s~ z~ sh zh sch r~": "CH",
        "c ts dz": "DD SS",
        "c~ tS dZ dz~": "DD CH",
        "n l n~ J L nn ll": "nn",
        "r rr": "RR",
        "a @ aa ae ay": "aa",
        "e E ee ax 7": "E",
        "i j ii": "ih",
        "o O oo": "oh",
        "u w uu ur": "ou",
    }.items()
    for phoneme in names.split()
}
_CZECH = FestivalVoice("cs", "iso-8859-2", {"ch": "kk"})
_FINNISH = FestivalVoice("fi", "iso-8859-1", {"y": "ou", "7": "ou", "j": "ih"})
_ITALIAN = FestivalVoice("it", "iso-8859-1", {})
_AMERICAN = FestivalVoice("en-us", "ascii", None)
VOICES = {
    "cmu_us_slt_arctic_hts": _AMERICAN,
    "ked_diphone": _AMERICAN,
    "czech_dita": _CZECH,
    "czech_krb": _CZECH,
    "czech_machac": _CZECH,
    "czech_ph": _CZECH,
    "suo_fi_lj_diphone": _FINNISH,
    "hy_fi_mv_diphone": _FINNISH,
    "lp_diphone": _ITALIAN,
    "pc_diphone": _ITALIAN,
    "upc_ca_ona_hts": FestivalVoice("es", "iso-8859-1", {}),
    "msu_ru_nsh_clunits": FestivalVoice("ru", "utf-8", {"y": "ih", "yy": "ih", "ch": "DD CH", "j": "ih"}),
}

_SCRIPT = """\
(voice_{voice})
(Parameter.set 'Duration_Stretch {stretch:.2f})
(set! spoken (Utterance Text "{text}"))
(utt.synth spoken)
(utt.save.wave spoken "{folder}/speech.wav" 'riff)
(utt.save.segs spoken "{folder}/speech.lab")
"""


def say(text: str, voice: str, stretch: float = 1.0) -> tuple[int, NDArray[np.float32], list[Segment]]:
    """Sample rate, samples and segments of ``text``; ``stretch`` above 1 is slower.

    Errors: subprocess.CalledProcessError where festival fails, FileNotFoundError where it is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        speakable = text.replace('"', "").replace("\\", "")
        script = _SCRIPT.format(voice=voice, stretch=stretch, text=speakable, folder=folder)
        path = Path(folder) / "speech.scm"
        path.write_bytes(script.encode(VOICES[voice].encoding, "replace"))
        subprocess.run(["festival", "--batch", str(path)], capture_output=True, check=True, timeout=_TIMEOUT_S)
        with wave.open(f"{folder}/speech.wav") as file:
            rate, raw = file.getframerate(), file.readframes(file.getnframes())
        labels = Path(f"{folder}/speech.lab").read_text(encoding="latin-1").splitlines()
    segments: list[Segment] = []
    start_s = 0.0
    for line in labels[1:]:
        end, _, phoneme = line.split()
        if float(end) > start_s:
            segments += _segments_of(phoneme, voice, start_s, float(end))
            start_s = float(end)
    return rate, np.asarray(np.frombuffer(raw, np.int16) / 32768, np.float32), segments


def _segments_of(phoneme: str, voice: str, start_s: float, end_s: float) -> list[Segment]:
    own = VOICES[voice].phonemes
    if own is None:
        return segments_of_arpabet(phoneme, start_s, end_s)
    name = phoneme.rstrip("0123456789:*") or phoneme
    visemes = own.get(name) or _COMMON.get(name, "kk")
    return segments_of_visemes(visemes.split(), phoneme, start_s, end_s)
