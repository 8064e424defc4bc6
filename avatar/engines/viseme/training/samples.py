"""Recordings made by synthesisers: sentences for the player, and sentences with known phoneme times for the tests.

    python -m avatar.engines.viseme.training.samples assets/speech tests/data

The same programs make the same bytes. The sentences for the tests are in no training set, nor are their voices.
"""

import argparse
import json
import wave
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from avatar.engines.viseme.features import SAMPLE_RATE
from avatar.engines.viseme.phonemes import Segment
from avatar.engines.viseme.training import corpus
from avatar.engines.viseme.training.augment import Utterance
from avatar.engines.viseme.training.espeak import Manner

LEAD_S, TAIL_S = 0.3, 0.4
PEAK = 0.7
"""-3 dBFS: loud enough for a phone's loudspeaker, no clipping behind a lossy codec."""
OPUS_RATE, OPUS_BPS, OPUS_FRAME = 48_000, 32_000, 960
SPEAKER = "flite slt"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sentence that the player offers."""

    id: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Truth:
    """A sentence that the tests measure lips by."""

    id: str
    voice: str
    text: str


SAMPLES = (
    Sample(
        "greeting",
        "Greeting",
        "Hello, I am Nova. Pick a sentence or drop an audio file, and I will say it to you, face to face.",
    ),
    Sample(
        "tongue-twister",
        "Tongue-twister",
        "Peter Piper picked a peck of pickled peppers, but Betty bought a bit of better butter.",
    ),
    Sample(
        "tutor",
        "Tutor",
        "Very good! Now try it once more: move your lips together for the letter b, and open them for a.",
    ),
    Sample(
        "kiosk",
        "Information desk",
        "Welcome to the museum. The main exhibition is on the first floor, next to the coffee bar.",
    ),
    Sample(
        "news",
        "News",
        "Good evening. After a warm and mostly dry week, heavy rain is moving in from the west, "
        "and by Monday morning it will have reached most of the country.",
    ),
)
TRUTHS = (
    Truth(
        "sentence-espeak",
        "en-us+f4",
        "Maybe my mom will pick up the apples, but Bob hopes to jump in the blue boat. "
        "Farmers from five valleys sold plums, lamb and warm bread by the open bridge.",
    ),
    Truth(
        "sentence-flite",
        corpus.HELD_OUT_RECORDED[0],
        "My brother Ben painted a big purple boat. Remember to put the lamp on the table, "
        "because both of our members from Memphis may come by before half past seven.",
    ),
)


def placed(utterance: Utterance) -> Utterance:
    """With a moment of silence around it, at its full level."""
    lead, tail = int(LEAD_S * SAMPLE_RATE), int(TAIL_S * SAMPLE_RATE)
    samples = np.pad(utterance.samples, (lead, tail))
    samples = np.asarray(samples * (PEAK / np.abs(samples).max()), np.float32)
    segments = [s._replace(start_s=s.start_s + LEAD_S, end_s=s.end_s + LEAD_S) for s in utterance.segments]
    before = Segment(0.0, segments[0].start_s, "sil", "")
    after = Segment(segments[-1].end_s, len(samples) / SAMPLE_RATE, "sil", "")
    return Utterance(samples, [before, *segments, after], utterance.voice)


def spoken(text: str, voice: str) -> Utterance:
    """``text`` by a voice of espeak-ng or of ``corpus.RECORDED``."""
    if voice in corpus.RECORDED:
        return placed(corpus.recorded_utterance(text, voice))
    return placed(corpus.espeak_utterance(text, voice, Manner(words_a_minute=150)))


def write_truth(truth: Truth, folder: Path) -> None:
    """A WAV file, and its segments as JSON beside it."""
    utterance = spoken(truth.text, truth.voice)
    with wave.open(str(folder / f"{truth.id}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(_pcm(utterance.samples).tobytes())
    rows = [[round(s.start_s, 4), round(s.end_s, 4), s.viseme, s.phoneme] for s in utterance.segments]
    head = {"text": truth.text, "voice": truth.voice, "seconds": round(len(utterance.samples) / SAMPLE_RATE, 3)}
    lines = ",\n  ".join(json.dumps(row, ensure_ascii=False) for row in rows)
    body = json.dumps(head, ensure_ascii=False)[:-1] + f', "segments": [\n  {lines}\n]}}\n'
    (folder / f"{truth.id}.json").write_text(body, encoding="utf-8")


def write_sample(sample: Sample, folder: Path) -> dict[str, str | float]:
    """An Ogg Opus file; its line of the index."""
    samples = soxr.resample(spoken(sample.text, SPEAKER).samples, SAMPLE_RATE, OPUS_RATE)
    name = f"{sample.id}.ogg"
    _write_opus(_pcm(np.asarray(samples, np.float32)), folder / name)
    seconds = round(len(samples) / OPUS_RATE, 2)
    return {"id": sample.id, "title": sample.title, "text": sample.text, "file": name, "seconds": seconds}


def _pcm(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    return np.asarray(np.clip(np.round(samples * 32767), -32768, 32767), np.int16)


def _write_opus(pcm: NDArray[np.int16], path: Path) -> None:
    with av.open(str(path), "w", format="ogg", options={"fflags": "bitexact"}) as file:
        stream = file.add_stream("libopus", rate=OPUS_RATE, layout="mono", options={"application": "audio"})
        stream.bit_rate = OPUS_BPS
        for start in range(0, len(pcm), OPUS_FRAME):
            frame = av.AudioFrame.from_ndarray(pcm[None, start : start + OPUS_FRAME], format="s16", layout="mono")
            frame.sample_rate, frame.pts = OPUS_RATE, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def main() -> None:
    """Write all recordings."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("speech", type=Path, help="folder of the player's sentences")
    options.add_argument("data", type=Path, help="folder of the tests' sentences")
    chosen = options.parse_args()
    index = [write_sample(sample, chosen.speech) for sample in SAMPLES]
    text = json.dumps(index, indent=2, ensure_ascii=False) + "\n"
    (chosen.speech / "index.json").write_text(text, encoding="utf-8")
    for truth in TRUTHS:
        write_truth(truth, chosen.data)


if __name__ == "__main__":
    main()
