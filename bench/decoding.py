"""What was observed, decoded: sound with the arrival of each of its packets, pictures with that of each one's last."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import av
import numpy as np
from aiortc.codecs.h264 import h264_depayload
from numpy.typing import NDArray

from avatar.annexb import SPS, nal_type, split_nals
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from bench.observations import Track, Unit

IDR: Final = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """The sound that came. Shapes: samples (n,), float32, in [-1, 1]."""

    samples: NDArray[np.float32]
    arrivals: list[float]
    """When packet i came, which holds the samples from i * 960 on; NaN for one that was lost."""
    first_time: int = 0
    """RTP time of sample 0."""

    def loudness(self) -> NDArray[np.float32]:
        """The greatest amplitude within each packet. Shapes: (packets,)."""
        return np.asarray(np.abs(self.samples.reshape(-1, OPUS_SAMPLES)).max(axis=1), np.float32)


@dataclass(frozen=True, slots=True)
class Seen:
    """A decoded picture. Shapes: picture (height * 3 // 2, width), I420."""

    rtp_time: int
    at_s: float
    """When it could be decoded: it and all before it had come."""
    picture: NDArray[np.uint8]


def hear(track: Track) -> Heard:
    """Decode Opus packets; what is missing is silence."""
    decoder = av.CodecContext.create("libopus", "r")
    assert isinstance(decoder, av.AudioCodecContext)
    decoder.sample_rate, decoder.layout = AUDIO_HZ, "mono"
    first = track.pieces[0].rtp_time
    length = (track.pieces[-1].rtp_time - first) // OPUS_SAMPLES + 1
    samples, times = np.zeros(length * OPUS_SAMPLES, np.float32), [float("nan")] * length
    for piece in track.pieces:
        start = piece.rtp_time - first
        for frame in decoder.decode(av.Packet(piece.payload)):
            part = frame.to_ndarray().reshape(-1)[:OPUS_SAMPLES].astype(np.float32) / 32768
            samples[start : start + len(part)] = part
        times[start // OPUS_SAMPLES] = piece.at_s
    return Heard(samples, times, first)


def access_unit(unit: Unit) -> bytes:
    """Annex B of a picture's payloads (RFC 6184)."""
    return b"".join(map(h264_depayload, unit.payloads))


def is_keyframe(data: bytes) -> bool:
    """Whether a picture in Annex B needs no other and has its parameters, which may be lost before it."""
    return {SPS, IDR} <= {nal_type(nal) for nal in split_nals(data)}


def pictures(track: Track, size: tuple[int, int]) -> Iterator[Seen]:
    """What a player would show: after a picture that is not whole, nothing before the next keyframe.

    Pictures of a smaller rendition are brought to ``size``.
    """
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.thread_count = 1
    broken, came_s = True, float("-inf")
    for unit in track.units():
        data = access_unit(unit) if unit.whole else b""
        broken = not unit.whole or (broken and not is_keyframe(data))
        if broken:
            continue
        came_s = max(came_s, unit.at_s)  # one that was sent again holds up those that need it
        for frame in decoder.decode(av.Packet(data)):
            fitted = frame if (frame.width, frame.height) == size else frame.reformat(*size)
            yield Seen(unit.rtp_time, came_s, np.asarray(fitted.to_ndarray(format="yuv420p"), np.uint8))
