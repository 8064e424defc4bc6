import dataclasses
import hashlib
import itertools
import os
import queue
import subprocess
import sys
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from avatar.encode import SETTINGS_VERSION
from avatar.idle_loop import IdleEncoder, LoopCache, encode_phase
from avatar.messages import (
    IDLE_PHASES,
    Codec,
    EncodeIdle,
    FromWorker,
    IdleFailed,
    IdleLoop,
    VideoFormat,
    WorkerConfig,
    idle_grid,
    ladder,
)
from avatar.prepared import PreparedAvatar
from tests.fake_engine import BOX, PICTURES, SIZE, FakeLibrary, LoudnessEngine, make_avatar

SHAPE = VideoFormat(SIZE[0], SIZE[1], 25, 500_000)
COMPOSE = FakeLibrary.compose


def phase_of(number: int, shape: VideoFormat = SHAPE, codec: Codec = Codec.H264) -> tuple[PreparedAvatar, IdleLoop]:
    avatar, engine = make_avatar("grey"), LoudnessEngine()
    slot = engine.open(avatar, shape.fps)
    neutral = [engine.neutral(slot, picture) for picture in range(PICTURES)]
    request = EncodeIdle("grey", shape, codec)
    library = FakeLibrary.__new__(FakeLibrary)
    return avatar, encode_phase(avatar, neutral, request, number, library.compose)


def decoded(loop: IdleLoop, units: list[bytes]) -> list[np.ndarray]:
    decoder = av.CodecContext.create("h264" if loop.codec is Codec.H264 else "vp8", "r")
    decoder.thread_count = 1
    frames = [frame for unit in units for frame in decoder.decode(av.Packet(unit))]
    return [frame.to_ndarray() for frame in [*frames, *decoder.decode(None)]]


@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
@pytest.mark.parametrize("phase", [0, 3])
def test_a_phase_is_the_whole_loop_from_its_first_frame(codec: Codec, phase: int):
    avatar, loop = phase_of(phase, codec=codec)
    assert (loop.phase, loop.first_frame, loop.interval, len(loop.units)) == (phase, phase * idle_grid(25), 25, 200)
    frames = decoded(loop, loop.units)
    assert len(frames) == 200
    for index, frame in enumerate(frames):
        expected = int(avatar.pictures[(loop.first_frame + index) % 200, 0, 0])
        assert abs(int(frame[4, 4]) - expected) <= 3
        x, y = BOX.x + 8, BOX.y + 8
        assert frame[y, x] < 24, "the neutral mouth is composed into every picture"


def test_every_interval_of_a_phase_can_be_joined():
    _, loop = phase_of(0)
    for start in range(0, 200, loop.interval):
        assert len(decoded(loop, loop.units[start : start + loop.interval])) == loop.interval


def test_the_loop_closes_at_a_keyframe():
    _, loop = phase_of(1)
    assert len(decoded(loop, [*loop.units, *loop.units[:30]])) == 230


@pytest.mark.parametrize("fps", [10, 15, 20, 25, 30])
def test_a_keyframe_is_never_more_than_200_ms_away_at_any_rate(fps: int):
    firsts = [phase * idle_grid(fps) for phase in range(IDLE_PHASES)]
    keyframes = sorted({(first + second * fps) % (8 * fps) for first in firsts for second in range(8)})
    assert max(b - a for a, b in itertools.pairwise(keyframes)) / fps <= 0.2


def test_other_rates_keep_the_speed_of_the_motion():
    _, loop = phase_of(0, VideoFormat(SIZE[0], SIZE[1], 10, 500_000))
    assert len(loop.units) == 80 and loop.interval == 10


LARGE = VideoFormat(320, 240, 10, 900_000)


def large_avatar(name: str = "grey") -> PreparedAvatar:
    """The grey avatar in a size that has smaller renditions, with a dark left half so that its sides are known."""
    pictures = np.full((PICTURES, LARGE.height * 3 // 2, LARGE.width), 128, np.uint8)
    pictures[:, : LARGE.height, : LARGE.width // 2] = 60
    pictures[:, LARGE.height : LARGE.height * 5 // 4] = 90
    return dataclasses.replace(make_avatar(name), pictures=pictures)


def encode(encoder: IdleEncoder, said: queue.SimpleQueue[FromWorker], *requests: EncodeIdle) -> list[FromWorker]:
    """What an encoder answers to requests that it is given at once."""
    for request in requests:
        encoder.put(request)
    return [said.get(timeout=60) for _ in range(IDLE_PHASES * len(requests))]


def encoder_of(avatar: PreparedAvatar, cache: Path) -> tuple[IdleEncoder, queue.SimpleQueue[FromWorker]]:
    said: queue.SimpleQueue[FromWorker] = queue.SimpleQueue()
    config = WorkerConfig("", "", str(cache))
    compose, engine = FakeLibrary(config).compose, LoudnessEngine()
    return IdleEncoder(config, lambda *_: avatar, compose, lambda _: engine, lambda call: call(), said.put), said


@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
def test_a_smaller_rendition_is_the_same_loop_scaled(codec: Codec):
    avatar, engine = large_avatar(), LoudnessEngine()
    slot = engine.open(avatar, LARGE.fps)
    neutral = [engine.neutral(slot, picture) for picture in range(PICTURES)]
    loops = [
        encode_phase(
            avatar, neutral, EncodeIdle("grey", LARGE, codec, rung), 2, FakeLibrary.__new__(FakeLibrary).compose
        )
        for rung in range(len(ladder(LARGE)))
    ]
    full, *smaller = loops
    assert smaller and [loop.rendition for loop in loops] == list(range(len(loops)))
    for loop, shape in zip(loops, ladder(LARGE), strict=True):
        assert (loop.format, loop.phase, loop.first_frame, loop.interval) == (LARGE, 2, 2 * idle_grid(10), 10)
        assert len(loop.units) == len(full.units)
        frames = decoded(loop, loop.units[:10])
        assert {frame.shape for frame in frames} == {(shape.height * 3 // 2, shape.width)}
        luma = frames[-1][: shape.height // 8]  # above the mouth
        assert abs(float(luma[:, : shape.width // 2].mean()) - 60) < 2
        assert abs(float(luma[:, shape.width // 2 :].mean()) - 128) < 2
        cb, cr = frames[-1][shape.height :].reshape(2, -1)
        assert abs(float(cb.mean()) - 90) < 2 and abs(float(cr.mean()) - 128) < 2


def test_full_pictures_go_first_whatever_was_asked_for_first(tmp_path: Path):
    encoder, said = encoder_of(large_avatar(), tmp_path)
    codecs = (Codec.VP8, Codec.H264)
    warm = EncodeIdle("grey", msgspec.structs.replace(LARGE, fps=15), Codec.H264)  # busy while the others come
    answers = encode(
        encoder, said, warm, *(EncodeIdle("grey", LARGE, codec, rung) for rung in (1, 0) for codec in codecs)
    )
    loops = [loop for loop in answers if isinstance(loop, IdleLoop) and loop.format == LARGE and loop.phase == 0]
    expected = [(Codec.H264, 0), (Codec.VP8, 0), (Codec.H264, 1), (Codec.VP8, 1)]
    assert [(loop.codec, loop.rendition) for loop in loops] == expected


def test_renditions_are_kept_side_by_side(tmp_path: Path):
    cache = LoopCache(tmp_path)
    _, loop = phase_of(0)
    loops = [msgspec.structs.replace(loop, format=LARGE, rendition=rung, units=[bytes([rung])]) for rung in range(2)]
    for each in loops:
        cache.store("digest", each)
    for each in loops:
        found = cache.load("digest", EncodeIdle("grey", LARGE, Codec.H264, each.rendition), 0)
        assert found is not None and found.units == each.units
    assert len(list(tmp_path.iterdir())) == 2


def test_loops_that_were_kept_before_there_were_renditions_are_found(tmp_path: Path):
    cache = LoopCache(tmp_path)
    _, loop = phase_of(0)
    cache.store("digest", loop)
    name = hashlib.sha256(repr(("digest", SHAPE, "H264", SETTINGS_VERSION)).encode()).hexdigest()[:32]
    path = tmp_path / f"idle-{name}-0.msgpack"
    assert path.exists()
    before = msgspec.msgpack.decode(path.read_bytes())
    del before["rendition"]
    path.write_bytes(msgspec.msgpack.encode(before))
    assert cache.load("digest", EncodeIdle("grey", SHAPE, Codec.H264), 0) == loop


@pytest.mark.parametrize(("codec", "rendition"), [(Codec.OPUS, 0), (Codec.H264, 1), (Codec.VP8, -1)])
def test_what_cannot_be_made_is_said_and_the_next_is_made(tmp_path: Path, codec: Codec, rendition: int):
    encoder, said = encoder_of(make_avatar("grey"), tmp_path)
    encoder.put(EncodeIdle("grey", SHAPE, codec, rendition))
    failed = said.get(timeout=60)
    assert isinstance(failed, IdleFailed)
    assert (failed.codec, failed.rendition) == (codec, rendition)
    assert all(isinstance(answer, IdleLoop) for answer in encode(encoder, said, EncodeIdle("grey", SHAPE, Codec.H264)))


def test_no_phase_of_an_avatar_that_was_replaced_is_sent(tmp_path: Path):
    old = make_avatar("grey")
    new = dataclasses.replace(old, pictures=old.pictures + np.uint8(60), digest="digest-new")
    said: queue.SimpleQueue[FromWorker] = queue.SimpleQueue()
    shown = [old, old, old, new]  # it is replaced while the second phase is being made

    def get_avatar(name: str, size: tuple[int, int]) -> PreparedAvatar:
        return shown.pop(0) if len(shown) > 1 else shown[0]

    config = WorkerConfig("", "", str(tmp_path))
    compose, engine = FakeLibrary(config).compose, LoudnessEngine()
    encoder = IdleEncoder(config, get_avatar, compose, lambda _: engine, lambda call: call(), said.put)
    for _ in range(2):
        encoder.put(EncodeIdle("grey", SHAPE, Codec.H264))
    loops = [said.get(timeout=60) for _ in range(2 + IDLE_PHASES)]
    assert [loop.phase for loop in loops if isinstance(loop, IdleLoop)] == [0, 1, *range(IDLE_PHASES)]
    levels = [int(decoded(loop, loop.units[:1])[0][4, 4]) for loop in loops if isinstance(loop, IdleLoop)]
    assert max(levels[:2]) < 150 < min(levels[2:])


def test_of_too_many_phases_those_go_that_nobody_asked_for_longest(tmp_path: Path):
    _, loop = phase_of(0)
    request = EncodeIdle("grey", SHAPE, Codec.H264)
    LoopCache(tmp_path).store("one", loop)
    (file,) = tmp_path.iterdir()
    cache = LoopCache(tmp_path, 5 * file.stat().st_size // 2)
    cache.store("two", loop)
    for age_s, path in enumerate(sorted(tmp_path.iterdir(), key=lambda path: path != file)):
        os.utime(path, (1000 - age_s, 1000 - age_s))
    assert cache.load("two", request, 0)
    cache.store("three", loop)
    assert [cache.load(digest, request, 0) is not None for digest in ("one", "two", "three")] == [False, True, True]


def test_a_stored_phase_is_found_again_by_its_content_alone(tmp_path: Path):
    cache = LoopCache(tmp_path / "new")
    _, loop = phase_of(2)
    cache.store("digest", loop)
    request = EncodeIdle("renamed", SHAPE, Codec.H264)
    found = cache.load("digest", request, 2)
    assert found is not None and found.avatar == "renamed"
    assert (found.units, found.silence) == (loop.units, loop.silence)
    assert cache.load("another", request, 2) is None
    assert cache.load("digest", request, 1) is None
    assert cache.load("digest", msgspec.structs.replace(request, codec=Codec.VP8), 2) is None
    slower = msgspec.structs.replace(SHAPE, bitrate_bps=400_000)
    assert cache.load("digest", msgspec.structs.replace(request, format=slower), 2) is None
    assert len(list((tmp_path / "new").iterdir())) == 1, "no scratch files stay behind"


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, b"\x81\xa4type\xa8IdleLoop"])
def test_a_damaged_cache_is_made_anew(tmp_path: Path, damage: bytes):
    cache = LoopCache(tmp_path)
    _, loop = phase_of(0)
    cache.store("digest", loop)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage)
    request = EncodeIdle("grey", SHAPE, Codec.H264)
    assert cache.load("digest", request, 0) is None
    cache.store("digest", loop)
    assert cache.load("digest", request, 0) is not None


def test_a_disk_that_takes_nothing_costs_only_time(tmp_path: Path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way of a directory")
    cache = LoopCache(blocked)
    _, loop = phase_of(0)
    cache.store("digest", loop)
    assert cache.load("digest", EncodeIdle("grey", SHAPE, Codec.H264), 0) is None


def test_a_server_that_was_started_with_the_least_priority_makes_loops_too():
    """Without privileges a thread's priority cannot be raised to the one that it would be lowered to."""
    script = """
import os
from avatar.idle_loop import give_way
os.nice(19)
os.getuid() or os.setuid(65534)
give_way()
print(os.getpriority(os.PRIO_PROCESS, 0))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "19\n", done.stderr
