"""What the publishers that encode nothing themselves send: a speech file as Opus packets, and a picture as H.264."""

import base64
import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

OPUS_HZ = 48_000
PICTURE = (640, 360)
FPS = 25


def opus_packets(wav: Path) -> list[bytes]:
    """A sound file as stereo Opus packets of 20 ms, as browsers and OBS send it."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = OPUS_HZ, "stereo", "s16", 96_000
    encoder.options = {"frame_duration": "20"}
    resampler = av.AudioResampler(format="s16", layout="stereo", rate=OPUS_HZ, frame_size=OPUS_HZ // 50)
    packets = []
    with av.open(str(wav)) as source:
        for frame in [*source.decode(audio=0), None]:
            for resampled in resampler.resample(frame):
                packets += encoder.encode(resampled)
    return [bytes(packet) for packet in [*packets, *encoder.encode(None)]]


def h264_pictures(seconds: float) -> list[bytes]:
    """A bar that moves, as pictures of constrained baseline H.264 with start codes; a keyframe each second."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = *PICTURE, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, FPS), Fraction(FPS)
    encoder.options = {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": str(FPS)}
    units: list[bytes] = []
    for number in range(int(seconds * FPS)):
        units += [bytes(packet) for packet in encoder.encode(moving_bar(number))]
    return [*units, *(bytes(packet) for packet in encoder.encode(None))]


def moving_bar(number: int) -> av.VideoFrame:
    """The picture with that number."""
    width, height = PICTURE
    pixels = np.full((height * 3 // 2, width), 128, np.uint8)
    left = number * 8 % (width - 40)
    pixels[:height, left : left + 40] = 220
    frame = av.VideoFrame.from_ndarray(pixels, format="yuv420p")
    frame.pts, frame.time_base = number, Fraction(1, FPS)
    return frame


def write_media(wav: Path, path: Path) -> Path:
    """Both, as the JSON file that libdatachannel_publisher.mjs reads."""
    opus = opus_packets(wav)
    media = {"opus": opus, "h264": h264_pictures(len(opus) / 50)}
    text = {kind: [base64.b64encode(unit).decode() for unit in units] for kind, units in media.items()}
    path.write_text(json.dumps(text | {"fps": FPS}), "utf-8")
    return path
