"""Chunks of an utterance: which pictures and how much sound each holds, and that its sound is one when put together."""

import io

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.encode import AAC_SAMPLES, PictureEncoder
from avatar.formats import AUDIO_HZ, OPUS_SAMPLES, VIDEO_HZ, Codec, VideoFormat
from avatar.messages import RecordSpeech, SpeechChunk
from avatar.recorder import Recorder
from tests.movie_files import boxes, pictures_of, sound_of, split_header, tracks

VIDEO, AUDIO = 1, 2
TONE_HZ = 997


def tone(samples: int) -> NDArray[np.int16]:
    return (12_000 * np.sin(2 * np.pi * TONE_HZ * np.arange(samples) / AUDIO_HZ)).astype(np.int16)


def record(
    samples: int, fps: int = 25, chunk_frames: int = 50, at_frame: int = 0, offset: int = 0, *, whole: bool = False
) -> list[SpeechChunk]:
    """An utterance of a tone that begins ``offset`` samples after a frame, amid silence."""
    shape = VideoFormat(64, 64, fps, 500_000)
    recorder = Recorder(RecordSpeech("a", "u", chunk_frames, whole), samples, shape)
    encoder = PictureEncoder(Codec.H264, shape)
    spf = AUDIO_HZ // fps
    start = at_frame * spf + offset
    stream = np.zeros((start + samples) // OPUS_SAMPLES * OPUS_SAMPLES + 20 * OPUS_SAMPLES, np.int16)
    stream[start : start + samples] = tone(samples)
    chunks: list[SpeechChunk] = []
    block = at_frame * spf // OPUS_SAMPLES * OPUS_SAMPLES
    begun = False
    for frame in range(at_frame, len(stream) // spf):
        while block < (frame + 1) * spf and block + OPUS_SAMPLES <= len(stream):
            if not begun and block + OPUS_SAMPLES > start:
                recorder.begin(start)
                begun = True
            recorder.add_sound(block, stream[block : block + OPUS_SAMPLES])
            block += OPUS_SAMPLES
        if recorder.takes(frame):
            picture = np.full((96, 64), 16 + frame % 200, np.uint8)
            recorder.add_picture(encoder.encode(picture, frame, keyframe=recorder.begins_chunk(frame)), 0.001)
        chunks += recorder.chunks()
    assert recorder.complete
    return chunks


@pytest.mark.parametrize(("fps", "seconds"), [(10, 7.3), (15, 7.3), (20, 3.01), (25, 7.3), (30, 4.0)])
def test_chunks_hold_the_pictures_and_all_of_the_sound(fps: int, seconds: float):
    samples = int(seconds * AUDIO_HZ)
    chunks = record(samples, fps, 2 * fps)
    frames = samples * fps // AUDIO_HZ
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert {chunk.total for chunk in chunks} == {len(chunks)} == {-(-frames // (2 * fps))}
    assert [chunk.frames for chunk in chunks[:-1]] == [2 * fps] * (len(chunks) - 1)
    assert sum(chunk.frames for chunk in chunks) == frames
    seen = [tracks(chunk.data) for chunk in chunks]
    for chunk, found in zip(chunks, seen, strict=True):
        assert (found[VIDEO].starts, found[AUDIO].starts) == ([0], [0])
        assert found[VIDEO].sync == [True] + [False] * (chunk.frames - 1)
        assert set(found[VIDEO].durations[:-1]) <= {VIDEO_HZ // fps}
        ends = sum(found[VIDEO].durations) / VIDEO_HZ, sum(found[AUDIO].durations) / AUDIO_HZ
        assert ends[0] == pytest.approx(ends[1], abs=1.01 / VIDEO_HZ)
    assert sum(sum(found[AUDIO].durations) for found in seen) == samples
    late = 0  # of a chunk's first picture, in samples
    for index, found in enumerate(seen[:-1], 1):
        late = sum(sum(each[AUDIO].durations) for each in seen[:index]) - index * 2 * fps * (AUDIO_HZ // fps)
        assert 0 <= late < AAC_SAMPLES, found


def test_the_tone_goes_on_over_every_border():
    samples = int(7.3 * AUDIO_HZ)
    chunks = record(samples)
    heard = sound_of([chunk.data for chunk in chunks])
    assert len(heard) == samples
    borders = np.cumsum([sum(tracks(chunk.data)[AUDIO].durations) for chunk in chunks])[:-1]
    window = np.arange(AUDIO_HZ // 20)
    for border in borders:
        before, after = (phase(heard[at + window], at) for at in (border - len(window), border))
        turned = np.angle(np.exp(1j * (after - before)))
        assert abs(turned) / (2 * np.pi * TONE_HZ / AUDIO_HZ) < 0.1, "a tenth of a sample"
        jump = np.abs(np.diff(heard[border - 200 : border + 200])).max()
        assert jump < 1.2 * np.abs(np.diff(heard[border - 4000 : border - 2000])).max()


def phase(samples: NDArray[np.float32], at: int) -> float:
    turns = np.exp(-2j * np.pi * TONE_HZ * (at + np.arange(len(samples))) / AUDIO_HZ)
    return float(np.angle((samples * turns).sum()))


def test_sound_and_pictures_stand_where_they_were():
    samples = 2 * AUDIO_HZ
    (chunk,) = record(samples, at_frame=100)
    heard = sound_of([chunk.data])
    error = heard[AAC_SAMPLES:] - tone(samples)[AAC_SAMPLES:] / 32768
    assert np.abs(error[:-480]).max() < 0.03
    shown = [int(picture[32, 32]) for picture in pictures_of(chunk.data)]
    assert len(shown) == 50 and all(abs(level - (16 + 100 + index)) < 3 for index, level in enumerate(shown))


def test_an_utterance_between_two_pictures_takes_the_nearer_one():
    (chunk,) = record(AUDIO_HZ, fps=10, chunk_frames=20, at_frame=3, offset=OPUS_SAMPLES * 3)  # 60 of 100 ms
    shown = [int(picture[32, 32]) for picture in pictures_of(chunk.data)]
    assert abs(shown[0] - (16 + 4)) < 3 and len(shown) == 10
    assert sum(tracks(chunk.data)[AUDIO].durations) == AUDIO_HZ


def test_what_is_shorter_than_a_picture_has_no_chunk():
    assert record(AUDIO_HZ // 50) == []


def test_what_is_shorter_than_a_chunk_has_one():
    (chunk,) = record(AUDIO_HZ // 2)
    assert (chunk.total, chunk.frames) == (1, 12)
    assert sum(tracks(chunk.data)[AUDIO].durations) == AUDIO_HZ // 2


def test_a_file_says_what_players_ask_for():
    (chunk,) = record(AUDIO_HZ)
    names = [name for name, _ in boxes(chunk.data)]
    assert names[:2] == ["/ftyp", "/moov"] and names[-1] == "/mdat"
    assert "/moov/mvex/mehd" not in names, "players would take it for the length of all chunks"
    with av.open(io.BytesIO(chunk.data)) as container:
        video, audio = container.streams.video[0].codec_context, container.streams.audio[0].codec_context
        assert (video.profile, audio.profile) == ("Constrained Baseline", "LC")
        assert (audio.sample_rate, audio.layout.name, audio.format.name) == (AUDIO_HZ, "mono", "fltp")
    avcc = chunk.data[chunk.data.index(b"avcC") + 4 :]
    assert avcc[1:3] in {b"\x42\xc0", b"\x42\xe0"}


def test_any_chunk_plays_with_the_header_of_the_first():
    chunks = record(int(3.5 * AUDIO_HZ), chunk_frames=25)
    first, _ = split_header(chunks[0].data)
    for chunk in chunks:
        assert len(pictures_of(first + split_header(chunk.data)[1])) == chunk.frames


def test_the_pieces_of_a_whole_file_are_one_file():
    samples = int(3.3 * AUDIO_HZ)
    chunks = record(samples, chunk_frames=25, whole=True)
    movie = b"".join(chunk.data for chunk in chunks)
    found = tracks(movie)
    assert found[VIDEO].starts == [25 * index * VIDEO_HZ // 25 for index in range(4)]
    assert found[VIDEO].durations[:-1] == [VIDEO_HZ // 25] * 81
    assert sum(found[AUDIO].durations) == samples
    assert sum(found[VIDEO].durations) / VIDEO_HZ == pytest.approx(samples / AUDIO_HZ, abs=1.01 / VIDEO_HZ)
    assert [name for name, _ in boxes(movie)].count("/moov") == 1
    with av.open(io.BytesIO(movie)) as container:
        assert container.duration == pytest.approx(3.3e6, abs=1100)
        assert len(list(container.decode(video=0))) == 82
    assert len(sound_of([movie])) == samples


def test_frames_without_a_picture_show_the_one_before_for_longer():
    recorder = Recorder(RecordSpeech("a", "u", 25), 25 * AUDIO_HZ // 25, VideoFormat(64, 64, 25, 500_000))
    encoder = PictureEncoder(Codec.H264, VideoFormat(64, 64, 25, 500_000))
    recorder.begin(0)
    for at in range(0, AUDIO_HZ, OPUS_SAMPLES):
        recorder.add_sound(at, tone(AUDIO_HZ)[at : at + OPUS_SAMPLES])
    for frame in range(25):
        if frame % 5:
            recorder.repeat()
        else:
            recorder.add_picture(encoder.encode(np.zeros((96, 64), np.uint8), frame, keyframe=frame == 0), 0.001)
    (chunk,) = recorder.chunks()
    assert (chunk.frames, tracks(chunk.data)[VIDEO].durations) == (25, [5 * VIDEO_HZ // 25] * 5)


def test_time_spent_is_told():
    assert all(chunk.encode_s >= 0.001 * chunk.frames for chunk in record(4 * AUDIO_HZ))
