"""The render thread: all streams of a worker, their turns, and the engine that only this thread touches.

It sleeps until a message comes, and between two messages makes what has been granted, round by round. A stream that
fails is taken out of its stretch and reported; the others go on.
"""

import logging
import queue
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from avatar.arrivals import Arrivals
from avatar.engines.engine import Patch, Work
from avatar.haste import Haste
from avatar.idle_loop import IdleEncoder
from avatar.intake import Heard, Intake, Outcome, Refused
from avatar.library import Avatars, Library
from avatar.live_intake import LiveIntake
from avatar.messages import (
    AbandonSpeech,
    Advance,
    CloseLive,
    ClosePcm,
    CloseStream,
    DropAvatar,
    EncodeIdle,
    Encoding,
    ForceKeyframe,
    FromWorker,
    GoLive,
    Interrupt,
    LivePacket,
    OpenLive,
    OpenPcm,
    OpenStream,
    PcmChunk,
    PcmMark,
    Ping,
    Pong,
    PrepareAvatar,
    RecordSpeech,
    SetEncodings,
    SpeechAccepted,
    SpeechData,
    SpeechRefusal,
    SpeechRefused,
    StreamFailed,
    StreamOpened,
    StreamRefused,
    ToWorker,
    WorkerConfig,
    WorkerStats,
)
from avatar.meter import StageMeter, rss_bytes
from avatar.pcm_intake import PcmIntake
from avatar.pipeline import Pipeline, Prepared
from avatar.prepared import AvatarInvalid, PreparedAvatar
from avatar.preparer import Preparer
from avatar.scheduler import Turn, plan

log = logging.getLogger(__name__)

EXPIRE_CHECK_S = 0.5
MAX_BACKLOG = 1000
"""Messages that may wait before a publisher's packets are dropped: 20 s of one, or a flood."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """An avatar for a stream is in memory, or is not to be had."""

    opened: OpenStream
    avatar: PreparedAvatar | None
    detail: str


@dataclass(frozen=True, slots=True)
class Errand:
    """Something another thread wants done with the engine, which only the render thread may touch."""

    call: Callable[[], None]


Following = OpenLive | LivePacket | CloseLive | OpenPcm | PcmChunk | PcmMark | ClosePcm
Item = ToWorker | Outcome | Loaded | Errand


_Planned = tuple[Pipeline, Prepared]


class Studio:
    """The worker's state. All methods but ``put`` belong to the thread that calls ``run``."""

    def __init__(self, config: WorkerConfig, library: Library, send: Callable[[FromWorker], None]) -> None:
        self._config, self._library, self._send = config, library, send
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._intake = Intake(config, self.put)
        self._live = LiveIntake(send)
        self._pcm = PcmIntake(config, send)
        self._arrivals = Arrivals(self._intake, self._live, self._pcm, send)
        self._avatars = Avatars(library)
        self._engine = library.engine()
        self._streams: dict[str, Pipeline] = {}
        self._opening: dict[str, OpenStream] = {}
        self._early: defaultdict[str, list[Outcome]] = defaultdict(list)
        """What was decoded for a stream that is still being opened."""
        self._preparer = Preparer(config, library, self._avatars, send)
        self._loader = ThreadPoolExecutor(1, "load")
        self._pool = ThreadPoolExecutor(max(1, config.threads), "finish")
        self._idle = IdleEncoder(config, self._avatars.get, library.compose, self._engine, self.run_errand, send)
        self._meter = StageMeter()
        self._haste = Haste()
        self._frames = self._late_frames = 0

    def put(self, item: Item) -> None:
        """Something to be looked at. Any thread. A publisher's packet is dropped where too much waits."""
        if not isinstance(item, LivePacket) or self._inbox.qsize() < MAX_BACKLOG:
            self._inbox.put(item)

    def run_errand(self, call: Callable[[], None]) -> None:
        """Have ``call`` run by the render thread, and wait for it. Any other thread. Errors: those of ``call``."""
        done: Future[None] = Future()

        def attempt() -> None:
            try:
                call()
            except Exception as error:  # noqa: BLE001  carried to the thread that asked
                done.set_exception(error)
            else:
                done.set_result(None)

        self.put(Errand(attempt))
        done.result()

    def run(self) -> None:
        """Serve for ever."""
        while True:
            self._take(self._next_item())
            while not self._inbox.empty():
                self._take(self._inbox.get())
            self._round()
            self._intake.expire(time.monotonic())

    def _next_item(self) -> Item | None:
        if any(stream.live and stream.demand().next_frame < stream.demand().until for stream in self._streams.values()):
            return None
        try:
            return self._inbox.get(timeout=EXPIRE_CHECK_S if self._intake.decoding else None)
        except queue.Empty:
            return None

    def _take(self, item: Item | None) -> None:
        """Act on one item. The boundary between messages: one that fails does not take the worker along."""
        try:
            match item:
                case Heard() | Refused() | Loaded() | Errand():
                    self._take_own(item)
                case RecordSpeech() | SpeechData() | AbandonSpeech() | Interrupt():
                    self._speech(item)
                case OpenLive() | LivePacket() | CloseLive() | OpenPcm() | PcmChunk() | PcmMark() | ClosePcm():
                    self._follow(item)
                case OpenStream() | CloseStream():
                    self._open_or_close(item)
                case SetEncodings() | GoLive() | Advance() | ForceKeyframe():
                    self._steer(item)
                case Ping():
                    self._send(Pong(item.serial, self._stats()))
                case EncodeIdle() | PrepareAvatar() | DropAvatar():
                    self._order(item)
        except Exception as error:
            log.exception("%s failed", type(item).__name__)
            stream = getattr(item, "stream", "")
            if stream in self._streams:
                self._fail(self._streams[stream], error)

    def _order(self, item: EncodeIdle | PrepareAvatar | DropAvatar) -> None:
        """What takes long and is not for a stream, which it must not hold up: others do it."""
        if isinstance(item, EncodeIdle):
            self._idle.put(item)
        else:
            self._preparer.put(item)

    def _take_own(self, item: Outcome | Loaded | Errand) -> None:
        """What this process's other threads put in."""
        match item:
            case Heard() | Refused():
                self._settle(item)
            case Loaded():
                self._opened(item)
            case Errand():
                item.call()

    def _open_or_close(self, message: OpenStream | CloseStream) -> None:
        self._opening.pop(message.stream, None)
        self._early.pop(message.stream, None)
        self._arrivals.abandon(message.stream)
        if message.stream in self._streams:
            self._streams.pop(message.stream).close()
        if isinstance(message, OpenStream):
            self._opening[message.stream] = message
            self._loader.submit(self._load, message)

    def _load(self, opened: OpenStream) -> None:
        """On the loader's thread: pictures take a second to decode, too long for the streams that speak meanwhile."""
        try:
            avatar = self._avatars.get(opened.avatar, (opened.format.width, opened.format.height))
        except AvatarInvalid as error:
            self.put(Loaded(opened, None, str(error)))
        except Exception:
            log.exception("loading %s failed", opened.avatar)
            self.put(Loaded(opened, None, f"the avatar {opened.avatar!r} cannot be loaded"))
        else:
            self.put(Loaded(opened, avatar, ""))

    def _opened(self, loaded: Loaded) -> None:
        opened = loaded.opened
        if self._opening.get(opened.stream) is not opened:  # closed, or opened anew, meanwhile
            return
        del self._opening[opened.stream]
        early = self._early.pop(opened.stream, [])
        try:
            if loaded.avatar is None:
                raise ValueError(loaded.detail)
            stream = Pipeline(opened, loaded.avatar, self._engine, self._config.decode_timeout_s)
        except ValueError as error:
            self._arrivals.abandon(opened.stream)
            self._send(StreamRefused(opened.stream, str(error)))
            return
        self._streams[opened.stream] = stream
        loop_frames = loaded.avatar.loop_length * opened.format.fps // loaded.avatar.fps
        self._send(StreamOpened(opened.stream, loaded.avatar.title, loop_frames))
        for outcome in early:
            self._settle(outcome)
        self._pcm.opened(stream)

    def _speech(self, message: RecordSpeech | SpeechData | AbandonSpeech | Interrupt) -> None:
        stream = self._streams.get(message.stream)
        if isinstance(message, Interrupt):
            self._arrivals.interrupt(message, stream)
        elif isinstance(message, RecordSpeech):
            if stream is not None or message.stream in self._opening:
                self._intake.expect(message)
        elif isinstance(message, AbandonSpeech):
            if stream is not None:
                stream.abandon(message.utterance)
            self._arrivals.abandon(message.stream, message.utterance)
        elif stream is not None or message.stream in self._opening:
            if stream is not None:
                stream.raise_epoch(message.epoch)
            self._intake.take(message)
        elif message.last:
            detail = f"no stream {message.stream!r} here"
            self._send(SpeechRefused(message.stream, message.utterance, SpeechRefusal.UNKNOWN_STREAM, detail))

    def _follow(self, item: Following) -> None:
        """What is spoken while it comes."""
        stream = self._streams.get(item.stream)
        if isinstance(item, OpenLive | LivePacket | CloseLive):
            self._live.take(item, stream)
        else:
            self._pcm.take(item, stream, opening=item.stream in self._opening)

    def _settle(self, outcome: Outcome) -> None:
        if outcome.key[0] in self._opening:  # decoded sooner than the avatar is loaded
            self._intake.hold(outcome)
            self._early[outcome.key[0]].append(outcome)
            return
        if not self._intake.settle(outcome):
            return
        name, utterance = outcome.key
        match outcome:
            case Refused():
                log.info("stream %s: utterance %s refused: %s", name, utterance, outcome.detail)
                self._send(SpeechRefused(name, utterance, outcome.reason, outcome.detail))
            case Heard() if name in self._streams:
                if outcome.recording is not None:
                    self._streams[name].record(outcome.recording, outcome.buffer.available())
                self._streams[name].timeline.enqueue(utterance, outcome.buffer)
                self._send(SpeechAccepted(name, utterance, outcome.seconds))
            case Heard():
                outcome.buffer.abandon()

    def _steer(self, message: SetEncodings | GoLive | Advance | ForceKeyframe) -> None:
        stream = self._streams.get(message.stream)
        if stream is None:
            return
        match message:
            case SetEncodings():
                stream.set_encodings(message.encodings)
            case ForceKeyframe():
                stream.force_keyframe(Encoding(message.codec, message.rendition))
            case GoLive() if not stream.live:
                stream.go_live(message.frame)
            case Advance() if stream.live:
                stream.advance(message.until, message.now)
            case _:
                return

    def _round(self) -> None:
        """One turn for each stream that is due."""
        demands = [stream.demand() for stream in self._streams.values() if stream.live]
        quick = self._haste.look(demands, time.monotonic())
        turns = plan(demands, self._engine.max_batch)
        planned: list[_Planned] = []
        for turn in turns:
            # to the end: the streams stand in the order in which they had their last turns
            stream = self._streams[turn.stream] = self._streams.pop(turn.stream)
            stream.hurry(quick)
            prepared = self._prepare(stream, turn)
            if prepared is not None:
                planned.append((stream, prepared))
        if not planned:
            return
        drawn = self._draw(planned)
        if len(drawn) == 1:
            self._finish(*drawn[0])
        else:
            list(self._pool.map(lambda made: self._finish(*made), drawn))

    def _prepare(self, stream: Pipeline, turn: Turn) -> Prepared | None:
        try:
            prepared = stream.prepare(turn)
        except Exception as error:
            log.exception("stream %s: planning failed", stream.name)
            self._fail(stream, error)
            return None
        late = sum(not shown for shown in prepared.shown[: turn.late])
        self._frames += len(prepared.jobs)
        self._late_frames += late
        if late:
            log.debug("stream %s: %d frames too late to be shown", stream.name, late)
        return prepared

    def _draw(self, planned: list[_Planned]) -> list[tuple[Pipeline, Prepared, list[Patch | None]]]:
        """Patches for all streams in one batch; where that fails, for each by itself, to find the culprit."""
        ready = [self._engine.ready(stream.slot) for stream, _ in planned]
        try:
            patches = self._step([Work(stream.slot, prepared.jobs) for stream, prepared in planned])
        except Exception:
            log.exception("drawing for %d streams at once failed", len(planned))
            alone = [self._draw_alone(*each, before) for each, before in zip(planned, ready, strict=True)]
            return [drawn for drawn in alone if drawn is not None]
        return [(stream, prepared, made) for (stream, prepared), made in zip(planned, patches, strict=True)]

    def _draw_alone(
        self, stream: Pipeline, prepared: Prepared, ready_before: int
    ) -> tuple[Pipeline, Prepared, list[Patch | None]] | None:
        """One stream's patches after a failed batch; None where it fails by itself.

        Frames that the batch made of it are lost: not shown, but heard.
        """
        lost = ready_before - self._engine.ready(stream.slot)
        try:
            (rest,) = self._step([Work(stream.slot, prepared.jobs[lost:])])
        except Exception as error:
            log.exception("stream %s: drawing failed", stream.name)
            self._fail(stream, error)
            return None
        return stream, prepared, [None] * lost + rest

    def _step(self, work: list[Work]) -> list[list[Patch | None]]:
        began_s = time.perf_counter()
        patches = self._engine.step(work)
        self._meter.add("engine", time.perf_counter() - began_s)
        return patches

    def _finish(self, stream: Pipeline, prepared: Prepared, patches: list[Patch | None]) -> None:
        try:
            stream.finish(prepared, patches, self._library.compose, self._send, self._meter)
        except Exception as error:
            log.exception("stream %s: encoding failed", stream.name)
            self._fail(stream, error)

    def _fail(self, stream: Pipeline, error: Exception) -> None:
        frame, utterances = stream.fail()
        self._send(StreamFailed(stream.name, frame, utterances, f"{type(error).__name__}: {error}"))

    def _stats(self) -> WorkerStats:
        live = sum(stream.live for stream in self._streams.values())
        return WorkerStats(
            self._frames,
            self._late_frames,
            live,
            self._meter.mean_ms(self._frames),
            rss_bytes(),
            time.process_time(),
            self._haste.quick,
        )
