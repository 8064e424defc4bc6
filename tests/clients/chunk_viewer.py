"""Chunks as a browser decodes them: appended one after the other, on one clock, with one decoder a track."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
import numpy as np
from av import AudioFrame, VideoFrame
from av.codec import CodecContext
from numpy.typing import NDArray

from tests.clients.recording_viewer import AUDIO_HZ, VIDEO_HZ, Picture, Track


@dataclass(slots=True)
class ChunkViewer:
    """What was decoded. Both clocks begin with the first chunk."""

    video: Track = field(default_factory=lambda: Track(VIDEO_HZ, reports=[(0.0, 0)]))
    audio: Track = field(default_factory=lambda: Track(AUDIO_HZ, reports=[(0.0, 0)]))
    pictures: list[Picture] = field(default_factory=list)
    sound: list[NDArray[np.float32]] = field(default_factory=list)
    seconds: float = 0.0

    def samples(self) -> tuple[int, NDArray[np.float32]]:
        """The sound in one piece, from 0 on."""
        return 0, np.concatenate(self.sound)


def view(chunks: Sequence[bytes]) -> ChunkViewer:
    """Decode what was appended in sequence mode: each chunk begins where the longer track of the last one ends."""
    viewer = ChunkViewer()
    decoders: dict[str, CodecContext] = {}
    begins = Fraction(0)
    for chunk in chunks:
        ends = begins
        with av.open(io.BytesIO(chunk)) as container:
            for stream in container.streams:
                if stream.type not in decoders:
                    decoders[stream.type] = stream.codec_context
            for packet in container.demux():
                if packet.pts is None or packet.duration is None:
                    continue
                base = Fraction(packet.time_base)
                ends = max(ends, begins + (packet.pts + packet.duration) * base)
                for frame in decoders[packet.stream.type].decode(packet):
                    keep(viewer, frame, begins + packet.pts * base)
        begins = ends
    viewer.seconds = float(begins)
    return viewer


def keep(viewer: ChunkViewer, frame: VideoFrame | AudioFrame, at: Fraction) -> None:
    """Note a decoded picture or sound. There is no reordering: a frame is that of its packet."""
    if isinstance(frame, VideoFrame):
        viewer.pictures.append(Picture(round(at * VIDEO_HZ), frame))
    else:
        assert frame.sample_rate == AUDIO_HZ
        viewer.sound.append(frame.to_ndarray()[0].astype(np.float32))
