"""A real stream on a clock that a test moves on, with a worker that acts when the test says so, and one viewer.

What the worker makes says of itself when and under which epoch it was made, and whether somebody speaks in it.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import SimpleNamespace
from typing import NamedTuple, TypeVar, cast

from avatar.client import WorkerGone, WorkerListener, WorkerState
from avatar.messages import (
    IDLE_PHASES,
    POSES,
    AvatarInfo,
    Codec,
    Encoding,
    FromWorker,
    IdleLoop,
    Interrupt,
    Ready,
    ToWorker,
    VideoFormat,
)
from tests.fake_stream import FakeStream
from tests.fakes import FakeWorker, speech
from tests.kept_units import KeptUnits
from tests.unit.test_idle import loop as idle_loop
from whep_server.errors import ServerError
from whep_server.live.events import StreamEvent
from whep_server.live.fanout import Feed
from whep_server.live.house import House
from whep_server.live.idle import IdleLoops
from whep_server.live.packetize import Packetised
from whep_server.live.programme import Programme
from whep_server.live.render import Renders
from whep_server.live.session import Session
from whep_server.live.stream import Stream, StreamMessage
from whep_server.live.utterances import Entry, Utterance
from whep_server.live.video_feed import VideoFeed
from whep_server.live.viewer import Viewer
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings

FPS = 25
TURNS = 20
"""Of the event loop: enough for all that follows from one thing."""

T = TypeVar("T")


class SteppedLoop(asyncio.SelectorEventLoop):
    """Its time stands still until it is moved on."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 1000.0

    def time(self) -> float:
        return self.now_s


class Picture(NamedTuple):
    """What a live picture says of itself."""

    epoch: int
    frame: int
    chain: int
    """Pictures that build on each other."""
    place: int
    """Its place in the chain; 0: it builds on nothing."""


class Sound(NamedTuple):
    """What a live packet says of itself."""

    epoch: int
    sample: int
    voice: bool


class TaggedStream(FakeStream):
    """Makes what says of itself what it is."""

    chains = 0
    chain = place = 0

    def _picture(self, encoding: Encoding, frame: int, keyframe: bool) -> bytes:
        self.encoders.setdefault(encoding, cast("object", None))  # type: ignore[call-overload]  # it is there, no more
        self.place += 1
        if keyframe:
            self.chains += 1
            self.chain, self.place = self.chains, 0
        return b"L" + struct.pack(">4I", self.epoch, frame, self.chain, self.place)

    def _sound(self, voice: bool) -> bytes:
        return b"L" + struct.pack(">2I?", self.epoch, self.sample, voice)


class SteppedWorker(FakeWorker):
    """Hears and speaks when it is told to: what is on the way meanwhile is in ``inbox`` and ``outbox``."""

    make_stream = TaggedStream

    def __init__(self, listener: WorkerListener) -> None:
        super().__init__(listener)
        self.inbox: deque[ToWorker] = deque()
        self.outbox: deque[FromWorker] = deque()

    def send(self, message: ToWorker) -> None:
        if self.state is not WorkerState.READY:
            raise WorkerGone("the worker is gone")
        self.sent.append(message)
        self.inbox.append(message)

    def _tell(self, message: FromWorker) -> None:
        self.outbox.append(message)

    def act(self, most: int = 1_000_000) -> None:
        """Take note of the oldest messages."""
        for _ in range(min(most, len(self.inbox))):
            self._act(self.inbox.popleft())

    def deliver(self, most: int = 1_000_000) -> None:
        """Let the oldest of what it said arrive."""
        for _ in range(min(most, len(self.outbox))):
            self._listener.worker_message(self.outbox.popleft())

    def die(self) -> None:
        self.inbox.clear()
        self.outbox.clear()
        super().die()


class SteppedStream:
    """See the module. ``step`` moves time on; leave with ``close``."""

    def __init__(self, **changes: object) -> None:
        self.loop = SteppedLoop()
        self.events: list[StreamEvent] = []
        self.told_at: list[int] = []
        """For each event: what was played when it was told. Units: 48 kHz samples."""
        self.pictures: list[Packetised] = []
        self.sounds: list[Packetised] = []
        self.over: list[tuple[str, str]] = []
        """Utterances and how they ended."""
        self._settings = Settings(**changes)  # type: ignore[arg-type]
        self.run(self._open())

    def run(self, doing: Coroutine[object, object, T]) -> T:
        """Do something, and let all that follows from it happen."""

        async def until_done() -> T:
            done = await doing
            for _ in range(TURNS):
                await asyncio.sleep(0)
            return done

        return self.loop.run_until_complete(until_done())

    async def _open(self) -> None:
        self.worker = SteppedWorker(self)
        self.ledger = Ledger()
        renders = Renders(self.worker, self._settings, self.ledger)
        house = House(
            self.worker, self._settings, renders, self.ledger, check_room=bool, check_place=bool, check_open=bool
        )
        loops = self.loops = IdleLoops()
        for phase in range(IDLE_PHASES):
            for codec in (Codec.H264, Codec.VP8):
                loops.add(idle_loop(phase, codec))
        video = VideoFormat(160, 128, FPS)
        self.stream = Stream(
            Programme("demo", AvatarInfo("nova", "Nova", "viseme", [(160, 128)], poses=POSES), video), loops, house
        )
        self._stream_events = self.stream._events
        emit, over = self._stream_events.emit, self.stream._talk.queue._over

        def note(event: StreamEvent) -> None:
            self.events.append(event)
            self.told_at.append(self.stream._air.played)
            emit(event)

        def note_end(entry: Entry, state: str, error: ServerError | None) -> None:
            self.over.append((entry.id, state))
            over(entry, state, error)

        self.stream._talk.queue._emit, self.stream._talk.queue._over = note, note_end
        self._task = self.loop.create_task(self.stream.run())
        await asyncio.sleep(0)
        self._watch()
        self.worker.start()

    def _watch(self) -> None:
        audience = self.stream._audience
        self.video = VideoFeed(Codec.VP8, self.stream._renditions.rungs, audience._wake)
        self.audio = Feed(Codec.OPUS, audience._wake)
        session = cast("Session", SimpleNamespace(events=SimpleNamespace(tell=lambda *_: None)))
        audience._viewers["viewer"] = Viewer(session, self.video, self.audio)
        self._shown, self._heard = KeptUnits(), KeptUnits()
        self.video.opened(self._shown)
        self.audio.opened(self._heard)
        audience._changed()

    # --- as a registry

    def worker_ready(self, _: Ready) -> None:
        self.stream.worker_ready()

    def worker_lost(self, detail: str) -> None:
        self.stream.worker_lost(detail)

    def worker_message(self, message: FromWorker) -> None:
        if not isinstance(message, IdleLoop):
            self.stream.message(cast("StreamMessage", message))

    # --- what a test does

    def step(self, seconds: float, *, acts: bool = True) -> None:
        """Let time pass, a millisecond at a time would be the same; the worker acts at its end, or not."""
        self.loop.now_s += seconds
        self.run(asyncio.sleep(0))
        if acts:
            self.worker.act()
            self.worker.deliver()
            self.run(asyncio.sleep(0))
        self.pictures += self._shown.taken()
        self.sounds += self._heard.taken()

    def call(self, doing: Callable[[], T]) -> T:
        """Do something on the loop."""

        async def called() -> T:
            return doing()

        return self.run(called())

    def start(self, doing: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """Begin something that waits for others."""

        async def begin() -> "asyncio.Task[T]":
            return asyncio.get_running_loop().create_task(doing)

        return self.run(begin())

    def speak(self, frames: int) -> "asyncio.Task[Utterance]":
        """Upload a file."""

        async def file() -> AsyncIterator[bytes]:
            yield speech(frames)

        return self.start(self.stream.speak(file()))

    def states(self, utterance: str) -> list[str]:
        """What was told of an utterance."""
        told = [event.data for event in self.events if event.kind == "speech"]
        return [str(data["state"]) for data in told if data["utterance"] == utterance]

    @property
    def interrupts(self) -> list[Interrupt]:
        """Those that the worker was sent."""
        return [message for message in self.worker.sent if isinstance(message, Interrupt)]

    def live_pictures(self, first: int = 0) -> list[Picture | None]:
        """What the viewer was shown, in order; None: a picture of the idle loop."""
        return [self._picture(unit) for unit in self.pictures[first:]]

    def _picture(self, unit: Packetised) -> Picture | None:
        data = unit.payloads[0][1:]  # behind the VP8 descriptor
        return Picture(*struct.unpack(">4I", data[1:])) if data.startswith(b"L") else None

    def live_sounds(self, first: int = 0) -> list[Sound | None]:
        """What the viewer was played, in order; None: silence of the server's own."""
        units = [unit.payloads[0] for unit in self.sounds[first:]]
        return [Sound(*struct.unpack(">2I?", data[1:])) if data.startswith(b"L") else None for data in units]

    def close(self) -> None:
        """Take the stream off the air."""
        self.stream._audience._viewers.clear()
        self.stream.off_air.set()
        self.run(self._end())
        self.loop.close()

    async def _end(self) -> None:
        await self._task
