import av
import numpy as np
import pytest
from av.video.frame import PictureType
from numpy.typing import NDArray

from avatar.encode import OpusEncoder, PictureEncoder, h264_level, opus_silence
from avatar.messages import OPUS_SAMPLES, Codec, VideoFormat
from tests.audio_files import loudest_hz, tone

SMALL = VideoFormat(256, 144, 25, 400_000)


def moving(shape: VideoFormat, frame: int) -> NDArray[np.uint8]:
    """A bright square that wanders over a gradient."""
    picture = np.full((shape.height * 3 // 2, shape.width), 128, np.uint8)
    picture[: shape.height] = np.linspace(40, 200, shape.width, dtype=np.uint8)
    x = 8 * frame % (shape.width - 32)
    picture[32:64, x : x + 32] = 230
    return picture


def nals(unit: bytes) -> list[bytes]:
    return [nal.rstrip(b"\0") for nal in unit.replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1") if nal]


def types(unit: bytes) -> list[int]:
    return [nal[0] & 31 for nal in nals(unit)]


def decode_all(codec: Codec, units: list[bytes]) -> list[av.VideoFrame]:
    decoder = av.CodecContext.create("h264" if codec is Codec.H264 else "vp8", "r")
    decoder.thread_count = 1
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    return [frame for frame in [*frames, *decoder.decode(None)] if isinstance(frame, av.VideoFrame)]


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize(
    ("shape", "level"),
    [
        (VideoFormat(1280, 720, 25), 31),
        (VideoFormat(1280, 720, 30), 31),
        (VideoFormat(720, 1280, 25), 31),
        (VideoFormat(512, 512, 25), 30),
        (VideoFormat(512, 512, 15), 22),
        (VideoFormat(1920, 1080, 30, 4_000_000), 40),
    ],
)
def test_the_parameter_set_says_what_the_answer_will_say(shape: VideoFormat, level: int, idle: bool):
    unit = PictureEncoder(Codec.H264, shape, idle=idle).encode(moving(shape, 0), 0, keyframe=True).data
    sps = next(nal for nal in nals(unit) if nal[0] & 31 == 7)
    profile, constraints, level_idc = sps[1:4]
    assert profile == 66
    assert constraints & 0x40, "constraint_set1: constrained baseline, RFC 6184 section 8.1"
    assert level_idc == level == h264_level(shape).number


def test_a_size_beyond_every_level_is_refused():
    with pytest.raises(ValueError, match=r"no H\.264 level"):
        h264_level(VideoFormat(16_000, 16_000, 30))


@pytest.mark.parametrize("idle", [False, True])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
def test_keyframes_come_when_asked_for_and_every_picture_decodes(codec: Codec, idle: bool):
    encoder = PictureEncoder(codec, SMALL, idle=idle)
    pictures = [moving(SMALL, frame) for frame in range(60)]
    units = [encoder.encode(each, n, keyframe=n in (0, 7, 40)) for n, each in enumerate(pictures)]
    assert [n for n, unit in enumerate(units) if unit.keyframe] == [0, 7, 40]
    frames = decode_all(codec, [unit.data for unit in units])
    assert len(frames) == 60
    for frame, picture in zip(frames, pictures, strict=True):
        error = frame.to_ndarray()[: SMALL.height].astype(float) - picture[: SMALL.height]
        assert np.sqrt((error**2).mean()) < 12
    joined = decode_all(codec, [unit.data for unit in units[40:]])
    assert len(joined) == 20, "a viewer that joins at a keyframe decodes all that follows"


@pytest.mark.parametrize("rendition", [0, 1, 2])
def test_in_haste_the_parameter_sets_are_the_same(rendition: int):
    slow, quick = (
        PictureEncoder(Codec.H264, SMALL, rendition=rendition, quick=each).encode(moving(SMALL, 0), 0, keyframe=True)
        for each in (False, True)
    )
    for kind in (7, 8):
        (ours,), (theirs,) = ([nal for nal in nals(unit.data) if nal[0] & 31 == kind] for unit in (slow, quick))
        assert ours == theirs, "a file that has begun with one goes on with the other"


@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
@pytest.mark.parametrize("height", [142, 144])
def test_colours_are_right_at_every_even_height(codec: Codec, height: int):
    shape = VideoFormat(256, height, 25, 2_000_000)
    picture = moving(shape, 0)
    picture[height : height * 5 // 4] = np.linspace(60, 200, shape.width, dtype=np.uint8)
    (frame,) = decode_all(codec, [PictureEncoder(codec, shape).encode(picture, 0, keyframe=True).data])
    assert (frame.width, frame.height) == (256, height)
    error = frame.to_ndarray().astype(float) - picture
    assert np.sqrt((error[:height] ** 2).mean()) < 6 and np.sqrt((error[height:] ** 2).mean()) < 6


def test_parameter_sets_stand_before_every_h264_keyframe_and_only_there():
    encoder = PictureEncoder(Codec.H264, SMALL)
    for frame in range(10):
        unit = encoder.encode(moving(SMALL, frame), frame, keyframe=frame % 5 == 0)
        if frame % 5 == 0:
            assert [kind for kind in types(unit.data) if kind != 6][:3] == [7, 8, 5]
        else:
            assert set(types(unit.data)) == {1}


def test_every_slice_is_predicted_from_the_past_alone():
    encoder = PictureEncoder(Codec.H264, SMALL)
    units = [encoder.encode(moving(SMALL, frame), frame, keyframe=frame == 0).data for frame in range(30)]
    assert [PictureType(frame.pict_type) for frame in decode_all(Codec.H264, units)] == [PictureType.I] + [
        PictureType.P
    ] * 29


def test_skipped_frames_leave_a_stream_that_decodes():
    encoder = PictureEncoder(Codec.H264, SMALL)
    numbers = [0, 1, 2, 9, 10, 30]
    units = [encoder.encode(moving(SMALL, frame), frame, keyframe=frame == 0).data for frame in numbers]
    assert len(decode_all(Codec.H264, units)) == len(numbers)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
def test_frames_that_are_made_anew_decode_after_those_before_them(codec: Codec):
    shape = VideoFormat(128, 96, 25, 300_000)
    encoder = PictureEncoder(codec, shape)
    first = [encoder.encode(moving(shape, frame), frame, keyframe=frame == 0) for frame in range(8)]
    anew = [encoder.encode(moving(shape, 40 + frame), frame, keyframe=frame == 5) for frame in (5, 6, 7, 8, 12)]
    assert [picture.keyframe for picture in anew] == [True, False, False, False, False]
    frames = decode_all(codec, [picture.data for picture in [*first[:5], *anew]])
    assert len(frames) == 10
    for frame, shown in zip(frames[5:], (45, 46, 47, 48, 52), strict=True):
        picture = frame.to_ndarray().astype(int)[: shape.height]
        assert np.abs(picture - moving(shape, shown)[: shape.height].astype(int)).mean() < 12


def test_colours_are_flagged_as_what_they_are():
    unit = PictureEncoder(Codec.H264, SMALL).encode(moving(SMALL, 0), 0, keyframe=True).data
    (frame,) = decode_all(Codec.H264, [unit])
    assert (int(frame.color_range), int(frame.colorspace)) == (1, 6)


@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
def test_the_bitrate_is_kept(codec: Codec):
    rng = np.random.default_rng(0)
    encoder = PictureEncoder(codec, SMALL)
    noise = rng.integers(96, 160, (SMALL.height * 3 // 2, SMALL.width * 2), np.uint8)
    units = [
        encoder.encode(np.ascontiguousarray(noise[:, 2 * n : 2 * n + SMALL.width]), n, keyframe=n == 0).data
        for n in range(100)
    ]
    assert sum(map(len, units)) * 8 / 4 < 1.6 * SMALL.bitrate_bps  # four seconds, one of them may be had in advance


def test_opus_packets_are_twenty_milliseconds_of_what_was_said():
    encoder = OpusEncoder()
    samples = (tone(1.0, 440.0) * 32767).astype(np.int16)
    packets = [encoder.encode(samples[at : at + OPUS_SAMPLES]) for at in range(0, 48_000, OPUS_SAMPLES)]
    assert len(packets) == 50
    assert 20_000 < sum(map(len, packets)) * 8 < 60_000
    heard = _opus_decoded(packets)
    assert len(heard) == 48_000
    assert loudest_hz(heard, 48_000) == pytest.approx(440, abs=2)


def test_the_silent_packet_is_silent_among_its_like_and_after_speech():
    silence = opus_silence()
    assert np.abs(_opus_decoded([silence] * 50)).max() < 1e-3
    encoder = OpusEncoder()
    samples = (tone(0.2, 440.0) * 32767).astype(np.int16)
    spoken = [encoder.encode(samples[at : at + OPUS_SAMPLES]) for at in range(0, len(samples), OPUS_SAMPLES)]
    heard = _opus_decoded([*spoken, *[silence] * 50])
    assert np.abs(heard[-24_000:]).max() < 1e-3


def _opus_decoded(packets: list[bytes]) -> NDArray[np.float32]:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    parts = []
    for packet in packets:
        for frame in decoder.decode(av.Packet(packet)):
            sound = frame.to_ndarray().reshape(-1).astype(np.float32)
            parts.append(sound / 32768 if frame.format.name.startswith("s16") else sound)
    return np.concatenate(parts)
