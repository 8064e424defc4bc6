"""Idle, speech, idle: what a viewer of a filmed avatar sees at both seams, before any codec blurs it.

Idle loops and live stretches are made as they are for viewers, by engines and pipelines; only the encoder is replaced,
by one whose units are the pictures. A stretch may begin at any frame of the start grid, of hours: a hundred do.
"""

import dataclasses
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from avatar.compose import compose
from avatar.encode import Picture
from avatar.engines.engine import Engine, Work
from avatar.engines.musetalk.adopt import adopt
from avatar.engines.musetalk.musetalk_engine import EngineOptions, MuseTalkEngine
from avatar.engines.musetalk.networks import TINY, random_networks
from avatar.engines.viseme.network import load_network
from avatar.engines.viseme.viseme_engine import WEIGHTS, VisemeEngine
from avatar.engines.viseme.warp import WarpPainter
from avatar.idle_loop import encode_phase
from avatar.messages import (
    FRAME_RATES,
    IDLE_PHASES,
    Codec,
    EncodeIdle,
    Encoding,
    FromWorker,
    OpenStream,
    Unit,
    VideoFormat,
    WentIdle,
    idle_grid,
    start_grid,
)
from avatar.outbox import Send
from avatar.pipeline import Pipeline
from avatar.prepare import Order, prepare
from avatar.prepared import PreparedAvatar, load_prepared
from avatar.scheduler import plan
from avatar.speech_buffer import SpeechBuffer
from tests.musetalk_avatars import SIZE as ORIGINAL_SIZE
from tests.musetalk_avatars import write_original
from tests.played_stream import NoMeter, plain_packets
from tests.portraits import portrait
from tests.shipped_speech import SHIPPED, shipped_speech

ROOT = Path(__file__).parents[2]
STARTS = 100
HOURS_S = 7200
FILM_SIZE = (128, 128)
SMALL = dataclasses.replace(TINY, unet=(4, 4, 8, 8), vae=(4, 4, 4, 4))
"""A hundred starts take a hundred faces, at least."""
LEAD = 4
"""Frames that are granted ahead."""
Shown = NDArray[np.uint8]


class PlainPictures:
    """An encoder whose units are the pictures."""

    def __init__(
        self, codec: Codec, shape: VideoFormat, *, idle: bool = False, rendition: int = 0, quick: bool = False
    ):
        self.quick = quick

    def encode(self, picture: Shown, frame: int, *, keyframe: bool) -> Picture:
        return Picture(picture.tobytes(), keyframe)


class Face:
    """An avatar on air at one rate, and where its mouth can be."""

    def __init__(self, avatar: PreparedAvatar, engine: Engine, masks: list[NDArray[np.bool_]], fps: int) -> None:
        self.avatar, self.engine, self.fps = avatar, engine, fps
        self.masks = [as_planes(mask) for mask in masks]
        shape = VideoFormat(*avatar.size, fps)
        self._shape = avatar.pictures[0].shape
        self._pipeline = Pipeline(OpenStream("a", avatar.name, shape), avatar, engine, 10.0)
        self._pipeline.set_encodings([Encoding(Codec.H264)])
        neutral = [engine.neutral(self._pipeline.slot, picture) for picture in range(len(avatar.pictures))]
        order = EncodeIdle(avatar.name, shape, Codec.H264)
        self._loops = [encode_phase(avatar, neutral, order, phase, compose) for phase in range(IDLE_PHASES)]

    def idle(self, frame: int) -> Shown:
        """What is shown at a frame while nobody speaks, to who came from speech on it."""
        loop = self._loops[frame // idle_grid(self.fps) % IDLE_PHASES]
        unit = loop.units[(frame - loop.first_frame) % len(loop.units)]
        return np.frombuffer(unit, np.uint8).reshape(self._shape)

    def outside(self, frame: int) -> NDArray[np.bool_]:
        return ~self.masks[self.avatar.picture_at(frame, self.fps)]

    def under_mask(self, frame: int, before: Shown, after: Shown) -> float:
        """How far two pictures differ where the mouth of ``frame`` can be. Units: grey levels, mean."""
        where = ~self.outside(frame)
        return float(np.abs(before[where].astype(int) - after[where]).mean())

    def speak(self, start: int, samples: NDArray[np.float32]) -> dict[int, Shown]:
        """The pictures of a stretch, until it is idle again."""
        said: list[FromWorker] = []
        buffer = SpeechBuffer(10)
        buffer.put((np.repeat(samples, 3) * 32_767).astype(np.int16), samples)
        buffer.finish()
        self._pipeline.enqueue("u", buffer)
        self._pipeline.go_live(start)
        now = start - LEAD
        while self._pipeline.live:
            self._pipeline.advance(now + LEAD + 1, now)
            self._work(said.append)
            now += 1
        units = [each for each in said if isinstance(each, Unit) and each.codec is Codec.H264]
        (end,) = [each.frame for each in said if isinstance(each, WentIdle)]
        assert len(units) == end - start
        return {
            each.media_time * self.fps // 90_000: np.frombuffer(each.data, np.uint8).reshape(self._shape)
            for each in units
        }

    def _work(self, send: Send) -> None:
        """Make all that is granted."""
        while self._pipeline.live and (turns := plan([self._pipeline.demand()], 8)):
            (turn,) = turns
            prepared = self._pipeline.prepare(turn, send)
            (drawings,) = self.engine.step([Work(self._pipeline.slot, prepared.jobs)])
            self._pipeline.finish(prepared, drawings, compose, send, NoMeter())


def as_planes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of luma, as it is in I420: a sample of colour is under the mask where any of its four pixels is."""
    height, width = mask.shape
    half = mask.reshape(height // 2, 2, width // 2, 2).any(axis=(1, 3))
    return np.vstack([mask, np.stack([half, half]).reshape(height // 2, width)])


def within(size: tuple[int, int], box: tuple[int, int, int, int]) -> NDArray[np.bool_]:
    mask = np.zeros(size[::-1], bool)
    x, y, width, height = box
    mask[y : y + height, x : x + width] = True
    return mask


@pytest.fixture(scope="module", autouse=True)
def plain() -> Iterator[None]:
    """As in the worker, networks have one thread: more would wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with plain_packets(), pytest.MonkeyPatch.context() as patch:
        for module in ("encoders", "idle_loop"):
            patch.setattr(f"avatar.{module}.PictureEncoder", PlainPictures)
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedAvatar, Engine, list[NDArray[np.bool_]]]:
    """A video that was prepared, for the engine that needs no GPU; its mouth may change in a box."""
    root = tmp_path_factory.mktemp("film")
    prepare(Order(str(portrait(root / "video.mp4", 25)), str(root / "anna"), "anna", "", [FILM_SIZE]), lambda *_: None)
    avatar = load_prepared(root / "anna", FILM_SIZE)
    painter = WarpPainter(avatar)
    masks = [within(FILM_SIZE, painter.box(picture)) for picture in range(len(avatar.pictures))]
    return avatar, VisemeEngine(load_network(ROOT / "assets" / WEIGHTS), WarpPainter), masks


@pytest.fixture(scope="module")
def musetalk(tmp_path_factory: pytest.TempPathFactory) -> tuple[PreparedAvatar, Engine, list[NDArray[np.bool_]]]:
    """One of the original server's, adopted; its networks are chance, and show noise under the mask."""
    root = tmp_path_factory.mktemp("musetalk")
    adopt(write_original(root / "original"), root / "anna", "anna", [ORIGINAL_SIZE], lambda _: None)
    avatar = load_prepared(root / "anna", ORIGINAL_SIZE)
    masks = []
    for mouth in avatar.state.mouths:  # type: ignore[attr-defined]
        mask = within(ORIGINAL_SIZE, mouth.box)
        mask[mask] = (mouth.alpha > 0).ravel()
        masks.append(mask)
    return avatar, MuseTalkEngine(random_networks(SMALL), EngineOptions(device="cpu", max_batch=4)), masks


@pytest.mark.parametrize(
    ("made", "rates", "longest_s", "most_at_seam"), [("film", FRAME_RATES, 0.2, 3.0), ("musetalk", (10,), 0.05, 20.0)]
)
def test_at_a_hundred_starts_nothing_jumps(
    made: str, rates: Sequence[int], longest_s: float, most_at_seam: float, request: pytest.FixtureRequest
):
    """Outside the mask every picture of speech is the idle loop's for its moment, to the bit; so the pose goes on.

    Under the mask the first picture differs from the one before by ``most_at_seam`` grey levels at most, in the mean
    since it shows half of the mouth that is heard (noise, of musetalk's); the last one is the idle loop's again.
    """
    dice, at_seams = random.Random(11), list[float]()
    for fps in rates:
        face = Face(*request.getfixturevalue(made), fps)
        for _ in range(STARTS // len(rates)):
            start = dice.randrange(1, HOURS_S * fps // start_grid(fps)) * start_grid(fps)
            seen = face.speak(start, some_speech(dice, longest_s))
            assert list(seen) == list(range(start, start + len(seen))), "no picture is missing, none comes twice"
            for frame, picture in seen.items():
                outside = face.outside(frame)
                assert np.array_equal(picture[outside], face.idle(frame)[outside])
            assert np.array_equal(picture, face.idle(frame)), "the mouth is shut, and so are the lips of the loop"
            at_seams.append(face.under_mask(start, face.idle(start - 1), seen[start]))
        assert not np.array_equal(face.idle(start)[face.outside(start)], face.idle(start + fps)[face.outside(start)])
    assert len(at_seams) == STARTS
    assert 0.1 < max(at_seams) < most_at_seam


def some_speech(dice: random.Random, longest_s: float) -> NDArray[np.float32]:
    """From the midst of a sentence, so that the first picture has a mouth to show."""
    sentence = shipped_speech(dice.choice(SHIPPED))
    at = dice.randrange(8000, len(sentence) - 16_000)
    return sentence[at : at + round(dice.uniform(longest_s / 2, longest_s) * 16_000)]
