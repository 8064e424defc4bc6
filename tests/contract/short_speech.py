"""Speech to upload: seconds of a sentence, and what is no speech at all."""

import io
import wave
from pathlib import Path
from typing import Final

SENTENCE: Final = Path(__file__).resolve().parents[1] / "data" / "sentence-espeak.wav"
NOT_AUDIO: Final = b"This is no sound, whatever its name says.\n" * 40


def spoken(seconds: float) -> bytes:
    """A WAV file with the beginning of a sentence."""
    file = io.BytesIO()
    with wave.open(str(SENTENCE), "rb") as reader, wave.open(file, "wb") as writer:
        writer.setparams(reader.getparams())
        writer.writeframes(reader.readframes(round(seconds * reader.getframerate())))
    return file.getvalue()
