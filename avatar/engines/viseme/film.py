"""Pictures to films on disk: H.264 and VP9, colours flagged BT.601 limited, as every picture here is."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

_SMPTE170M = 6  # AVCOL_*_SMPTE170M: BT.601 in H.273's numbers
_LIMITED = 1  # AVCOL_RANGE_MPEG


def write_film(
    path: Path, pictures: Iterable[NDArray[np.uint8]], fps: int, codec: str, options: dict[str, str]
) -> None:
    """Encode I420 pictures. Shapes: each (height * 3 // 2, width). The same pictures give the same bytes."""
    container_options = {"movflags": "+faststart"} if path.suffix == ".mp4" else {}
    with av.open(str(path), "w", options={**container_options, "fflags": "+bitexact"}) as container:
        stream: VideoStream | None = None
        for picture in pictures:
            if stream is None:
                stream = _stream(container, picture, fps, codec, options)
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            container.mux(stream.encode(frame))
        if stream is not None:
            container.mux(stream.encode(None))


def _stream(
    container: av.container.OutputContainer, picture: NDArray[np.uint8], fps: int, codec: str, options: dict[str, str]
) -> VideoStream:
    stream = container.add_stream(codec, rate=fps, options=options)
    if not isinstance(stream, VideoStream):
        raise TypeError(f"{codec} is no video codec")
    stream.width, stream.height = picture.shape[1], picture.shape[0] * 2 // 3
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = Fraction(1, fps)
    context.thread_count = 2
    context.color_range = _LIMITED
    context.colorspace = context.color_primaries = context.color_trc = _SMPTE170M
    return stream


def to_i420(picture: NDArray[np.float32]) -> NDArray[np.uint8]:
    """RGB to planar YUV 4:2:0, BT.601 limited range. Shapes: (H, W, 3) 0..255 -> (H * 3 // 2, W)."""
    height, width = picture.shape[:2]
    r, g, b = (np.clip(picture[..., i], 0, 255) / 255 for i in range(3))
    luma = 16 + 65.481 * r + 128.553 * g + 24.966 * b
    cb, cr = 128 - 37.797 * r - 74.203 * g + 112.0 * b, 128 + 112.0 * r - 93.786 * g - 18.214 * b
    halves = [chroma.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)).ravel() for chroma in (cb, cr)]
    flat = np.concatenate([luma.ravel(), *halves])
    return np.asarray(np.rint(flat).reshape(height * 3 // 2, width), np.uint8)
