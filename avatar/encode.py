"""Pictures to H.264 or VP8, samples to Opus. One object a stream and codec; one picture in, one unit out, no delay.

H.264 is constrained baseline, the profile every WebRTC player decodes; SPS and PPS stand before every keyframe, and the
level is the lowest that the size and rate allow. Keyframes come when asked for and never otherwise.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, NamedTuple

import av
import numpy as np
from av.video.frame import PictureType
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, Codec, VideoFormat

SETTINGS_VERSION: Final = 1
"""To be raised with any change here that alters encoded idle loops: they are cached on disk."""
SMALLER_VERSION: Final = 2
"""The same for loops of less than the full size."""
SMPTE170M: Final = 6
"""BT.601 with 525 lines, in FFmpeg's numbers for matrix, primaries and transfer alike."""
LIMITED_RANGE: Final = 1
RATE_FACTORS: Final = (22, 26, 30)
"""Of H.264, by rendition: the slower the network, the coarser. 48, 46 and 44 dB on the embedded avatar.

Of 22 everywhere, 26 takes 0.6 of the bits at 960x540, 30 takes 0.6 of them at 640x360.
"""
NEVER: Final = 100_000
"""Frames from keyframe to keyframe where only a request makes one: above an hour."""
OPUS_BPS: Final = 40_000
"""Transparent for one voice; the in-band copies for lost packets come out of it."""


class Level(NamedTuple):
    """A level of H.264. Source: H.264 table A-1."""

    number: int
    """level_idc: ten times the level."""
    macroblocks_s: int
    macroblocks: int
    bps: int


LEVELS: Final = (
    Level(20, 11_880, 396, 2_000_000),
    Level(21, 19_800, 792, 4_000_000),
    Level(22, 20_250, 1_620, 4_000_000),
    Level(30, 40_500, 1_620, 10_000_000),
    Level(31, 108_000, 3_600, 14_000_000),
    Level(32, 216_000, 5_120, 20_000_000),
    Level(40, 245_760, 8_192, 20_000_000),
    Level(42, 522_240, 8_704, 50_000_000),
    Level(51, 983_040, 36_864, 240_000_000),
)


def h264_level(shape: VideoFormat) -> Level:
    """The lowest level whose pictures and rates are not below the format's.

    Errors: ValueError where there is none.
    """
    macroblocks = -(-shape.width // 16) * -(-shape.height // 16)
    for level in LEVELS:
        if (
            macroblocks <= level.macroblocks
            and macroblocks * shape.fps <= level.macroblocks_s
            and shape.bitrate_bps <= level.bps
        ):
            return level
    raise ValueError(f"no H.264 level for {shape.width}x{shape.height} at {shape.fps} frames/s")


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture."""

    data: bytes
    keyframe: bool


class PictureEncoder:
    """Planar pictures to one codec's units. Not thread-safe, but any thread may call it in turn.

    ``idle`` spends more time a picture than a live stream can, for the same loop is shown for hours. ``rendition`` is
    the rung of the ladder that ``shape`` is. ``quick``: in haste, see ``haste``; the parameter sets are the same.
    """

    def __init__(
        self, codec: Codec, shape: VideoFormat, *, idle: bool = False, rendition: int = 0, quick: bool = False
    ) -> None:
        self.quick = quick
        self._context = _h264(shape, idle, rendition, quick) if codec is Codec.H264 else _vp8(shape, idle, quick)
        self._context.open()
        self._time = -1

    def encode(self, picture: NDArray[np.uint8], frame: int, *, keyframe: bool) -> Picture:
        """One unit for one picture; ``frame`` is its number on the stream's clock, which goes back where pictures are
        made anew.

        Shapes: picture (height * 3 // 2, width), I420.
        """
        # the encoder copies the picture before it returns, so the caller's memory is lent, not copied once more; where
        # the height is no multiple of 4, PyAV (18.1) would lend the wrong rows
        lend = av.VideoFrame.from_ndarray if picture.shape[0] % 6 else av.VideoFrame.from_numpy_buffer
        video = lend(picture, format="yuv420p")
        video.pts = self._time = max(frame, self._time + 1)
        video.pict_type = PictureType.I if keyframe else PictureType.NONE
        packets = self._context.encode(video)
        assert len(packets) == 1, "no delay, no look-ahead, no frame dropping is configured"
        return Picture(bytes(packets[0]), packets[0].is_keyframe)


def _h264(shape: VideoFormat, idle: bool, rendition: int, quick: bool) -> av.VideoCodecContext:
    context = _context("libx264", shape)
    keyframe_ratio = 1.8 if not idle else 1.0 if rendition else 1.4
    motion = ":subme=0" if quick else ""  # the search goes no further than whole samples
    context.options = {
        # superfast: the knee, quality of medium at a sixth of its time (720p at 25 frames/s: 5 ms a frame)
        "preset": "veryfast" if idle else "superfast",
        "tune": "zerolatency",
        "profile": "baseline",
        "level": str(h264_level(shape).number),
        # a rate factor under a cap: the still background costs nothing, and a keyframe looks like its neighbours
        "crf": str(RATE_FACTORS[rendition]),
        "maxrate": str(shape.bitrate_bps),
        # a keyframe may take its share of more than a second where it was made long before it is sent
        "bufsize": str(shape.bitrate_bps * (2 if idle else 1)),
        "forced-idr": "1",
        "sc_threshold": "0",
        # aq-mode 0: with it, flat backgrounds are made anew at each keyframe, and the idle loop is seen to pulse;
        # ipratio: a live stretch begins with a keyframe amid an idle loop of another encoding, and the closer it is to
        # the picture, the less is seen of that (0.05 of 255 luma steps less for a third more bytes); on the slow
        # networks that smaller idle loops are for, a keyframe stops the pictures for as long as it takes
        "x264-params": f"aq-mode=0:open-gop=0:sliced-threads=0:ipratio={keyframe_ratio}{motion}",
    }
    return context


def _vp8(shape: VideoFormat, idle: bool, quick: bool) -> av.VideoCodecContext:
    context = _context("libvpx", shape)
    context.bit_rate = shape.bitrate_bps
    context.qmin, context.qmax = (_vp8_idle_quantiser(shape),) * 2 if idle else (4, 63)
    context.options = {
        "deadline": "realtime",
        # 10: as good as 8, and a sixth quicker
        "cpu-used": "4" if idle else "12" if quick else "10",
        "static-thresh": "400" if quick else "0",
        "lag-in-frames": "0",
        "auto-alt-ref": "0",
        "error-resilient": "0",
        "undershoot-pct": "95",
        "bufsize": str(shape.bitrate_bps),
    } | ({} if idle else {"minrate": str(shape.bitrate_bps), "maxrate": str(shape.bitrate_bps)})
    return context


def _vp8_idle_quantiser(shape: VideoFormat) -> int:
    """One quantiser for all pictures: rate control makes keyframes coarse, and the loop would be seen to pulse.

    The embedded avatar takes 0.04 bits a pixel with 12, 0.024 with 20 (720p at 25 frames/s: 0.9 and 0.55 Mbit/s).
    """
    bits_a_pixel = shape.bitrate_bps / (shape.width * shape.height * shape.fps)
    return 12 if bits_a_pixel >= 0.045 else 20 if bits_a_pixel >= 0.027 else 36


def _context(encoder: str, shape: VideoFormat) -> av.VideoCodecContext:
    context = av.CodecContext.create(encoder, "w")
    assert isinstance(context, av.VideoCodecContext)
    context.width, context.height, context.pix_fmt = shape.width, shape.height, "yuv420p"
    context.time_base, context.framerate = Fraction(1, shape.fps), Fraction(shape.fps, 1)
    context.gop_size, context.max_b_frames, context.thread_count = NEVER, 0, 1
    context.color_range = LIMITED_RANGE
    context.colorspace = context.color_primaries = context.color_trc = SMPTE170M
    return context


class OpusEncoder:
    """48 kHz mono samples to packets of 20 ms."""

    def __init__(self, *, bps: int = OPUS_BPS, fec: bool = True) -> None:
        context = av.CodecContext.create("libopus", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = AUDIO_HZ, "mono", "s16"
        context.bit_rate, context.time_base = bps, Fraction(1, AUDIO_HZ)
        # voip: the mode that has in-band copies; they are worth their bits where a packet in twenty is lost
        # complexity 5 of 10: as many bytes, a fifth less time; with a dozen streams that is as much as hearing takes
        context.options = {"application": "voip", "frame_duration": "20", "compression_level": "5"} | (
            {"fec": "1", "packet_loss": "5"} if fec else {}
        )
        context.open()
        self._context = context
        self._samples = 0

    def encode(self, samples: NDArray[np.int16]) -> bytes:
        """One packet. Shapes: samples (960,)."""
        audio = av.AudioFrame.from_ndarray(samples[np.newaxis, :], format="s16", layout="mono")
        audio.sample_rate, audio.pts = AUDIO_HZ, self._samples
        self._samples += OPUS_SAMPLES
        # one frame of 20 ms is one packet: not to ask for another saves a wait for the interpreter, which is as long
        return bytes(next(self._context.encode_lazy(audio)))


AAC_SAMPLES: Final = 1024
"""One AAC frame (ISO/IEC 14496-3 section 4.5.2): 21.3 ms at 48 kHz."""
AAC_BPS: Final = 128_000


class AacEncoder:
    """48 kHz mono samples to AAC-LC frames of 1024, for files."""

    def __init__(self) -> None:
        context = av.CodecContext.create("aac", "w")
        assert isinstance(context, av.AudioCodecContext)
        context.sample_rate, context.layout, context.format = AUDIO_HZ, "mono", "fltp"
        context.bit_rate, context.time_base = AAC_BPS, Fraction(1, AUDIO_HZ)
        context.open()
        self._context = context
        self._samples = 0
        assert context.extradata is not None
        self.config = bytes(context.extradata)
        """AudioSpecificConfig."""

    def encode(self, samples: NDArray[np.int16]) -> list[bytes]:
        """Frames that are ready. The first of all is of the time before the first sample. Shapes: samples (1024,)."""
        scaled = (samples.astype(np.float32) / 32768)[np.newaxis, :]
        audio = av.AudioFrame.from_ndarray(scaled, format="fltp", layout="mono")
        audio.sample_rate, audio.pts = AUDIO_HZ, self._samples
        self._samples += AAC_SAMPLES
        return [bytes(packet) for packet in self._context.encode(audio)]

    def flush(self) -> list[bytes]:
        """The frames that are held back; none can follow."""
        return [bytes(packet) for packet in self._context.encode(None)]


def opus_silence() -> bytes:
    """The packet that an encoder settles on when it hears nothing."""
    encoder = OpusEncoder()
    packets = [encoder.encode(np.zeros(OPUS_SAMPLES, np.int16)) for _ in range(10)]
    return packets[-1]
