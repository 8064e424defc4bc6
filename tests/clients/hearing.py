"""How much of a sentence is in what a viewer has heard.

Pieces of it are looked for one by one: a publisher's clock may be off, and a lost packet moves what comes after it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tests.clients.recording_viewer import AUDIO_HZ, Viewer
from tests.clients.speech_files import Sentence

PIECE_S = 0.25
ALIKE = 0.5
"""Normalised correlation from which a piece counts as found. Measured: 0.7 to 0.97 where it was said, and mostly below
0.3 with another sentence's pieces."""
QUIET = 0.005
"""Level below which a piece of the sentence is a pause. Units: root mean square, of 1."""

Samples = NDArray[np.float64]


def part_heard(viewer: Viewer, sentence: Sentence) -> float:
    """The part of the sentence's pieces that were heard, pauses left out."""
    heard = viewer.samples()[1].astype(np.float64)
    times = np.arange(int(len(sentence.samples) * AUDIO_HZ / sentence.rate_hz)) / AUDIO_HZ
    said = np.interp(times, np.arange(len(sentence.samples)) / sentence.rate_hz, sentence.samples)
    length = int(PIECE_S * AUDIO_HZ)
    pieces = [said[start : start + length] for start in range(0, len(said) - length + 1, length)]
    spoken = [piece for piece in pieces if np.sqrt(np.mean(piece**2)) > QUIET]
    return float(np.mean(likeness(heard, spoken) > ALIKE))


def likeness(heard: Samples, pieces: Sequence[Samples]) -> Samples:
    """Each piece's best normalised correlation with any place of what was heard; 1 where it is the same.

    Shapes: (pieces,). All pieces are of one length.
    """
    length = len(pieces[0])
    size = 1 << (len(heard) + length).bit_length()
    spectrum = np.fft.rfft(heard, size)
    energies = np.concatenate([[0.0], np.cumsum(heard**2)])
    energy = energies[length:] - energies[:-length]
    best = []
    for piece in pieces:
        own = float(np.sum(piece**2))
        products = np.fft.irfft(spectrum * np.conj(np.fft.rfft(piece, size)), size)[: len(energy)]
        best.append(np.max(products / np.sqrt(own * (energy + 0.01 * own))))  # the floor: no noise counts in silence
    return np.array(best)
