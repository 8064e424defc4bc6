"""A registry of the live layer's shape for tests of the HTTP surface alone: no worker, no WebRTC, exact outcomes."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from avatar.messages import NEUTRAL_POSE, POSES, AvatarInfo, Codec, VideoFormat
from tests.fake_maker import FakeMaker
from tests.fake_pcm import FakePcmSpeech, FakePcmVoice
from tests.fake_recordings import FakeRecorder, FakeRecording
from whep_server.errors import (
    AlreadyOnAir,
    AlreadyPublishing,
    AvatarKept,
    Conflict,
    MalformedFragment,
    MalformedSdp,
    NoSuchAvatar,
    NoSuchPose,
    NoSuchSession,
    NotAcceptable,
    NotOnAir,
    NotSpeech,
)
from whep_server.live.drain import Drain
from whep_server.live.preparations import Preparation, Preparations, WantedAvatar
from whep_server.live.session import Restarted
from whep_server.live.session_events import SessionEvents
from whep_server.live.utterances import Interruption
from whep_server.metrics.facts import (
    AvatarFacts,
    CandidatePair,
    HeldAvatar,
    LiveFacts,
    MediaStats,
    SessionStats,
    StreamStats,
    WorkerFacts,
)
from whep_server.metrics.ledger import Ledger
from whep_server.settings import BargeIn, Settings


@dataclass(frozen=True)
class FakeEvent:
    kind: str
    data: dict[str, object]


@dataclass(frozen=True)
class FakeUtterance:
    id: str
    seconds: float | None
    queued: int


CONNECTED = SessionStats(
    kind="viewer",
    connection_state="connected",
    ice_state="completed",
    candidate_pair=CandidatePair("host", "prflx"),
    connected_s=2.0,
    video=MediaStats("H264", frames_sent=50, packets_sent=100, bytes_sent=90_000, packets_lost=1, pli_count=2),
    audio=MediaStats("opus", frames_sent=100, packets_sent=100, bytes_sent=8_000),
)
"""A viewer that watches for two seconds."""


@dataclass
class FakeSession:
    stream: "FakeStream"
    id: str = "session-secret-0123456789"
    etag: str = '"etag-0123456789abcdef"'
    answer: str = "v=0\r\ns=réponse\r\n"
    fragments: list[str] = field(default_factory=list)
    events: SessionEvents = field(default_factory=SessionEvents)
    known: SessionStats = field(default=CONNECTED)
    """What ``stats`` gives."""

    async def patch(self, body: str) -> Restarted | None:
        if "a=" not in body:
            raise MalformedFragment("no attribute in it")
        self.fragments.append(body)
        if "a=ice-ufrag:changed" not in body:
            return None
        self.etag = '"etag-of-the-restart"'
        return Restarted("a=ice-options:trickle\r\n", self.etag)

    def stats(self) -> SessionStats:
        return self.known

    async def close(self) -> None:
        self.events.close()
        self.stream.sessions.pop(self.id, None)
        self.stream.publishers.pop(self.id, None)


class FakeQueue:
    """Events of one listener."""

    def __init__(self) -> None:
        self.waiting: asyncio.Queue[FakeEvent | None] = asyncio.Queue()

    def __aiter__(self) -> "FakeQueue":
        return self

    async def __anext__(self) -> FakeEvent:
        event = await self.waiting.get()
        if event is None:
            raise StopAsyncIteration
        return event


@dataclass
class FakeFigure:
    pose: str = NEUTRAL_POSE
    poses: Sequence[str] = POSES

    def take(self, pose: str) -> None:
        if pose not in POSES:
            raise NoSuchPose(f"no pose {pose!r}")
        if pose not in self.poses:
            raise Conflict("this avatar cannot be moved")
        self.pose = pose


@dataclass
class FakeStream:
    name: str
    avatar: str = "nova"
    title: str = "Nova"
    format: VideoFormat = field(default_factory=VideoFormat)
    state: str = "idle"
    figure: FakeFigure = field(default_factory=FakeFigure)
    queued: int = 0
    interruptions: int = 0
    interrupts: BargeIn | None = None
    """What the last publisher's voice is to do."""
    on_air_s: float = 1.0
    listed: bool = True
    drawn_fps: int = 0
    codecs: Sequence[Codec] = (Codec.H264,)
    sessions: dict[str, FakeSession] = field(default_factory=dict)
    publishers: dict[str, FakeSession] = field(default_factory=dict)
    listeners: list[FakeQueue] = field(default_factory=list)
    spoken: list[bytes] = field(default_factory=list)
    pieces: int = 0
    """Pieces of the last upload."""
    began: int = 0
    """Uploads begun."""
    fault: Exception | None = None
    """Raised by the next offer."""
    recorder: FakeRecorder = field(default_factory=FakeRecorder)
    """How ``record`` goes."""
    pcm: FakePcmVoice = field(default_factory=FakePcmVoice)
    """How ``open_pcm`` and ``interrupt`` go."""

    @property
    def viewer_count(self) -> int:
        return len(self.sessions)

    @property
    def viewers(self) -> list[FakeSession]:
        return list(self.sessions.values())

    def stats(self) -> StreamStats:
        state, viewers = self.state, self.viewer_count
        return StreamStats(self.name, self.listed, state, viewers, self.publisher, self.queued)

    async def open_viewer(self, offer: str) -> FakeSession:
        if self.fault:
            raise self.fault
        if not offer.startswith("v=0"):
            raise MalformedSdp("no v= line")
        if "VP9" in offer:
            raise NotAcceptable("neither H264 nor VP8 is offered")
        session = FakeSession(self)
        self.sessions[session.id] = session
        return session

    def viewer_session(self, session_id: str) -> FakeSession:
        try:
            return self.sessions[session_id]
        except KeyError:
            raise NoSuchSession("no such session") from None

    @property
    def publisher(self) -> bool:
        return bool(self.publishers)

    async def open_publisher(self, offer: str, *, interrupts: BargeIn | None = None) -> FakeSession:
        if self.publisher:
            raise AlreadyPublishing("a publisher has this stream")
        session = await self.open_viewer(offer)
        self.publishers[session.id] = self.sessions.pop(session.id)
        self.interrupts = interrupts
        return session

    def publisher_session(self, session_id: str) -> FakeSession:
        try:
            return self.publishers[session_id]
        except KeyError:
            raise NoSuchSession("no such session") from None

    async def end_viewer(self, session_id: str) -> None:
        await self.viewer_session(session_id).close()

    async def end_publisher(self, session_id: str) -> None:
        await self.publisher_session(session_id).close()

    def session_events(self) -> dict[str, dict[str, int]]:
        return {"viewercount": {"viewercount": self.viewer_count}}

    async def speak(self, pieces: AsyncIterator[bytes]) -> FakeUtterance:
        self.began += 1
        self.pieces = 0
        speech = b""
        async for piece in pieces:
            self.pieces += 1
            speech += piece
            if speech.startswith(b"junk"):
                raise NotSpeech("not audio: no known format")
        if not speech:
            raise NotSpeech("empty: no audio in it")
        self.spoken.append(speech)
        return FakeUtterance("u1", None, 0)

    async def record(self, pieces: AsyncIterator[bytes], *, chunk_frames: int) -> FakeRecording:
        return await self.recorder.record(pieces, chunk_frames=chunk_frames)

    def open_pcm(self, sample_rate: int, channels: int, *, start_ms: int | None = None) -> FakePcmSpeech:
        return self.pcm.open(sample_rate, channels, start_ms)

    def check_may_speak(self) -> None:
        if self.pcm.fault:
            raise self.pcm.fault

    async def interrupt(self) -> Interruption:
        self.interruptions += 1
        return await self.pcm.interrupt()

    @contextmanager
    def listen(self) -> Iterator[FakeQueue]:
        queue = FakeQueue()
        queue.waiting.put_nowait(FakeEvent("state", {"state": self.state}))
        queue.waiting.put_nowait(FakeEvent("viewers", {"viewers": self.viewer_count}))
        self.listeners.append(queue)
        try:
            yield queue
        finally:
            self.listeners.remove(queue)


@dataclass(frozen=True)
class FakeDropped:
    evicted: bool
    path: Path | None


class FakeRegistry:
    """One stream on air: ``demo``."""

    def __init__(self) -> None:
        self.cached = {"nova"}
        self.avatars = [AvatarInfo("nova", "Nova", "viseme", [(1280, 720)])]
        self.ready = True
        self.ledger = Ledger()
        self.maker = FakeMaker(self.ledger, self._made)
        self.closed = False
        self.draining = Drain(dict)
        self.check_open = self.draining.check_open
        self.drain = self.draining.until_spoken
        self.by_name = {"demo": FakeStream("demo")}
        self.recorder = FakeRecorder()
        """How ``render`` goes, and ``record`` of streams that are put on air from now on."""

    def facts(self) -> LiveFacts:
        sessions = [session.stats() for stream in self.streams() for session in stream.viewers]
        return LiveFacts(self.ready, [stream.stats() for stream in self.streams()], sessions, self.worker_facts)

    @property
    def worker_facts(self) -> WorkerFacts:
        shown = {stream.avatar for stream in self.streams()}
        held = [HeldAvatar(name, 1 << 20, int(name in shown), 1) for name in sorted(self.cached)]
        return WorkerFacts(self.ready, avatars=AvatarFacts(held, 1 << 30, hits=3, misses=1, evictions=2))

    def streams(self) -> list[FakeStream]:
        return list(self.by_name.values())

    def stream(self, name: str) -> FakeStream:
        try:
            return self.by_name[name]
        except KeyError:
            raise NotOnAir(f"no stream {name!r}") from None

    def _check_avatar(self, avatar: str) -> None:
        if avatar not in {info.name for info in self.avatars}:
            raise NoSuchAvatar(f"no avatar {avatar!r}")

    async def put_on_air(
        self, name: str, avatar: str, video: VideoFormat, *, drawn_fps: int = 0, listed: bool = True
    ) -> FakeStream:
        self._check_avatar(avatar)
        if name in self.by_name:
            raise AlreadyOnAir(f"{name!r} is on air")
        stream = FakeStream(name, avatar, format=video, listed=listed, drawn_fps=drawn_fps, recorder=self.recorder)
        self.by_name[name] = stream
        self.cached.add(avatar)
        return stream

    async def render(
        self, avatar: str, video: VideoFormat, pieces: AsyncIterator[bytes], *, chunk_frames: int, whole: bool = False
    ) -> FakeRecording:
        self._check_avatar(avatar)
        return await self.recorder.record(pieces, avatar=avatar, video=video, chunk_frames=chunk_frames, whole=whole)

    async def take_off_air(self, name: str) -> None:
        stream = self.stream(name)
        for queue in stream.listeners:
            queue.waiting.put_nowait(None)
        del self.by_name[name]

    @property
    def prepared(self) -> dict[str, bytes]:
        return self.maker.prepared

    @property
    def preparations(self) -> Preparations:
        return self.maker.preparations

    def begin_avatar(self, wanted: WantedAvatar) -> Preparation | None:
        there = wanted.name in {info.name for info in self.avatars}
        if there and not wanted.replace:
            return None
        if there and wanted.name not in self.prepared:
            raise AvatarKept(f"{wanted.name} is shipped")
        return self.maker.begin(wanted)

    def _made(self, info: AvatarInfo) -> None:
        self.avatars = [other for other in self.avatars if other.name != info.name] + [info]

    async def delete_avatar(self, name: str, *, from_disk: bool) -> FakeDropped:
        if from_disk and name not in {info.name for info in self.avatars}:
            raise NoSuchAvatar(f"no avatar {name!r}")
        if from_disk and (name not in self.prepared or any(s.avatar == name for s in self.streams())):
            raise AvatarKept(f"{name} is shipped or on air")
        evicted = name in self.cached
        self.cached.discard(name)
        if not from_disk:
            return FakeDropped(evicted, None)
        del self.prepared[name]
        self.avatars = [other for other in self.avatars if other.name != name]
        return FakeDropped(evicted, Path("/avatars") / name)

    def avatar_film(self, name: str) -> Path:
        if name not in {info.name for info in self.avatars}:
            raise NoSuchAvatar(f"no avatar {name!r}")
        return self.avatar_file("nova", "loop.mp4")

    def avatar_file(self, name: str, file: str) -> Path:
        if name not in {info.name for info in self.avatars}:
            raise NoSuchAvatar(f"no avatar {name!r}")
        return Path(__file__).parents[1] / "assets" / "avatars" / name / file

    @asynccontextmanager
    async def open(self, _: Settings) -> AsyncIterator["FakeRegistry"]:
        try:
            yield self
        finally:
            self.closed = True
