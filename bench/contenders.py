"""Picture encoders side by side: this server's, and those that aiortc gives every viewer of its own.

Each picture goes through all of them in turn, so that whatever else the machine does is shared fairly. What they made
is decoded again and compared with the picture: an encoder that is quick because its pictures are bad is seen.
"""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final

import av
import numpy as np
from aiortc.codecs.base import Encoder
from aiortc.codecs.h264 import H264Encoder, h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from av.codec.context import Flags
from numpy.typing import NDArray

from avatar.encode import PictureEncoder
from avatar.messages import VIDEO_HZ, Codec, VideoFormat

PEAK: Final = 255.0
DECODERS: Final = {Codec.H264: "h264", Codec.VP8: "vp8"}

EncodePicture = Callable[[NDArray[np.uint8], int], object]
"""Takes a picture and its frame number; what it gives is turned to bytes outside of the time that is measured."""


class Watch:
    """Processor time of this process, all its threads: what others on the machine do does not count."""

    def __init__(self) -> None:
        self._began_ns = time.process_time_ns()

    def ms(self) -> float:
        """Milliseconds since the watch was made."""
        return (time.process_time_ns() - self._began_ns) / 1e6


@dataclass(slots=True)
class Quality:
    """How near decoded pictures are to those that were encoded; brightness only."""

    codec: Codec
    squares: float = 0.0
    samples: int = 0
    _decoder: av.VideoCodecContext = field(init=False)
    _waiting: deque[NDArray[np.uint8]] = field(default_factory=deque)

    def __post_init__(self) -> None:
        decoder = av.CodecContext.create(DECODERS[self.codec], "r")
        assert isinstance(decoder, av.VideoCodecContext)
        decoder.thread_count = 1
        decoder.flags |= Flags.low_delay
        self._decoder = decoder

    def compare(self, luma: NDArray[np.uint8], data: bytes) -> None:
        """Decode a unit and compare it with its picture. Shapes: luma (height, width)."""
        self._waiting.append(luma.copy())
        for frame in self._decoder.decode(av.Packet(data)):
            shown = frame.to_ndarray()[: frame.height]
            error = shown.astype(np.int32) - self._waiting.popleft()
            self.squares += float(np.vdot(error, error))
            self.samples += error.size

    @property
    def psnr_db(self) -> float:
        """Peak signal-to-noise ratio over all pictures."""
        return float(10 * np.log10(PEAK**2 * self.samples / self.squares)) if self.squares else float("inf")


class Contender:
    """One encoder, the time it took and what it made of it."""

    def __init__(self, codec: Codec, encode: EncodePicture, to_bytes: Callable[[object], bytes]) -> None:
        self.codec = codec
        self.costs_ms: list[float] = []
        self.made_bytes = 0
        self._encode, self._to_bytes = encode, to_bytes
        self._quality = Quality(codec)

    def take(self, picture: NDArray[np.uint8], frame: int, *, counted: bool) -> float:
        """Encode a picture; the milliseconds it took, kept where they count.

        Shapes: picture (height * 3 // 2, width).
        """
        watch = Watch()
        made = self._encode(picture, frame)
        cost_ms = watch.ms()
        data = self._to_bytes(made)
        self._quality.compare(picture[: picture.shape[0] * 2 // 3], data)
        if counted:
            self.costs_ms.append(cost_ms)
            self.made_bytes += len(data)
        return cost_ms

    @property
    def psnr_db(self) -> float:
        """Of all pictures, in brightness."""
        return self._quality.psnr_db


def ours(codec: Codec, shape: VideoFormat, *, quick: bool = False) -> Contender:
    """The encoder of a live stream, one for all its viewers; ``quick``: where there are too many streams."""
    encoder = PictureEncoder(codec, shape, quick=quick)

    def encode(picture: NDArray[np.uint8], frame: int) -> object:
        return encoder.encode(picture, frame, keyframe=frame == 0).data

    return Contender(codec, encode, _as_bytes)


def theirs(codec: Codec, shape: VideoFormat) -> Contender:
    """The encoder that aiortc runs for each viewer, told to aim at the same bitrate. It cuts RTP payloads, too."""
    encoder: Encoder = H264Encoder() if codec is Codec.H264 else Vp8Encoder()
    encoder.target_bitrate = shape.bitrate_bps  # type: ignore[attr-defined]  # both have it, their base has not
    depayload = h264_depayload if codec is Codec.H264 else vp8_depayload
    ticks = VIDEO_HZ // shape.fps

    def encode(picture: NDArray[np.uint8], frame: int) -> object:
        # as cheap as ours: the picture is lent, not copied
        video = av.VideoFrame.from_numpy_buffer(picture, format="yuv420p")
        video.pts, video.time_base = frame * ticks, Fraction(1, VIDEO_HZ)
        return encoder.encode(video, frame == 0)[0]

    def to_bytes(payloads: object) -> bytes:
        assert isinstance(payloads, list)
        return b"".join(depayload(payload) for payload in payloads)

    return Contender(codec, encode, to_bytes)


def _as_bytes(data: object) -> bytes:
    assert isinstance(data, bytes)
    return data
