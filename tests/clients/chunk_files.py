"""Chunk files that show which they are: fragmented MP4, each of one grey, brighter than the one before."""

import io
from collections.abc import Sequence

import av
import numpy as np

FPS = 25
AUDIO_HZ = 48_000
SIZE = (320, 180)
DARKEST, STEP = 40, 24
"""Luma of the first chunk, and by how much each is brighter than the one before."""
FLAGS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}


def luma_of(index: int) -> int:
    """The grey of a chunk."""
    return DARKEST + STEP * index


def chunk_file(index: int, seconds: float = 0.4) -> bytes:
    """One chunk with a tone; its own time begins at 0."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options=FLAGS) as container:
        video = container.add_stream("libx264", FPS, options={"preset": "ultrafast", "tune": "zerolatency"})
        video.width, video.height, video.pix_fmt, video.profile = *SIZE, "yuv420p", "Baseline"
        sound = container.add_stream("aac", AUDIO_HZ, layout="mono")
        picture = np.full((SIZE[1] * 3 // 2, SIZE[0]), 128, np.uint8)
        picture[: SIZE[1]] = luma_of(index)
        for number in range(round(seconds * FPS)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts = number
            container.mux(video.encode(frame))
        tone = np.sin(np.arange(round(seconds * AUDIO_HZ)) * (0.03 + 0.01 * index)).astype(np.float32)[None] * 0.2
        heard = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        heard.sample_rate, heard.pts = AUDIO_HZ, 0
        container.mux([*sound.encode(heard), *video.encode(), *sound.encode()])
    return file.getvalue()


def chunk_files(count: int, seconds: float = 0.4) -> Sequence[bytes]:
    """The chunks of one utterance."""
    return [chunk_file(index, seconds) for index in range(count)]
