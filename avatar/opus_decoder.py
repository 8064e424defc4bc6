"""A publisher's Opus packets to samples, mono. The bytes are hostile: for what is no Opus, None; nothing is raised."""

from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ

MAX_PACKET_SAMPLES: Final = AUDIO_HZ * 120 // 1000
"""A packet holds at most 120 ms (RFC 6716 section 3.2.5)."""
MAX_PACKET_BYTES: Final = 8 * 1024
"""More than six frames of 20 ms at the highest rate (RFC 6716 section 3.2.1: 1275 bytes each)."""

_MS: Final = 48
_SILK: Final = (10 * _MS, 20 * _MS, 40 * _MS, 60 * _MS)
_HYBRID: Final = (10 * _MS, 20 * _MS)
_CELT: Final = (5 * _MS // 2, 5 * _MS, 10 * _MS, 20 * _MS)


def packet_samples(data: bytes) -> int:
    """How long a packet says it is; 0 for what cannot be one. Units: 48 kHz samples. Source: RFC 6716 section 3."""
    if not 0 < len(data) <= MAX_PACKET_BYTES:
        return 0
    config, code = data[0] >> 3, data[0] & 3
    frames = _SILK if config < 12 else _HYBRID if config < 16 else _CELT
    frame = frames[config % len(frames)]
    if code < 3:
        return frame if code == 0 else 2 * frame
    count = data[1] & 0x3F if len(data) > 1 else 0
    return count * frame if count * frame <= MAX_PACKET_SAMPLES else 0


class OpusDecoder:
    """One publisher's decoder: packets in their order, lost ones left out.

    libopus rather than FFmpeg's own: it gives a packet's samples with the packet, and it mixes stereo down by itself.
    """

    def __init__(self) -> None:
        context = av.CodecContext.create("libopus", "r")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = AUDIO_HZ, "mono", "s16"
        self._context = context

    def decode(self, data: bytes) -> NDArray[np.int16] | None:
        """The samples of a packet; None where it cannot be decoded. Shapes: (n,) at 48 kHz."""
        if not packet_samples(data):  # an empty packet would tell FFmpeg that none follow
            return None
        try:
            frames = self._context.decode(av.Packet(data))
        except (av.error.FFmpegError, ValueError):
            return None
        parts = [frame.to_ndarray()[0] for frame in frames if isinstance(frame, av.AudioFrame)]
        return np.concatenate(parts).astype(np.int16, copy=False) if parts else None
