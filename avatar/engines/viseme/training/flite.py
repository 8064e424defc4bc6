"""Speech with phoneme times from flite, whose voices derive from recordings of people. A development tool.

Needs the Debian package ``flite``. English only; the phonemes are ARPAbet.
"""

import re
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.phonemes import Segment, segments_of_arpabet

_TIMEOUT_S = 60


def voices() -> list[str]:
    """Those that are installed; none without flite. Asked for another, flite speaks with its first and says nothing."""
    try:
        said = subprocess.run(["flite", "-lv"], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S).stdout
    except (FileNotFoundError, subprocess.CalledProcessError):
        return []
    return said.partition(":")[2].split()


def say(text: str, voice: str, stretch: float = 1.0) -> tuple[int, NDArray[np.float32], list[Segment]]:
    """Sample rate, samples and segments of ``text``; ``stretch`` above 1 is slower.

    Errors: subprocess.CalledProcessError where flite refuses, FileNotFoundError where it is not installed.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        settings = ["-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "-psdur", "-t", text, "-o", str(path)]
        spoken = subprocess.run(
            ["flite", *settings], capture_output=True, text=True, check=True, timeout=_TIMEOUT_S
        ).stdout
        with wave.open(str(path)) as file:
            rate, raw = file.getframerate(), file.readframes(file.getnframes())
    segments: list[Segment] = []
    start_s = 0.0
    for phoneme, end in re.findall(r"(\S+):([\d.]+)", spoken):
        segments += segments_of_arpabet(phoneme, start_s, float(end))
        start_s = float(end)
    return rate, np.asarray(np.frombuffer(raw, np.int16) / 32768, np.float32), segments
