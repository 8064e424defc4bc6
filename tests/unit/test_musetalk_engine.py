"""The engine's contract with tiny networks: frames, batches across streams, going back, resting."""

from pathlib import Path

import numpy as np
import pytest
import torch

from avatar.engines.engine import FrameJob, Patch, Work
from avatar.engines.musetalk.generator import BUCKETS, Generator, Speedup, bucket_for
from avatar.engines.musetalk.musetalk_engine import EngineOptions, MuseTalkEngine, _Row
from avatar.engines.musetalk.networks import TINY, random_networks
from avatar.engines.musetalk.original_avatar import load_original
from avatar.engines.musetalk.speech_features import LOOKAHEAD
from avatar.prepared import PreparedAvatar
from tests.fake_engine import make_avatar
from tests.musetalk_avatars import SIZE, write_original
from tests.shipped_speech import shipped_speech

FPS = 25
SOUND = shipped_speech("kiosk")[:32_000]


@pytest.fixture(scope="module")
def engine() -> MuseTalkEngine:
    return MuseTalkEngine(random_networks(TINY), EngineOptions(device="cpu", max_batch=8))


@pytest.fixture(scope="module")
def avatar(tmp_path_factory: pytest.TempPathFactory) -> PreparedAvatar:
    return load_original(write_original(tmp_path_factory.mktemp("avatars") / "anna"), SIZE)


@pytest.fixture
def slot(engine: MuseTalkEngine, avatar: PreparedAvatar):
    opened = engine.open(avatar, FPS)
    yield opened
    engine.close(opened)


def drawn(engine: MuseTalkEngine, slot: int, *jobs: FrameJob) -> list[Patch]:
    return [drawing() for (made,) in [engine.step([Work(slot, jobs)])] for drawing in made if drawing is not None]


def apart(one: Patch, other: Patch) -> int:
    return int(np.abs(one.rgba.astype(int) - other.rgba.astype(int)).max())


@pytest.mark.parametrize("fps", [10, 15, 20, 25, 30])
def test_a_frame_is_ready_when_its_lookahead_is_there_and_not_before(engine, avatar, fps):
    opened = engine.open(avatar, fps)
    try:
        for frame in range(4):
            enough = -(-frame * 16_000 // fps) + LOOKAHEAD
            engine.reset(opened)
            engine.push(opened, np.zeros(enough - 1, np.float32))
            assert engine.ready(opened) == frame
            engine.push(opened, np.zeros(1, np.float32))
            assert engine.ready(opened) == frame + 1
    finally:
        engine.close(opened)


def test_the_mouth_follows_the_sound_and_nothing_else_changes_it(engine, slot, avatar):
    quiet = np.zeros(len(SOUND), np.float32)
    engine.push(slot, SOUND)
    spoken = drawn(engine, slot, *[FrameJob(3)] * 10)
    engine.reset(slot)
    engine.push(slot, SOUND)
    assert [apart(*pair) for pair in zip(spoken, drawn(engine, slot, *[FrameJob(3)] * 10), strict=True)] == [0] * 10
    engine.reset(slot)
    engine.push(slot, quiet)
    silent = drawn(engine, slot, *[FrameJob(3)] * 10)
    assert max(apart(*pair) for pair in zip(spoken, silent, strict=True)) > 40
    assert spoken[0].box == avatar.state.mouths[3].box


def test_in_a_batch_each_stream_gets_what_it_gets_alone(engine, avatar):
    """Two streams, other sounds, other pictures: rows of both in one call."""
    slots = [engine.open(avatar, FPS) for _ in range(2)]
    sounds = (SOUND, SOUND[::-1].copy())
    try:
        alone = []
        for opened, sound in zip(slots, sounds, strict=True):
            engine.push(opened, sound)
            alone.append(drawn(engine, opened, FrameJob(1), FrameJob(2)))
            engine.reset(opened)
        for opened, sound in zip(slots, sounds, strict=True):
            engine.push(opened, sound)
        rows: list[int] = []
        make = engine._batches._make
        engine._batches._make = lambda asked: (rows.append(len(asked)), make(asked))[1]
        work = [Work(opened, [FrameJob(1), FrameJob(2)]) for opened in slots]
        together = [[drawing() for drawing in made if drawing] for made in engine.step(work)]
        engine._batches._make = make
        assert sum(rows) == 4 and max(rows) > 1
        for one, other in zip(alone, together, strict=True):
            assert [apart(*pair) <= 2 for pair in zip(one, other, strict=True)] == [True, True]
        assert apart(together[0][0], together[1][0]) > 10
    finally:
        for opened in slots:
            engine.close(opened)


def test_going_back_makes_the_same_frames_again_and_other_sound_others(engine, slot):
    engine.push(slot, SOUND)
    first = drawn(engine, slot, *[FrameJob(0)] * 12)
    engine.rewind(slot, 4, 16_000)
    assert engine.ready(slot) == (16_000 - LOOKAHEAD) * FPS // 16_000 + 1 - 4
    engine.push(slot, SOUND[16_000:])
    again = drawn(engine, slot, *[FrameJob(0)] * 8)
    assert [apart(*pair) <= 2 for pair in zip(first[4:], again, strict=True)] == [True] * 8
    engine.rewind(slot, 4, 3200)
    engine.push(slot, np.zeros(32_000, np.float32))
    other = drawn(engine, slot, *[FrameJob(0)] * 8)
    assert max(apart(*pair) for pair in zip(again, other, strict=True)) > 10
    for frame, heard in ((99, 3200), (-1, 3200), (0, 3201), (0, 320_000)):
        with pytest.raises(ValueError, match="cannot go back"):
            engine.rewind(slot, frame, heard)


def test_what_is_not_drawn_or_has_no_strength_costs_no_row(engine, slot, monkeypatch):
    asked: list[_Row] = []
    put = engine._batches.put
    monkeypatch.setattr(engine._batches, "put", lambda rows, slack: (asked.extend(rows), put(rows, slack))[1])
    engine.push(slot, SOUND)
    jobs = [FrameJob(0, draw=False), FrameJob(1, strength=0.0), FrameJob(2, strength=0.5), FrameJob(3)]
    (made,) = engine.step([Work(slot, jobs)])
    assert made[0] is None and len(asked) == 2
    at_rest = made[1]()
    assert not at_rest.rgba.any() and not engine.neutral(slot, 1).rgba.any()
    half, whole = made[2](), made[3]()
    assert half.rgba[..., 3].max() <= 128 < whole.rgba[..., 3].max()


def test_a_long_stretch_is_heard_in_windows_that_move_on(engine, slot):
    """Three seconds are a window of the tiny networks; after a minute it still tells silence from speech."""
    for _ in range(60):
        engine.push(slot, np.zeros(16_000, np.float32))
        engine.step([Work(slot, [FrameJob(0, draw=False)] * engine.ready(slot))])
    silent = drawn_next(engine, slot, np.zeros(8000, np.float32))
    spoken = drawn_next(engine, slot, SOUND[8000:16_000])
    assert apart(silent, spoken) > 10


def drawn_next(engine: MuseTalkEngine, slot: int, samples: np.ndarray) -> Patch:
    """The last frame that more samples suffice for."""
    engine.push(slot, samples)
    jobs = [FrameJob(0, draw=False)] * (engine.ready(slot) - 1)
    return drawn(engine, slot, *jobs, FrameJob(0))[0]


def test_what_cannot_be_done_is_refused(engine, slot):
    with pytest.raises(ValueError, match="0 frames, not 1"):
        engine.step([Work(slot, [FrameJob(0)])])
    with pytest.raises(ValueError, match="each once"):
        engine.step([Work(slot, []), Work(slot, [])])
    with pytest.raises(TypeError, match="not prepared for this engine"):
        engine.open(make_avatar("grey"), FPS)
    with pytest.raises(ValueError, match="cannot be used"):
        EngineOptions(device="cuda:7").place()


def test_nan_counts_as_silence(engine, slot):
    engine.push(slot, np.full(8000, np.nan, np.float32))
    broken = drawn(engine, slot, FrameJob(0))
    engine.reset(slot)
    engine.push(slot, np.zeros(8000, np.float32))
    assert apart(broken[0], drawn(engine, slot, FrameJob(0))[0]) == 0


@pytest.mark.parametrize(("most", "sizes"), [(1, (1,)), (2, (1, 2)), (8, (1, 4, 8)), (20, (1, 4, 8, 16, 20))])
def test_the_largest_batch_is_what_was_asked_for(most: int, sizes: tuple[int, ...]):
    cpu = torch.device("cpu")
    assert Generator(random_networks(TINY), cpu, torch.float32, Speedup.NONE, most).buckets == sizes


def test_batches_have_few_sizes():
    assert [bucket_for(rows, BUCKETS) for rows in (1, 2, 4, 5, 9, 17, 32)] == [1, 4, 4, 8, 16, 32, 32]
    with pytest.raises(ValueError, match="at most"):
        bucket_for(33, BUCKETS)


def test_latents_of_one_face_are_always_the_same(engine):
    face = np.random.default_rng(3).integers(0, 256, (1, 256, 256, 3)).astype(np.uint8)
    latents = engine.generator.latents_of(face)
    assert latents.shape == (1, 8, 32, 32) and latents.dtype == np.float16
    assert np.array_equal(latents, engine.generator.latents_of(face))
    other = face.copy()
    other[:, 128:] = 0
    assert np.array_equal(latents[:, :4], engine.generator.latents_of(other)[:, :4]), "its mouth is not looked at"
    assert not np.array_equal(latents[:, 4:], engine.generator.latents_of(other)[:, 4:])


def test_assets_of_an_avatar_are_on_the_device_once(engine, avatar):
    slots = [engine.open(avatar, FPS) for _ in range(3)]
    assert len({id(engine._slots[each].cast) for each in slots}) == 1 and slots == [0, 1, 2]
    for each in slots:
        engine.close(each)
    assert Path(avatar.name).name == "anna"
