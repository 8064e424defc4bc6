"""The embedded engine: slots, frames, batches, and lips that follow sentences with known phoneme times."""

import wave
from pathlib import Path

import numpy as np
import pytest

from avatar.engines.engine import REWIND_S, Engine, FrameJob, Work
from avatar.engines.viseme.features import log_mel
from avatar.engines.viseme.network import hear, load_network
from avatar.engines.viseme.parameters import NEUTRAL, PARAMETERS, gap
from avatar.engines.viseme.phonemes import VOWELS, read_segments, trajectory
from avatar.engines.viseme.viseme_engine import MAX_BATCH, RATES, WEIGHTS, VisemeEngine
from avatar.prepared import Box, PreparedAvatar

ROOT = Path(__file__).parents[2]
SENTENCES = sorted((ROOT / "tests" / "data").glob("sentence-*.wav"))
NETWORK = load_network(ROOT / "assets" / WEIGHTS)
BOX = Box(2, 4, 4, 2)


class Sketch:
    """A painter whose pictures are the mouths themselves: a patch's first pixels hold the parameters."""

    made = 0

    def __init__(self, avatar: PreparedAvatar) -> None:
        Sketch.made += 1

    def box(self, picture: int) -> Box:
        return BOX

    def paint(self, picture: int, mouth: np.ndarray) -> np.ndarray:
        return np.frombuffer(mouth.astype(np.float32).tobytes() + bytes(4), np.uint8).reshape(2, 4, 4)


def engine() -> VisemeEngine:
    return VisemeEngine(NETWORK, Sketch)


def avatar(digest: str = "one") -> PreparedAvatar:
    return PreparedAvatar("ada", "Ada", "viseme", 25, (64, 64), np.zeros((4, 96, 64), np.uint8), digest, None)


def speech(path: Path = SENTENCES[0]) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert file.getframerate() == 16_000
        return (np.frombuffer(file.readframes(file.getnframes()), np.int16) / 32768).astype(np.float32)


def frames(engine: VisemeEngine, slot: int, count: int, strength: float = 1.0) -> np.ndarray:
    """The next mouths of a slot. Shapes: (count, 7)."""
    drawings = engine.step([Work(slot, [FrameJob(0, strength)] * count)])[0]
    return np.array([mouth_of(drawing().rgba) for drawing in drawings if drawing]).reshape(-1, len(PARAMETERS))


def mouth_of(rgba: np.ndarray) -> np.ndarray:
    return np.frombuffer(rgba.tobytes(), np.float32)[: len(PARAMETERS)]


def shown(samples: np.ndarray, fps: int) -> np.ndarray:
    """All mouths of a recording at a rate."""
    made = engine()
    slot = made.open(avatar(), fps)
    made.push(slot, np.pad(samples, (0, made.lookahead_samples)))
    return frames(made, slot, min(made.ready(slot), len(samples) * fps // 16_000))


def test_it_is_an_engine() -> None:
    contract: Engine = engine()
    assert (contract.name, contract.sample_rate) == ("viseme", 16_000)
    assert contract.lookahead_samples <= 0.12 * 16_000


@pytest.mark.parametrize("fps", RATES)
def test_look_ahead_is_enough_for_every_frame_and_no_more_than_needed(fps: int) -> None:
    made = engine()
    slot = made.open(avatar(), fps)
    pushed = 0
    for frame in range(40):
        enough = frame * 16_000 // fps + made.lookahead_samples + 1
        made.push(slot, np.zeros(enough - pushed, np.float32))
        pushed = enough
        assert made.ready(slot) >= 1
        frames(made, slot, 1)


@pytest.mark.parametrize("fps", RATES)
def test_chunks_of_any_length_give_the_mouths_of_the_whole(fps: int) -> None:
    samples = speech()[:40_000]
    whole = hear(NETWORK, log_mel(samples))
    made = engine()
    slot = made.open(avatar(), fps)
    dice = np.random.default_rng(fps)
    parts, start = [], 0
    while start < len(samples):
        length = int(dice.integers(1, 2500))
        made.push(slot, samples[start : start + length])
        start += length
        parts.append(frames(made, slot, made.ready(slot)))
    mouths = np.concatenate(parts)
    steps = np.arange(len(mouths)) * 50 / fps
    expected = np.stack([np.interp(steps, np.arange(len(whole)), column) for column in whole.T], 1)
    np.testing.assert_allclose(mouths, expected, atol=1e-5)


def test_many_slots_in_one_step_say_what_each_says_alone() -> None:
    made, samples = engine(), speech()
    slots = [made.open(avatar(), fps) for fps in (25, 30, 10, 25)]
    alone = [
        shown(samples[start : start + 20_000], fps) for start, fps in ((0, 25), (8000, 30), (16_000, 10), (24_000, 25))
    ]
    for slot, start in zip(slots, (0, 8000, 16_000, 24_000), strict=True):
        made.push(slot, samples[start : start + 20_000])
    counts = [10, 0, 3, 17]
    drawings = made.step([Work(slot, [FrameJob(0)] * count) for slot, count in zip(slots, counts, strict=True)])
    for row, (made_now, count) in enumerate(zip(drawings, counts, strict=True)):
        assert len(made_now) == count
        for drawing, expected in zip(made_now, alone[row], strict=False):
            assert drawing is not None
            np.testing.assert_allclose(mouth_of(drawing().rgba), expected, atol=1e-5)


def test_strength_eases_towards_the_neutral_mouth() -> None:
    full, none, half = engine(), engine(), engine()
    mouths = []
    for made, strength in ((full, 1.0), (none, 0.0), (half, 0.5)):
        slot = made.open(avatar(), 25)
        made.push(slot, speech()[:32_000])
        mouths.append(frames(made, slot, 40, strength))
    np.testing.assert_array_equal(mouths[1], np.tile(NEUTRAL, (40, 1)))
    np.testing.assert_allclose(mouths[2], (mouths[0] + mouths[1]) / 2, atol=1e-6)


def test_a_frame_that_is_not_drawn_still_passes() -> None:
    made, samples = engine(), speech()[:32_000]
    slot = made.open(avatar(), 25)
    made.push(slot, samples)
    drawings = made.step([Work(slot, [FrameJob(0, draw=False)] * 20 + [FrameJob(3)])])[0]
    assert drawings[:20] == [None] * 20
    assert drawings[20] is not None
    patch = drawings[20]()
    assert (patch.picture, patch.box) == (3, BOX)
    np.testing.assert_allclose(mouth_of(patch.rgba), shown(samples, 25)[20], atol=1e-5)


def test_reset_begins_anew() -> None:
    made, samples = engine(), speech()[8000:24_000]
    slot = made.open(avatar(), 25)
    made.push(slot, samples)
    first = frames(made, slot, 10)
    made.reset(slot)
    assert made.ready(slot) == 0
    made.push(slot, samples)
    np.testing.assert_array_equal(frames(made, slot, 10), first)


@pytest.mark.parametrize("fps", RATES)
def test_frames_can_be_made_again(fps: int) -> None:
    made, samples = engine(), speech()[:48_000]
    slot = made.open(avatar(), fps)
    made.push(slot, samples)
    first = frames(made, slot, made.ready(slot))
    for back in (len(first) // 3, 0, len(first)):
        made.rewind(slot, back, len(samples))
        np.testing.assert_array_equal(frames(made, slot, len(first) - back), first[back:])


@pytest.mark.parametrize("made_s", [1.2, 1.7, 2.5])
@pytest.mark.parametrize("fps", RATES)
def test_what_is_forgotten_is_not_heard(fps: int, made_s: float) -> None:
    """Speech is cut after 1.8 s, when frames were made up to then, or further; silence and other speech follow."""
    made, heard, back = engine(), 28_800, fps
    slot = made.open(avatar(), fps)
    made.push(slot, speech()[:48_000])
    first = frames(made, slot, round(made_s * fps))
    made.rewind(slot, back, heard)
    other = np.pad(speech(SENTENCES[1])[:32_000], (9600, 0))
    made.push(slot, other)
    made.push(slot, np.zeros(made.lookahead_samples, np.float32))
    again = frames(made, slot, (heard + len(other)) * fps // 16_000 - back)
    stays = round((min(made_s, heard / 16_000) - 0.1) * fps)
    np.testing.assert_array_equal(again[: stays - back], first[back:stays])
    never_heard = shown(np.concatenate([speech()[:heard], other]), fps)[back:][: len(again)]
    assert len(again) == len(never_heard), "as many as the samples suffice for"
    np.testing.assert_allclose(again[: stays - back], never_heard[: stays - back], atol=1e-5)
    likeness = np.corrcoef(gap(again), gap(never_heard))[0, 1]
    assert likeness > 0.97, "the network remembers the first speech, or does not: that makes little difference"


def test_what_a_slot_cannot_go_back_to_is_refused() -> None:
    made = engine()
    slot = made.open(avatar(), 30)
    count = 0
    for _ in range(REWIND_S + 2):
        made.push(slot, np.zeros(16_000, np.float32))
        count += len(frames(made, slot, made.ready(slot)))
    for frame, heard in ((0, 16_000), (50, 16_000), (count + 1, 16_000), (count, 320 * 901), (count, 100), (-1, 0)):
        with pytest.raises(ValueError, match="slot 0"):
            made.rewind(slot, frame, heard)
    made.rewind(slot, 60, 320 * 150)


def test_broken_samples_do_not_poison_a_slot() -> None:
    made, samples = engine(), speech()[:32_000].copy()
    slot = made.open(avatar(), 25)
    made.push(slot, np.full(800, np.nan, np.float32))
    made.push(slot, np.full(800, np.inf, np.float32))
    made.push(slot, samples)
    mouths = frames(made, slot, made.ready(slot))
    assert np.isfinite(mouths).all()
    np.testing.assert_allclose(mouths, shown(np.pad(samples, (1600, 0)), 25)[: len(mouths)], atol=1e-5)


def test_frames_that_are_not_ready_are_refused() -> None:
    made = engine()
    slot = made.open(avatar(), 25)
    made.push(slot, np.zeros(16_000, np.float32))
    ready = made.ready(slot)
    with pytest.raises(ValueError, match=f"{ready + 1}"):
        made.step([Work(slot, [FrameJob(0)] * (ready + 1))])
    assert made.ready(slot) == ready


def test_a_slot_twice_or_too_many_slots_are_refused() -> None:
    made = engine()
    slots = [made.open(avatar(), 25) for _ in range(MAX_BATCH + 1)]
    assert len(made.step([Work(slot, []) for slot in slots[:MAX_BATCH]])) == MAX_BATCH
    with pytest.raises(ValueError, match="64"):
        made.step([Work(slot, []) for slot in slots])
    with pytest.raises(ValueError, match="once"):
        made.step([Work(slots[0], []), Work(slots[0], [])])


def test_a_rate_that_is_not_offered_is_refused() -> None:
    with pytest.raises(ValueError, match="24"):
        engine().open(avatar(), 24)


def test_slots_of_one_avatar_share_a_painter() -> None:
    made, before = engine(), Sketch.made
    slots = [made.open(avatar("one"), 25), made.open(avatar("one"), 30), made.open(avatar("two"), 25)]
    assert Sketch.made == before + 2
    assert len(set(slots)) == 3
    made.close(slots[1])
    assert made.open(avatar("two"), 25) == slots[1]
    assert Sketch.made == before + 2


def test_the_neutral_patch_is_the_painter_s_neutral_mouth() -> None:
    made = engine()
    patch = made.neutral(made.open(avatar(), 25), 2)
    assert (patch.picture, patch.box) == (2, BOX)
    np.testing.assert_array_equal(mouth_of(patch.rgba), NEUTRAL)


@pytest.mark.parametrize("path", SENTENCES, ids=lambda path: path.stem)
def test_lips_follow_a_voice_that_was_never_heard(path: Path) -> None:
    mouths = shown(speech(path), 25)
    segments = read_segments(path.with_suffix(".json"))
    times_s = np.arange(len(mouths)) / 25
    said, truth = gap(mouths), gap(trajectory(segments, times_s))
    fits = [np.corrcoef(np.roll(said, -shift)[2:-2], truth[2:-2])[0, 1] for shift in (-1, 0, 1)]
    assert np.corrcoef(said, truth)[0, 1] >= 0.85
    assert int(np.argmax(fits)) == 1  # neither a frame early nor late

    def near(start_s: float, end_s: float) -> np.ndarray:
        return said[(times_s >= start_s - 0.02) & (times_s <= end_s + 0.02)]

    closures = [near(s.start_s, s.end_s).min() for s in segments if s.viseme == "PP"]
    openings = [near(s.start_s, s.end_s).max() for s in segments if s.viseme in VOWELS and s.stressed]
    assert np.mean(np.array(closures) < 0.1) >= 0.9
    assert np.mean(np.array(openings) > 0.1) >= 0.9
