"""Media for a scripted server: a small picture and a tone to send, and an ear for what a browser sends."""

import asyncio
from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Final

import av
import numpy as np
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

HEARD_FRAMES: Final = 25
"""Half a second: what the ear judges loudness by."""


class Picture(MediaStreamTrack):
    """A small moving picture, 10 a second."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.1)
        self.count += 1
        pixels = np.full((180, 320, 3), (120, 150, 190), np.uint8)
        pixels[60:120, self.count % 260 : self.count % 260 + 60] = 240
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = self.count * 9000, Fraction(1, 90000)
        return frame


class Tone(MediaStreamTrack):
    """Silence, or a tone while ``loud`` says so."""

    kind = "audio"

    def __init__(self, loud: Callable[[], bool]) -> None:
        super().__init__()
        self.count = 0
        self.loud = loud

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await asyncio.sleep(0.02)
        times = (np.arange(960) + self.count) / 48000
        samples = (np.sin(2 * np.pi * 440 * times) * 8000 * self.loud()).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, self.count, Fraction(1, 48000)
        self.count += 960
        return frame


class Ear:
    """Listens to a track for as long as it lasts."""

    def __init__(self) -> None:
        self.frames = 0
        self._loudness: deque[float] = deque(maxlen=HEARD_FRAMES)

    @property
    def loudness(self) -> float:
        """Of the last half second, 0 to 1; 0 while nothing came."""
        return max(self._loudness, default=0.0)

    @property
    def silent(self) -> bool:
        """Whether half a second came, all of it silence."""
        return len(self._loudness) == HEARD_FRAMES and self.loudness < 0.001

    async def listen(self, track: MediaStreamTrack) -> None:
        """Ends with the track."""
        try:
            while True:
                frame = await track.recv()
                samples = frame.to_ndarray().astype(np.float32) / 32768
                self.frames += 1
                self._loudness.append(float(np.sqrt(np.mean(samples**2))))
        except MediaStreamError:
            return
