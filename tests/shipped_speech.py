"""The sentences that ship with the program, as an engine hears them."""

import json
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parents[1] / "assets" / "speech"
SHIPPED = tuple(each["id"] for each in json.loads((FOLDER / "index.json").read_text("utf-8")))


@cache
def shipped_speech(name: str) -> NDArray[np.float32]:
    """Shapes: (n,), 16 kHz, in [-1, 1]."""
    resampler = av.AudioResampler(format="flt", layout="mono", rate=16_000)
    pieces = []
    with av.open(str(FOLDER / f"{name}.ogg")) as container:
        for frame in (*container.decode(audio=0), None):
            pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    return np.concatenate(pieces)
