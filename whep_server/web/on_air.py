"""What the routes need of the live layer, as Protocols: ``live.registry.Registry`` has this shape, so has a fake."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from litestar.di import NamedDependency
from litestar.params import SkipValidation

from avatar.messages import AvatarInfo, Codec, VideoFormat
from whep_server.live.preparations import Preparation, Preparations, WantedAvatar
from whep_server.metrics.facts import LiveFacts, SessionStats, StreamStats, WorkerFacts
from whep_server.metrics.ledger import Ledger
from whep_server.settings import BargeIn, Settings
from whep_server.web.on_air_speech import Chunk as Chunk
from whep_server.web.on_air_speech import Interruption as Interruption
from whep_server.web.on_air_speech import PcmEvent as PcmEvent
from whep_server.web.on_air_speech import PcmSpeech as PcmSpeech
from whep_server.web.on_air_speech import Recording as Recording
from whep_server.web.on_air_speech import Utterance as Utterance


class Event(Protocol):
    """One thing that happened on a stream."""

    @property
    def kind(self) -> str:
        """Name of the server-sent event."""
        ...

    @property
    def data(self) -> Mapping[str, object]:
        """Its JSON."""
        ...


class Restarted(Protocol):
    """The answer to an ICE restart."""

    @property
    def fragment(self) -> str:
        """Our end of the new ICE session."""
        ...

    @property
    def etag(self) -> str:
        """The tag of the new ICE session, with quotes."""
        ...


class SessionEvents(Protocol):
    """The event streams of one session."""

    def open(self, types: Iterable[str], now: Mapping[str, Mapping[str, int]]) -> str:
        """A further one; its id. Errors: BadRequest, NoSuchSession, TooMany."""
        ...

    def reading(self, name: str, *, once: bool = False) -> AbstractContextManager[AsyncIterator[Event]]:
        """Its events; with ``once`` it ends with the reading. Errors: NoSuchSession."""
        ...

    def types(self, name: str) -> frozenset[str]:
        """What it was asked for. Errors: NoSuchSession."""
        ...

    def drop(self, name: str) -> None:
        """End it. Errors: NoSuchSession."""
        ...


class Session(Protocol):
    """One viewer or publisher: an answered offer and what came of it."""

    @property
    def id(self) -> str:
        """The capability in its URL."""
        ...

    @property
    def etag(self) -> str:
        """Strong entity tag of its ICE session, with quotes."""
        ...

    @property
    def answer(self) -> str:
        """The SDP answer, complete."""
        ...

    @property
    def events(self) -> SessionEvents:
        """Its server-sent events."""
        ...

    async def patch(self, body: str) -> Restarted | None:
        """Take a fragment: candidates, or an ICE restart, which is answered.

        Errors: MalformedFragment, NoSuchSession, Unavailable.
        """
        ...

    def stats(self) -> SessionStats:
        """What is known of it now, and after its end."""
        ...

    async def close(self) -> None:
        """End it and free what it holds."""
        ...


class Figure(Protocol):
    """What is seen of an avatar beside its mouth."""

    @property
    def pose(self) -> str:
        """What it was asked to take last."""
        ...

    @property
    def poses(self) -> Sequence[str]:
        """Those that it can take."""
        ...

    def take(self, pose: str) -> None:
        """Errors: NoSuchPose; Conflict where this avatar has it not."""
        ...


class Stream(Protocol):
    """One avatar on air."""

    @property
    def name(self) -> str:
        """Its name in the URL."""
        ...

    @property
    def avatar(self) -> str:
        """The prepared avatar's name."""
        ...

    @property
    def title(self) -> str:
        """The avatar's name for people."""
        ...

    @property
    def format(self) -> VideoFormat:
        """Size, rate and bitrate."""
        ...

    @property
    def state(self) -> str:
        """preparing, idle or speaking."""
        ...

    @property
    def viewer_count(self) -> int:
        """Sessions that are open."""
        ...

    @property
    def viewers(self) -> Sequence[Session]:
        """They themselves, oldest first."""
        ...

    @property
    def publisher(self) -> bool:
        """Whether somebody publishes to it."""
        ...

    @property
    def queued(self) -> int:
        """Utterances that wait."""
        ...

    @property
    def figure(self) -> Figure:
        """How it holds itself."""
        ...

    @property
    def interruptions(self) -> int:
        """How often its speech was interrupted."""
        ...

    @property
    def listed(self) -> bool:
        """Whether it is shown among what is on air."""
        ...

    @property
    def on_air_s(self) -> float:
        """Seconds since it was put on air."""
        ...

    @property
    def codecs(self) -> Sequence[Codec]:
        """Those whose idle loop is ready."""
        ...

    def stats(self) -> StreamStats:
        """As of now."""
        ...

    async def open_viewer(self, offer: str) -> Session:
        """Errors: MalformedSdp, NotAcceptable, Unavailable."""
        ...

    def viewer_session(self, session_id: str) -> Session:
        """Errors: NoSuchSession."""
        ...

    async def open_publisher(self, offer: str, *, interrupts: BargeIn | None = None) -> Session:
        """``interrupts`` None: as configured. Errors: MalformedSdp, NotAcceptable, AlreadyPublishing, Unavailable."""
        ...

    def publisher_session(self, session_id: str) -> Session:
        """Errors: NoSuchSession."""
        ...

    async def end_viewer(self, session_id: str) -> None:
        """Errors: NoSuchSession."""
        ...

    async def end_publisher(self, session_id: str) -> None:
        """Errors: NoSuchSession."""
        ...

    def session_events(self) -> Mapping[str, Mapping[str, int]]:
        """What a session's server-sent events begin with."""
        ...

    def check_may_speak(self) -> None:
        """For who is about to make speech. Errors: AlreadyPublishing, TooManySpeak, Unavailable."""
        ...

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """Errors: NotSpeech, TooLarge, TooMany, AlreadyPublishing, WorkerLost, Unavailable, those of ``pieces``."""
        ...

    async def record(self, pieces: AsyncIterator[bytes], *, chunk_frames: int) -> Recording:
        """Upload a file to be spoken and made into chunks; returns when all of it is with the worker.

        Spoken live, and the chunks are of the same pictures, where somebody watches; else made as fast as can be.
        Whether it is speech at all shows in the recording. Errors: those of ``speak`` but NotSpeech.
        """
        ...

    def open_pcm(self, sample_rate: int, channels: int, *, start_ms: int | None = None) -> PcmSpeech:
        """Begin an utterance whose samples follow, after what is queued. ``start_ms`` None: as configured, or as the
        producer's jitter asks for.

        Errors: BadRequest; AlreadySpeaking where another one is open; AlreadyPublishing, TooMany, Unavailable.
        """
        ...

    async def interrupt(self) -> Interruption:
        """Fall silent within a few packets, and drop what waits; returns when the worker has said what was played.

        Errors: Unavailable where the worker does not answer; all is silent then, too.
        """
        ...

    def listen(self) -> AbstractContextManager[AsyncIterator[Event]]:
        """Events as they happen; bounded, ends when the stream is taken off air."""
        ...


class Dropped(Protocol):
    """What deleting an avatar did."""

    @property
    def evicted(self) -> bool:
        """It was in the worker's memory, and is not any more."""
        ...

    @property
    def path(self) -> Path | None:
        """The directory that was deleted; None where nothing was."""
        ...


class Registry(Protocol):
    """All that is on air."""

    @property
    def avatars(self) -> Sequence[AvatarInfo]:
        """Avatars that can go on air."""
        ...

    @property
    def ready(self) -> bool:
        """Whether a viewer would be served and speech be spoken now."""
        ...

    @property
    def ledger(self) -> Ledger:
        """What is added up of what is gone."""
        ...

    def check_open(self) -> None:
        """For whatever is new. Errors: BeingEnded."""
        ...

    async def drain(self, longest_s: float) -> None:
        """From now on nothing new is taken; returns when what was accepted is spoken, or after so long."""
        ...

    def facts(self) -> LiveFacts:
        """All that is on air, as of now."""
        ...

    @property
    def worker_facts(self) -> WorkerFacts:
        """The worker's part of it, which costs nothing."""
        ...

    def streams(self) -> Sequence[Stream]:
        """All streams."""
        ...

    def stream(self, name: str) -> Stream:
        """Errors: NotOnAir."""
        ...

    async def put_on_air(
        self, name: str, avatar: str, video: VideoFormat, *, drawn_fps: int = 0, listed: bool = True
    ) -> Stream:
        """``drawn_fps`` as in ``OpenStream``; one that is not ``listed`` is found only by who knows its name.

        Errors: AlreadyOnAir, NoSuchAvatar, BadRequest, TooMany, Unavailable.
        """
        ...

    async def render(
        self, avatar: str, video: VideoFormat, pieces: AsyncIterator[bytes], *, chunk_frames: int, whole: bool = False
    ) -> Recording:
        """As ``Stream.record``, on no stream: nobody can watch it. ``whole``: the chunks are pieces of one file.

        Errors: NoSuchAvatar, BadRequest, TooLarge, TooMany, TooSlow, WorkerLost, Unavailable.
        """
        ...

    async def take_off_air(self, name: str) -> None:
        """Errors: NotOnAir."""
        ...

    @property
    def preparations(self) -> Preparations:
        """Avatars in the making, and what became of the last ones."""
        ...

    def begin_avatar(self, wanted: WantedAvatar) -> Preparation | None:
        """Begin to make an avatar of a video; None where it is there already, and not to be replaced.

        Errors: BadRequest (no avatar's name), AvatarKept (shipped, on air, or just being made), TooMany, Unavailable.
        """
        ...

    async def delete_avatar(self, name: str, *, from_disk: bool) -> Dropped:
        """Take an avatar out of memory, where it comes back when it is needed, and with ``from_disk`` delete it.

        Errors, all but the last two only with ``from_disk``: NoSuchAvatar, AvatarKept (shipped, on air or being made),
        WorkerLost, Unavailable.
        """
        ...

    def avatar_file(self, name: str, file: str) -> Path:
        """What lies in an avatar's directory, or may. Errors: NoSuchAvatar, Unavailable (being made anew)."""
        ...

    def avatar_film(self, name: str) -> Path:
        """The avatar's idle loop, mouth shut, as an MP4 file. Errors: NoSuchAvatar, Unavailable (being made anew)."""
        ...


Live = NamedDependency[SkipValidation[Registry]]
"""The registry, as a handler's argument."""
Config = NamedDependency[SkipValidation[Settings]]
"""The settings, as a handler's argument."""
