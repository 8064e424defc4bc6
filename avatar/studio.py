"""The render thread: all streams of a worker, their turns, and the engines that only this thread touches.

It sleeps until a message comes, and between two messages begins what has been granted (``rounds``). A stream that fails
is taken out of its stretch and reported; the others go on. What comes for a stream whose frames are being finished
waits until they are, but for the frames that it is granted next, whose sound is sent at once.
"""

import logging
import queue
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from avatar.arrivals import Arrivals
from avatar.avatar_memory import AvatarMemory
from avatar.engines.engine import Engine
from avatar.idle_loop import IdleEncoder
from avatar.intake import Heard, Intake, Outcome, Refused
from avatar.library import Library
from avatar.live_intake import LiveIntake
from avatar.messages import (
    AbandonSpeech,
    Advance,
    CancelAvatar,
    CloseLive,
    ClosePcm,
    CloseStream,
    DropAvatar,
    EncodeIdle,
    Encoding,
    ForceKeyframe,
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
    SetPose,
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
from avatar.meter import rss_bytes
from avatar.outbox import Send
from avatar.pcm_intake import PcmIntake
from avatar.pipeline import Pipeline
from avatar.prepared import AvatarInvalid, PreparedAvatar
from avatar.preparer import Preparer
from avatar.rounds import Landed, Rounds

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
Item = ToWorker | Outcome | Loaded | Errand | Landed


class Studio:
    """The worker's state. All methods but ``put`` belong to the thread that calls ``run``."""

    def __init__(self, config: WorkerConfig, library: Library, send: Send) -> None:
        self._config, self._library, self._send = config, library, send
        self._inbox: queue.SimpleQueue[Item] = queue.SimpleQueue()
        self._intake = Intake(config, self.put)
        self._live = LiveIntake(send)
        self._pcm = PcmIntake(config, send)
        self._arrivals = Arrivals(self._intake, self._live, self._pcm, send)
        self._avatars = AvatarMemory(library, config.avatar_bytes, send)
        self._engines = library.engines()
        self._streams: dict[str, Pipeline] = {}
        self._opening: dict[str, OpenStream] = {}
        self._early: defaultdict[str, list[Outcome]] = defaultdict(list)
        """What was decoded for a stream that is still being opened."""
        self._preparer = Preparer(config, library, self._avatars, send)
        self._loader = ThreadPoolExecutor(1, "load")
        self._rounds = Rounds(config.threads, self._engines.values(), library.compose, send, self.put, self._fail)
        self._waiting: defaultdict[str, list[Item]] = defaultdict(list)
        """What has come for streams that are busy."""
        self._broken: dict[str, Exception] = {}
        """Busy streams that are to fail when they are not."""
        self._pinged: Ping | None = None
        """The last one, where it is yet to be answered."""
        self._idle = IdleEncoder(config, self._avatars.get, library.compose, self._engine_of, self.run_errand, send)

    @property
    def speeds(self) -> dict[str, float]:
        """As ``Ready`` has them."""
        return {name: engine.speed for name, engine in self._engines.items() if engine.speed}

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
            self._rounds.begin(self._streams)
            self._intake.expire(time.monotonic())

    def _next_item(self) -> Item | None:
        if self._rounds.due(self._streams):
            return None
        try:
            return self._inbox.get(timeout=EXPIRE_CHECK_S if self._intake.decoding else None)
        except queue.Empty:
            return None

    def _take(self, item: Item | None) -> None:
        """Act on one item, or keep it while its stream is busy."""
        if item is None:
            return
        stream = _stream_of(item)
        if isinstance(item, Landed):
            self._landed(item)
        elif self._rounds.busy(stream) and (stream in self._waiting or not isinstance(item, Advance)):
            self._waiting[stream].append(item)
        else:
            self._act(item, stream)

    def _act(self, item: Item, stream: str) -> None:
        """The boundary between messages: one that fails does not take the worker along."""
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
                case SetEncodings() | SetPose() | GoLive() | Advance() | ForceKeyframe():
                    self._steer(item)
                case Ping():
                    self._pong(item)
                case EncodeIdle() | PrepareAvatar() | CancelAvatar() | DropAvatar():
                    self._order(item)
        except Exception as error:
            log.exception("%s failed", type(item).__name__)
            self._broke(stream, error)

    def _broke(self, stream: str, error: Exception) -> None:
        if self._rounds.busy(stream):
            self._broken[stream] = error
        elif stream in self._streams:
            self._fail(self._streams[stream], error)

    def _order(self, item: EncodeIdle | PrepareAvatar | CancelAvatar | DropAvatar) -> None:
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
            closed = self._streams.pop(message.stream)
            self._give_back(closed.avatar)
            closed.close()
        if isinstance(message, OpenStream):
            self._opening[message.stream] = message
            self._loader.submit(self._load, message)

    def _load(self, opened: OpenStream) -> None:
        """On the loader's thread: pictures take a second to decode, too long for the streams that speak meanwhile."""
        try:
            avatar = self._avatars.borrow(opened.avatar, (opened.format.width, opened.format.height))
        except AvatarInvalid as error:
            self.put(Loaded(opened, None, str(error)))
        except Exception:
            log.exception("loading %s failed", opened.avatar, extra={"stream": opened.stream})
            self.put(Loaded(opened, None, f"the avatar {opened.avatar!r} cannot be loaded"))
        else:
            self.put(Loaded(opened, avatar, ""))

    def _opened(self, loaded: Loaded) -> None:
        opened = loaded.opened
        if self._opening.get(opened.stream) is not opened:  # closed, or opened anew, meanwhile
            self._give_back(loaded.avatar)
            return
        del self._opening[opened.stream]
        early = self._early.pop(opened.stream, [])
        try:
            if loaded.avatar is None:
                raise ValueError(loaded.detail)
            stream = Pipeline(opened, loaded.avatar, self._engine_of(loaded.avatar), self._config.decode_timeout_s)
        except ValueError as error:
            self._give_back(loaded.avatar)
            self._arrivals.abandon(opened.stream)
            self._send(StreamRefused(opened.stream, str(error)))
            return
        self._streams[opened.stream] = stream
        loop_frames = loaded.avatar.loop_length * opened.format.fps // loaded.avatar.fps
        self._send(StreamOpened(opened.stream, loaded.avatar.title, loop_frames))
        for outcome in early:
            self._settle(outcome)
        self._pcm.opened(stream)

    def _give_back(self, avatar: PreparedAvatar | None) -> None:
        if avatar is not None:
            self._avatars.give_back(avatar)

    def _engine_of(self, avatar: PreparedAvatar) -> Engine:
        return self._engines[avatar.engine]

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
                about = {"stream": name, "utterance": utterance}
                log.info("stream %s: utterance %s refused: %s", name, utterance, outcome.detail, extra=about)
                self._send(SpeechRefused(name, utterance, outcome.reason, outcome.detail))
            case Heard() if name in self._streams:
                if outcome.recording is not None:
                    self._streams[name].record(outcome.recording, outcome.buffer.available())
                self._streams[name].timeline.enqueue(utterance, outcome.buffer)
                self._send(SpeechAccepted(name, utterance, outcome.seconds))
            case Heard():
                outcome.buffer.abandon()

    def _steer(self, message: SetEncodings | SetPose | GoLive | Advance | ForceKeyframe) -> None:
        stream = self._streams.get(message.stream)
        if stream is None:
            return
        match message:
            case SetEncodings():
                stream.set_encodings(message.encodings)
            case SetPose():
                stream.set_pose(message)
            case ForceKeyframe():
                stream.force_keyframe(Encoding(message.codec, message.rendition))
            case GoLive() if not stream.live:
                stream.go_live(message.frame, message.pose)
            case Advance() if stream.live:
                stream.advance(message.until, message.now)
                stream.sound_ahead(self._send)
            case _:
                return

    def _landed(self, landed: Landed) -> None:
        self._rounds.landed(landed)
        broken = self._broken.pop(landed.stream.name, None)
        error = landed.error or broken
        if error is not None:
            self._fail(landed.stream, error)
        for item in self._waiting.pop(landed.stream.name, []):
            self._take(item)
        if self._pinged is not None:
            self._pong(self._pinged)

    def _pong(self, ping: Ping) -> None:
        """Answer, but not while a stream hangs: a worker that says nothing for long is ended and started anew."""
        self._pinged = ping if self._rounds.stuck else None
        if self._pinged is None:
            self._send(Pong(ping.serial, self._stats()))

    def _fail(self, stream: Pipeline, error: Exception) -> None:
        frame, utterances = stream.fail()
        self._send(StreamFailed(stream.name, frame, utterances, f"{type(error).__name__}: {error}"))

    def _stats(self) -> WorkerStats:
        live = sum(stream.live for stream in self._streams.values())
        rounds = self._rounds
        return WorkerStats(
            rounds.frames,
            rounds.late_frames,
            live,
            rounds.meter.mean_ms(rounds.frames),
            rss_bytes(),
            time.process_time(),
            rounds.quick,
            rounds.slack.counts(),
        )


def _stream_of(item: Item) -> str:
    """Whose item it is; empty where it is no stream's."""
    match item:
        case Heard() | Refused():
            return item.key[0]
        case Loaded():
            return item.opened.stream
        case Landed():
            return item.stream.name
        case _:
            return str(getattr(item, "stream", ""))
