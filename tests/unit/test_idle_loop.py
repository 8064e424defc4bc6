import dataclasses
import itertools
import os
import queue
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from avatar.idle_loop import IdleEncoder, LoopCache, encode_phase
from avatar.messages import (
    IDLE_PHASES,
    Codec,
    EncodeIdle,
    FromWorker,
    IdleLoop,
    VideoFormat,
    WorkerConfig,
    idle_grid,
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


def test_no_phase_of_an_avatar_that_was_replaced_is_sent(tmp_path: Path):
    old = make_avatar("grey")
    new = dataclasses.replace(old, pictures=old.pictures + np.uint8(60), digest="digest-new")
    said: queue.SimpleQueue[FromWorker] = queue.SimpleQueue()
    shown = [old, old, old, new]  # it is replaced while the second phase is being made

    def get_avatar(name: str, size: tuple[int, int]) -> PreparedAvatar:
        return shown.pop(0) if len(shown) > 1 else shown[0]

    config = WorkerConfig("", "", str(tmp_path))
    encoder = IdleEncoder(
        config, get_avatar, FakeLibrary(config).compose, LoudnessEngine(), lambda call: call(), said.put
    )
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
