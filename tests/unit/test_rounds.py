"""Who is planned when, and what becomes of a stream that is being finished."""

import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest

from avatar import rounds
from avatar.engines.engine import Drawing, Patch, Work
from avatar.messages import Codec, Encoding, FromWorker, OpenStream, Unit, VideoFormat
from avatar.pipeline import Pipeline
from avatar.rounds import Landed, Rounds
from avatar.speech_buffer import SpeechBuffer
from tests.audio_files import tone
from tests.fake_engine import SIZE, FakeLibrary, LoudnessEngine, make_avatar
from tests.played_stream import into

WAIT_S = 20.0
FIRST = 100


def spoken(seconds: float) -> SpeechBuffer:
    """So much of a tone."""
    buffer = SpeechBuffer(seconds + 1)
    buffer.put((tone(seconds, 997) * 32767).astype(np.int16), tone(seconds, 997, rate=16_000))
    buffer.finish(None)
    return buffer


class Floor:
    """Streams that all have been granted frames, and rounds whose pictures are laid in only when ``open`` is set."""

    def __init__(self, streams: int, threads: int) -> None:
        self.engine = LoudnessEngine()
        self.open = threading.Event()
        self.landed: queue.SimpleQueue[Landed] = queue.SimpleQueue()
        self.said: list[FromWorker] = []
        self.failed: list[tuple[str, str]] = []
        self.streams = {name: self.stream(name) for name in "abcdefgh"[:streams]}
        self.rounds = Rounds(
            threads,
            [self.engine],
            self.compose,
            into(self.said),
            self.landed.put,
            lambda stream, error: self.failed.append((stream.name, str(error))),
        )

    def stream(self, name: str, avatar: str = "grey") -> Pipeline:
        """One that speaks from frame ``FIRST`` on."""
        opened = OpenStream(name, avatar, VideoFormat(*SIZE, 25, 500_000))
        stream = Pipeline(opened, make_avatar(avatar), self.engine, 10.0)
        stream.set_encodings([Encoding(Codec.H264)])
        stream.enqueue(f"of-{name}", spoken(1.0))
        stream.go_live(FIRST)
        stream.advance(FIRST + 4, FIRST)
        return stream

    def compose(self, picture: np.ndarray, patch: Patch, out: np.ndarray) -> None:
        """As the fake library, when it may."""
        assert self.open.wait(WAIT_S)
        FakeLibrary.compose(self, picture, patch, out)  # type: ignore[arg-type]

    def land(self) -> Landed:
        """The next one that is finished, as the render thread takes note of it."""
        landed = self.landed.get(timeout=WAIT_S)
        self.rounds.landed(landed)
        return landed

    def pictures(self, name: str) -> int:
        return sum(isinstance(each, Unit) and each.codec is Codec.H264 and each.stream == name for each in self.said)


@contextmanager
def floor(streams: int, threads: int = 2) -> Iterator[Floor]:
    made = Floor(streams, threads)
    try:
        yield made
    finally:
        made.open.set()


def test_a_stream_that_is_finished_gets_no_turn_and_the_others_do():
    with floor(1, threads=3) as made:
        made.rounds.begin(made.streams)
        assert made.rounds.busy("a") and not made.rounds.due(made.streams)
        made.streams["b"] = made.stream("b")
        assert made.rounds.due(made.streams)
        made.streams["a"].advance(FIRST + 8, FIRST)
        made.rounds.begin(made.streams)
        assert made.rounds.busy("b") and not made.rounds.due(made.streams)
        assert made.streams["a"].demand().next_frame == FIRST + 1, "a stretch begins with one picture"
        made.open.set()
        assert {made.land().stream.name for _ in range(2)} == {"a", "b"}
        assert made.rounds.due(made.streams)


def test_a_round_begins_when_the_pool_runs_dry_not_when_it_is_idle():
    with floor(4) as made:
        made.rounds.begin(made.streams)
        assert all(made.rounds.busy(name) for name in made.streams)
        made.open.set()
        for left in (3, 2):
            made.land()
            assert not made.rounds.due(made.streams), f"{left} are enough for two threads"
        made.land()
        assert made.rounds.due(made.streams)
        made.rounds.begin(made.streams)
        assert sum(made.rounds.busy(name) for name in made.streams) == 4
        for _ in made.streams:
            assert made.land().error is None
        assert sum(made.pictures(name) for name in made.streams) == 4 + 3 * 2


def test_what_cannot_be_heard_fails_and_what_cannot_be_drawn_lands_with_its_error():
    with floor(1) as made:
        made.open.set()
        made.streams |= {name: made.stream(name, avatar) for name, avatar in (("deaf", "breaks"), ("torn", "tears"))}
        made.rounds.begin(made.streams)
        assert made.failed == [("deaf", "this avatar cannot be heard")] and not made.rounds.busy("deaf")
        errors = {landed.stream.name: landed.error for landed in (made.land(), made.land())}
        assert errors["a"] is None and str(errors["torn"]) == "this avatar cannot be drawn"
        assert not made.rounds.busy("torn")


def test_a_stream_that_takes_too_long_is_stuck_until_it_lands(monkeypatch: pytest.MonkeyPatch):
    with floor(1) as made:
        made.rounds.begin(made.streams)
        assert not made.rounds.stuck
        monkeypatch.setattr(rounds, "STUCK_S", -1.0)
        assert made.rounds.stuck
        made.open.set()
        made.land()
        assert not made.rounds.stuck


class Clock:
    """In place of the module ``time``: it stands still until it is moved on."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def monotonic(self) -> float:
        return self.now_s

    perf_counter = monotonic


class Card(LoudnessEngine):
    """An engine whose pictures are dear."""

    name = "card"
    hurried_fps = 15

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bool] = []
        """Whether each frame was to be drawn."""

    def step(self, work: Sequence[Work]) -> list[list[Drawing | None]]:
        self.asked += [job.draw for each in work for job in each.frames]
        return super().step(work)


def in_time(stream: Pipeline) -> None:
    """Grant it the frame that is to be shown now, and the one after."""
    frame = stream.demand().next_frame
    stream.advance(frame + 2, frame)


def test_a_stream_that_is_being_finished_is_no_sign_of_calm(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    with floor(1, threads=3) as made:
        for _ in range(8):
            made.open.clear()
            in_time(made.streams["a"])
            made.rounds.begin(made.streams)
            for _ in range(5):  # messages come, and nobody is there to be asked
                clock.now_s += 0.1
                made.rounds.begin(made.streams)
            made.open.set()
            assert made.land().error is None
        assert made.rounds.quick


def test_only_streams_of_an_engine_that_is_behind_make_haste_and_half_of_its_pictures(monkeypatch: pytest.MonkeyPatch):
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    with floor(0) as made:
        made.open.set()
        drawn, card = Card(), Card()
        drawn.name = "drawn"
        made.rounds = Rounds(2, [drawn, card], made.compose, made.said.append, made.landed.put, lambda *_: None)
        for name, engine in (("early", drawn), ("late", card)):
            made.engine = engine
            made.streams[name] = made.stream(name)
        early, late = made.streams["early"], made.streams["late"]
        early.go_live(FIRST)
        for turn in range(12):
            early.advance(FIRST + 2 * turn + 2, FIRST - 12)
            in_time(late)
            made.rounds.begin(made.streams)
            for _ in range(2):
                assert made.land().error is None
            clock.now_s += 0.2
            if turn == 6:
                assert made.rounds.quick
                card.asked.clear()
        assert all(drawn.asked) and all(one != other for one, other in pairwise(card.asked))
        assert made.pictures("early") == len(drawn.asked)
        assert made.pictures("late") == late.demand().next_frame - FIRST, "each that is not made is the last one again"
