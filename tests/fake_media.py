"""What the pretended worker shows and plays: pictures that say which frame they are, and a tone; encoded once a run."""

from fractions import Fraction
from functools import cache

import av
import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, Codec, idle_grid

SIZE = (160, 128)
BITS = 8
LOOP_S = 2
IDLE_LUMA, SHUT_LUMA, SPEAKING_LUMA = 60, 150, 220
SPEECH_MAGIC = b"SAY "
"""The fake's audio format: this, then how many frames it lasts, in decimal."""


def draw(frame: int, luma: int) -> NDArray[np.uint8]:
    """A picture that says which frame it is: I420, one light or dark bar a bit in its upper half; below it, ``luma``.

    Shapes: (height * 3 // 2, width).
    """
    width, height = SIZE
    picture = np.full((height * 3 // 2, width), 128, np.uint8)
    picture[:height] = luma
    bar = width // BITS
    for bit in range(BITS):
        picture[: height // 2, bit * bar : (bit + 1) * bar] = 235 if frame >> bit & 1 else 16
    return picture


def read(luma: NDArray[np.uint8]) -> tuple[int, bool, bool]:
    """The frame number in a decoded picture, whether it is of a live stretch, and whether somebody speaks in it.

    Shapes: (height, width).
    """
    height, width = luma.shape
    bars = luma[height // 8 : height // 4, : width // BITS * BITS].reshape(-1, BITS, width // BITS)
    means = bars.mean(axis=(0, 2))
    number, light = sum(int(mean > 128) << bit for bit, mean in enumerate(means)), luma[height * 3 // 4 :].mean()
    return number, bool(light > (IDLE_LUMA + SHUT_LUMA) / 2), bool(light > (SHUT_LUMA + SPEAKING_LUMA) / 2)


class PictureEncoder:
    """One running H.264 or VP8 encoder."""

    def __init__(self, codec: Codec, fps: int) -> None:
        h264 = codec is Codec.H264
        self._encoder = av.CodecContext.create("libx264" if h264 else "libvpx", "w")
        self._encoder.width, self._encoder.height = SIZE
        self._encoder.pix_fmt = "yuv420p"
        self._encoder.time_base = Fraction(1, fps)
        self._encoder.framerate = Fraction(fps, 1)
        self._encoder.bit_rate = 400_000
        self._encoder.thread_count = 1
        self._encoder.gop_size = 10_000
        quick = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "forced-idr": "1"}
        self._encoder.options = quick if h264 else {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        self._count = 0

    def encode(self, picture: NDArray[np.uint8], keyframe: bool) -> bytes:
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, self._count = self._count, self._count + 1
        frame.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        return b"".join(bytes(packet) for packet in self._encoder.encode(frame))


@cache
def idle_units(codec: Codec, fps: int, phase: int) -> list[bytes]:
    """One phase of the idle loop; its pictures carry their place in the loop."""
    encoder, length, first = PictureEncoder(codec, fps), LOOP_S * fps, phase * idle_grid(fps)
    return [encoder.encode(draw((first + at) % length, IDLE_LUMA), at % fps == 0) for at in range(length)]


@cache
def opus_packets(live: bool) -> list[bytes]:
    """Two seconds of 20 ms packets: silence, or a tone."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = AUDIO_HZ, "mono", "s16", 32_000
    packets: list[bytes] = []
    for at in range(102):
        samples = np.arange(at * OPUS_SAMPLES, (at + 1) * OPUS_SAMPLES) / AUDIO_HZ
        tone = (np.sin(2 * np.pi * 500 * samples) * 12_000 * live).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(tone[None, :], format="s16", layout="mono")
        frame.sample_rate, frame.pts = AUDIO_HZ, at * OPUS_SAMPLES
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets[1:101]


def speech(frames: int) -> bytes:
    """A file that the fake speaks for so many frames."""
    return SPEECH_MAGIC + str(frames).encode()
