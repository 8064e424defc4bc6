"""Sentences with known phoneme times, spoken by voices that the network was not trained on."""

import io
import json
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from avatar.engines.viseme.phonemes import Segment

DATA = Path(__file__).resolve().parents[1] / "data"
VOICES = ("espeak", "flite")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as a file, as samples, and as it was spoken."""

    wav: bytes
    rate_hz: int
    samples: NDArray[np.float32]
    """Shapes: (N,), in [-1, 1]."""
    segments: list[Segment]


def sentence(voice: str = VOICES[0], longest_s: float = 60.0) -> Sentence:
    """A held-out sentence, or its beginning."""
    truth = json.loads((DATA / f"sentence-{voice}.json").read_text("utf-8"))
    with wave.open(str(DATA / f"sentence-{voice}.wav"), "rb") as reader:
        rate_hz = reader.getframerate()
        data = reader.readframes(min(reader.getnframes(), int(longest_s * rate_hz)))
    segments = [Segment(start, end, viseme, phoneme) for start, end, viseme, phoneme, *_ in truth["segments"]]
    spoken = [segment for segment in segments if segment.start_s < longest_s]
    samples = np.frombuffer(data, "<i2").astype(np.float32) / 32768
    return Sentence(wav_file(data, rate_hz), rate_hz, samples, spoken)


def wav_file(data: bytes, rate_hz: int) -> bytes:
    """A WAV file of 16-bit mono samples."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(data)
    return file.getvalue()
