"""Rounds of frames: which streams are heard together, and which thread draws and encodes what came of it.

The render thread plans and hears, all streams in one call of the engine; the threads of a pool finish, each a stream at
a time. A round begins as soon as the pool would run dry, not when the last one is finished: nobody waits for the
slowest. It also begins for the streams of an engine that has a processor of its own, which is idle: while the pictures
of some are encoded, those of others are made. A stream that is being finished is ``busy``, and what is to be done with
it has to wait.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

from avatar.breadth import Breadth
from avatar.deadlines import SlackMeter
from avatar.engines.engine import Drawing, Engine, Work
from avatar.haste import BEGINS_S, SHEDS_S, Haste
from avatar.messages import VIDEO_HZ, Codec, FromWorker, Unit
from avatar.meter import StageMeter
from avatar.outbox import Send, Unmade
from avatar.pipeline import Compose, Pipeline, Prepared
from avatar.scheduler import FRAMES_A_ROUND, Demand, Turn, plan

log = logging.getLogger(__name__)

STUCK_S: Final = 2.0
"""A stream that takes longer to finish hangs: in a second a hundred frames are made."""
SMOOTHING: Final = 0.2
"""Of how long a picture takes: a longer time counts at once, a shorter one by so much."""
NO_HURRY_S: Final = 60.0
"""What nobody waits for is made after all that somebody does."""


@dataclass(frozen=True, slots=True)
class Landed:
    """A stream is not busy any more."""

    stream: Pipeline
    error: Exception | None


@dataclass(frozen=True, slots=True)
class _Planned:
    stream: Pipeline
    prepared: Prepared
    slack_s: float

    @property
    def work(self) -> Work:
        """What the engine is asked for."""
        return Work(self.stream.slot, self.prepared.jobs, self.slack_s)


@dataclass(frozen=True, slots=True)
class _Heard:
    stream: Pipeline
    prepared: Prepared
    drawings: Sequence[Drawing | None]
    planned_s: float

    def made_in_s(self, began_s: float, ended_s: float) -> float:
        """From the plan to its first picture."""
        return began_s - self.planned_s + (ended_s - began_s) / max(1, sum(map(callable, self.drawings)))


class Rounds:
    """The worker's. Only the render thread calls it."""

    def __init__(
        self,
        threads: int,
        engines: Collection[Engine],
        compose: Compose,
        send: Send,
        land: Callable[[Landed], None],
        fail: Callable[[Pipeline, Exception], None],
    ) -> None:
        """``land`` is called by any thread, ``fail`` for a stream that cannot be planned or heard."""
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads, "finish")
        self._engines, self._compose, self._send = engines, compose, send
        self._most = min(engine.max_batch for engine in engines)
        self._land, self._fail = land, fail
        self._haste = {each.name: Haste(SHEDS_S if each.hurried_fps else BEGINS_S) for each in engines}
        """Of each engine's streams: where one does not keep up, those of another lose nothing by it."""
        self._busy: dict[str, float] = {}
        """Since when, by name."""
        self.meter, self.slack = StageMeter(), SlackMeter()
        self.frames = self.late_frames = 0
        # one with a processor of its own makes a full batch in little more time than one picture
        self._breadth = {each.name: Breadth(each.max_batch if each.hurried_fps else FRAMES_A_ROUND) for each in engines}
        self._made_in_s = {each.name: 0.0 for each in engines}
        """From a plan to a turn's first picture, as it lately was, by engine."""

    @property
    def quick(self) -> bool:
        """Whether pictures are made in haste, be it by one of the engines."""
        return any(haste.quick for haste in self._haste.values())

    @property
    def stuck(self) -> bool:
        """Whether a stream is not finished in any time that is to be expected."""
        return any(time.monotonic() - since_s > STUCK_S for since_s in self._busy.values())

    def busy(self, stream: str) -> bool:
        """Whether its frames are being finished."""
        return stream in self._busy

    def landed(self, landed: Landed) -> None:
        """What ``land`` was called with has reached the render thread."""
        del self._busy[landed.stream.name]

    def due(self, streams: dict[str, Pipeline]) -> bool:
        """Whether there is something to be made and somebody to finish it."""
        demands = self._served(streams, self._demands(streams)) if self._open else []
        return any(demand.next_frame < demand.until for demand in demands)

    @property
    def _open(self) -> bool:
        """Whether a round can begin at all: asked after every message, and most come while the pool is full."""
        return len(self._busy) < self._threads or any(engine.idle for engine in self._engines)

    def begin(self, streams: dict[str, Pipeline]) -> None:
        """One turn for each stream that is due; ``streams`` are put in the order in which they had their last turns."""
        if not self._open:
            return
        asked = self._demands(streams)
        demands = self._served(streams, asked)
        if len(self._busy) >= self._threads and not any(demand.next_frame < demand.until for demand in demands):
            return
        self._look(streams, asked)
        slack_s = {demand.stream: NO_HURRY_S if demand.patient else demand.ahead_s for demand in demands}
        planned: defaultdict[int, list[_Planned]] = defaultdict(list)
        for turn in plan(demands, self._most):
            stream = streams[turn.stream] = streams.pop(turn.stream)
            stream.hurry(self._haste[stream.engine.name].quick)
            prepared = self._prepare(stream, turn)
            if prepared is not None:
                planned[id(stream.engine)].append(_Planned(stream, prepared, slack_s[stream.name]))
        for together in planned.values():
            for heard in self._hear(together):
                self._busy[heard.stream.name] = time.monotonic()
                self._pool.submit(self._finish, heard)

    def _look(self, streams: dict[str, Pipeline], asked: list[Demand]) -> None:
        """Whether each engine's streams are behind.

        One that is busy says nothing of it; while all are, neither does the time: it is no calm if nobody can be asked.
        """
        now_s = time.monotonic()
        for name, haste in self._haste.items():
            mine = [demand for demand in asked if streams[demand.stream].engine.name == name]
            free = [demand for demand in mine if not self.busy(demand.stream)]
            if free or not mine:
                haste.look(free, now_s)

    def _demands(self, streams: dict[str, Pipeline]) -> list[Demand]:
        """Those of all live streams."""
        return [self._demand(stream) for stream in streams.values() if stream.live]

    def _demand(self, stream: Pipeline) -> Demand:
        engine = stream.engine.name
        made_in_s, breadth = self._made_in_s[engine], self._breadth[engine].streams
        return replace(stream.demand(), made_in_s=made_in_s, engine=engine, breadth=breadth)

    def _served(self, streams: dict[str, Pipeline], asked: list[Demand]) -> list[Demand]:
        """The same, but one that is busy, or that nobody could finish, demands nothing for now."""
        free = len(self._busy) < self._threads
        may = {
            each.stream for each in asked if not self.busy(each.stream) and (free or streams[each.stream].engine.idle)
        }
        return [each if each.stream in may else replace(each, until=each.next_frame) for each in asked]

    def _prepare(self, stream: Pipeline, turn: Turn) -> Prepared | None:
        try:
            prepared = stream.prepare(turn, self._send)
        except Exception as error:
            log.exception("stream %s: planning failed", stream.name, extra={"stream": stream.name})
            self._fail(stream, error)
            return None
        late = sum(not shown for shown in prepared.shown[: turn.late])
        self.frames += len(prepared.jobs)
        self.late_frames += late
        if late:
            log.debug("stream %s: %d frames too late to be shown", stream.name, late, extra={"stream": stream.name})
        return prepared

    def _hear(self, planned: list[_Planned]) -> list[_Heard]:
        """Drawings for all streams of an engine in one batch; where that fails, each by itself: whose fault is it."""
        engine, began_s = planned[0].stream.engine, time.monotonic()
        ready = [engine.ready(each.stream.slot) for each in planned]
        try:
            drawings = self._step(engine, [each.work for each in planned])
        except Exception:
            log.exception("the engine failed for %d streams at once", len(planned))
            alone = [self._hear_alone(each, before) for each, before in zip(planned, ready, strict=True)]
            return [heard for heard in alone if heard is not None]
        return [_Heard(each.stream, each.prepared, made, began_s) for each, made in zip(planned, drawings, strict=True)]

    def _hear_alone(self, planned: _Planned, ready_before: int) -> _Heard | None:
        """One stream's drawings after a failed batch; None where it fails by itself.

        Frames that the batch made of it are lost: not shown, but heard.
        """
        stream, jobs = planned.stream, planned.prepared.jobs
        lost = ready_before - stream.engine.ready(stream.slot)
        try:
            (rest,) = self._step(stream.engine, [Work(stream.slot, jobs[lost:], planned.slack_s)])
        except Exception as error:
            log.exception("stream %s: the engine failed", stream.name, extra={"stream": stream.name})
            self._fail(stream, error)
            return None
        return _Heard(stream, planned.prepared, [*[None] * lost, *rest], time.monotonic())

    def _step(self, engine: Engine, work: list[Work]) -> list[list[Drawing | None]]:
        began_s = time.perf_counter()
        drawings = engine.step(work)
        self.meter.add("engine", time.perf_counter() - began_s)
        return drawings

    def _finish(self, heard: _Heard) -> None:
        error: Exception | None = None
        began_s = time.monotonic()
        try:
            heard.stream.finish(heard.prepared, heard.drawings, self._compose, self._timed(heard.stream), self.meter)
        except Exception as problem:
            name = heard.stream.name
            log.exception("stream %s: drawing or encoding failed", name, extra={"stream": name})
            error = problem
        took_s, engine = heard.made_in_s(began_s, time.monotonic()), heard.stream.engine.name
        before_s = self._made_in_s[engine]
        self._made_in_s[engine] = max(took_s, before_s + SMOOTHING * (took_s - before_s))
        self._land(Landed(heard.stream, error))

    def _timed(self, stream: Pipeline) -> Send:
        """Sends, and counts each picture once, when the first of its encodings is there."""
        latest = -1

        def send(message: FromWorker | Unmade) -> None:
            nonlocal latest
            self._send(message)
            if isinstance(message, Unit) and message.codec is not Codec.OPUS and message.media_time > latest:
                latest = message.media_time
                frame = latest * stream.format.fps // VIDEO_HZ
                slack_s = stream.deadlines.slack_s(frame, time.monotonic())
                if slack_s is not None:
                    self.slack.add(stream.engine.name, slack_s)
                    self._breadth[stream.engine.name].made(slack_s)

        return send
