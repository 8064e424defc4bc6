from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from avatar.compose import compose
from avatar.engines.engine import Patch
from avatar.engines.viseme.measure import mouth_opening
from avatar.engines.viseme.painter import MouthPainter
from avatar.engines.viseme.parameters import gap
from avatar.prepared import load_prepared

AVATARS = Path(__file__).resolve().parents[2] / "assets" / "avatars"
# jaw, wide, round, press, bite, teeth, tongue of vowels and consonants; speech lies between such mouths
MOUTHS = np.array([
    (0, .1, 0, 0, 0, 0, 0), (0, .1, .1, 1, 0, 0, 0), (.22, .25, 0, 0, 0, .3, 1), (.28, .25, 0, 0, 0, .2, 0),
    (.2, 0, .6, 0, 0, .5, .1), (1, .25, 0, 0, 0, 0, 0), (.6, .6, 0, 0, 0, 0, 0), (.32, .85, 0, 0, 0, .2, 0),
    (.65, 0, .65, 0, 0, 0, 0), (.28, 0, 1, 0, 0, 0, 0), (.6, .2, 0, 1, 0, 0, 0), (.8, .2, 0, .5, 0, 0, 0),
])  # fmt: skip


def random_mouths(count):
    random = np.random.default_rng(8)
    weights = random.dirichlet(np.full(2, 0.6), count)
    picks = random.integers(0, len(MOUTHS), (count, 2))
    mouths = (MOUTHS[picks] * weights[..., None]).sum(1) * random.uniform(0.8, 1.1, (count, 1))
    mouths[::6, 3] = 1
    return np.clip(mouths, 0, 1).astype(np.float32)


def round_trip(pictures, codec, options):
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height = pictures[0].shape[1], pictures[0].shape[0] * 2 // 3
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", 25, Fraction(1, 25)
    encoder.bit_rate, encoder.options = 1_500_000, options
    decoder = av.CodecContext.create({"libx264": "h264", "libvpx": "vp8"}[codec], "r")
    packets = []
    for number, picture in enumerate(pictures):
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts = number
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    frames = [frame for packet in packets for frame in decoder.decode(packet)] + decoder.decode(None)
    return [frame.to_ndarray() for frame in frames]


@pytest.mark.parametrize(
    ("name", "size"), [("nova", (1280, 720)), ("nova", (512, 512)), ("jonah", (1280, 720))], ids=str
)
@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"preset": "superfast", "tune": "zerolatency", "profile": "baseline"}),
        ("libvpx", {"deadline": "realtime", "cpu-used": "8"}),
    ],
)
def test_opening_is_read_from_compressed_pictures(name, size, codec, options):
    avatar = load_prepared(AVATARS / name, size)
    painter = MouthPainter(avatar)
    mouths = random_mouths(75)
    pictures = [
        compose(avatar.pictures[k], Patch(k, painter.box(k), painter.paint(k, mouth))) for k, mouth in enumerate(mouths)
    ]
    decoded = round_trip(pictures, codec, options)
    assert len(decoded) == len(pictures)
    read = np.array([mouth_opening(picture, avatar.state, k) for k, picture in enumerate(decoded)])
    truth = gap(mouths)
    assert np.corrcoef(read, truth)[0, 1] >= 0.95
    assert read[mouths[:, 3] > 0.95].max() < 0.04


def test_rgb_pictures_read_the_same():
    avatar = load_prepared(AVATARS / "nova", (512, 512))
    painter = MouthPainter(avatar)
    mouth = MOUTHS[5].astype(np.float32)
    picture = compose(avatar.pictures[3], Patch(3, painter.box(3), painter.paint(3, mouth)))
    rgb = cv2.cvtColor(picture, cv2.COLOR_YUV2RGB_I420)
    assert mouth_opening(rgb, avatar.state, 3) == pytest.approx(mouth_opening(picture, avatar.state, 3), abs=0.05)
