"""What is on air: the streams, the idle loops they share, and the worker that serves them all."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

from avatar.client import Worker, WorkerLimits, WorkerListener, WorkerState, open_worker
from avatar.messages import (
    FRAME_RATES,
    AvatarInfo,
    EncodeIdle,
    Encoding,
    FromWorker,
    IdleFailed,
    IdleLoop,
    Ready,
    VideoFormat,
    WorkerConfig,
)
from whep_server.errors import AlreadyOnAir, BadRequest, NoSuchAvatar, NotOnAir, TooMany, Unavailable
from whep_server.live.admission import Admission
from whep_server.live.capacity import most_speaking
from whep_server.live.drain import Drain
from whep_server.live.gallery import Dropped, Gallery, GalleryMessage
from whep_server.live.house import House
from whep_server.live.idle import VIDEO_CODECS, IdleLoops
from whep_server.live.preparations import Preparation, Preparations, WantedAvatar
from whep_server.live.programme import Programme, key_of
from whep_server.live.render import RenderMessage, Renders
from whep_server.live.speech_recording import Recording
from whep_server.live.stream import Stream, StreamMessage, StreamState
from whep_server.live.telling import tell
from whep_server.live.worker_terms import facts_of, worker_config, worker_limits
from whep_server.log import about
from whep_server.metrics.facts import LiveFacts, WorkerFacts
from whep_server.metrics.ledger import Ledger
from whep_server.rtc.ice import ice_policy, warn_of_reach
from whep_server.rtc.ports import ANY, Ports, open_ports
from whep_server.rtc.relied_on import check_relied_on
from whep_server.settings import Settings
from whep_server.tracing.endpoint import open_spans
from whep_server.tracing.spans import NO_SPANS, Spans

logger = logging.getLogger(__name__)

STREAM_NAME: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")
"""What needs no escaping in a URL's path (RFC 3986 unreserved)."""
OFF_AIR_TIMEOUT_S: Final = 10.0
"""Viewers' connections close in 3 s each, side by side."""
CLAIMED: Final = frozenset({".", ".."})
"""A client would resolve these away."""

OpenWorker = Callable[[WorkerConfig, WorkerLimits, WorkerListener], AbstractAsyncContextManager[Worker]]


class Registry:
    """All streams on air. Made by ``open_registry``; also whom the worker's messages are for."""

    def __init__(self, settings: Settings, limits: Mapping[str, int]) -> None:
        """``limits``: so many streams of each engine's may speak at one time."""
        self.worker: Worker
        self.ledger = Ledger()
        """What is added up of what is gone."""
        self.gallery = Gallery(settings, self.ledger, self._shown)
        self.draining = Drain(self._owed)
        self._settings = settings
        self._ports: Ports = ANY
        self._spans: Spans = NO_SPANS
        self._streams: dict[str, Stream] = {}
        self._by_key: dict[str, Stream] = {}  # by what the worker calls them
        self._loops: dict[tuple[str, VideoFormat], IdleLoops] = {}
        self._group: asyncio.TaskGroup
        self._worker_came = asyncio.Event()
        self._renders: Renders
        self._places = Admission(limits, self.streams, self.ledger, settings.max_speaking)

    def open(self, worker: Worker, ports: Ports, spans: Spans) -> None:
        """Work with that worker, and sessions on those ports."""
        self.worker, self._ports, self._spans = worker, ports, spans
        self._renders = Renders(worker, self._settings, self.ledger, spans)
        self.gallery.open(worker)

    # --- what others see

    @property
    def avatars(self) -> list[AvatarInfo]:
        """Avatars that can go on air; none before the worker has named them."""
        return self.gallery.avatars

    @property
    def ready(self) -> bool:
        """Whether a player would see the demo stream, and could make it speak."""
        if self.draining.begun:
            return False
        demo = self._streams.get(self._settings.demo_stream)
        shown = demo is not None and demo.state is not StreamState.PREPARING
        return self.worker.state is WorkerState.READY and (shown or not self._settings.demo_stream)

    def facts(self) -> LiveFacts:
        """All that is on air, as of now."""
        sessions = [session.stats() for stream in self.streams() for session in stream.sessions()]
        return LiveFacts(
            self.ready,
            [stream.stats() for stream in self.streams()],
            sessions,
            self.worker_facts,
            self._places.limits,
            draining=self.draining.begun,
            owed=sum(self.draining.waits_for.values()),
            preparations=self.preparations.counts(),
        )

    @property
    def worker_facts(self) -> WorkerFacts:
        """What the worker told of itself last."""
        return facts_of(self.worker, self.gallery.held, self._settings)

    def streams(self) -> list[Stream]:
        """Those on air, oldest first."""
        return list(self._streams.values())

    def stream(self, name: str) -> Stream:
        """The stream of that name.

        Errors: NotOnAir.
        """
        try:
            return self._streams[name]
        except KeyError:
            raise NotOnAir(f"no stream {name[:64]!r} is on air") from None

    async def put_on_air(
        self, name: str, avatar: str, video: VideoFormat, *, drawn_fps: int = 0, listed: bool = True
    ) -> Stream:
        """A new stream; it can be watched at once and shows itself as soon as its idle loop is there.

        ``drawn_fps`` as in ``OpenStream``. One that is not ``listed`` is found only by who knows its name.

        Errors: BadRequest, AlreadyOnAir, NoSuchAvatar, TooMany; Unavailable before the worker has named its avatars.
        """
        self.check_open()
        if not STREAM_NAME.fullmatch(name) or name in CLAIMED:
            raise BadRequest("a stream's name has 1 to 64 letters, digits, dots, dashes, underscores or tildes")
        if name in self._streams or key_of(name, listed=listed) in self._by_key:
            raise AlreadyOnAir(f"{name} is on air")
        if len(self._streams) >= self._settings.max_streams:
            raise TooMany(f"{len(self._streams)} streams are on air already")
        programme = Programme(name, self._avatar(avatar, video), video, drawn_fps, listed)
        loops = self._shared_loops(programme.avatar, video)
        stream = Stream(programme, loops, self._house(programme.avatar.engine))
        self._streams[name] = self._by_key[programme.key] = stream
        self._group.create_task(self._run(stream, programme.key), name=f"on-air-{programme.key}")
        await asyncio.sleep(0)  # its task group is open when the caller sees it
        if self.worker.state is WorkerState.READY:
            stream.worker_ready()
        return stream

    def _house(self, engine: str) -> House:
        checks = self._check_room, partial(self._places.check, engine), self.check_open
        return House(self.worker, self._settings, self._renders, self.ledger, *checks, self._ports, self._spans)

    def _avatar(self, name: str, video: VideoFormat) -> AvatarInfo:
        info = self.gallery.find(name)
        if (video.width, video.height) not in info.sizes:
            sizes = ", ".join(f"{width}x{height}" for width, height in info.sizes)
            raise BadRequest(f"{name} can be shown at {sizes}")
        if video.fps not in FRAME_RATES:
            raise BadRequest(f"frames a second must be one of {', '.join(map(str, FRAME_RATES))}")
        if not 100_000 <= video.bitrate_bps <= 20_000_000:
            raise BadRequest("the bitrate must be from 100000 to 20000000 bits a second")
        return info

    @property
    def preparations(self) -> Preparations:
        """Avatars in the making, and what became of the last ones."""
        return self.gallery.preparations

    def begin_avatar(self, wanted: WantedAvatar) -> Preparation | None:
        """Begin to make an avatar of a video; see ``web.on_air.Registry``.

        Errors: BadRequest, AvatarKept, TooMany, Unavailable.
        """
        self.check_open()
        return self.gallery.begin(wanted)

    async def delete_avatar(self, name: str, *, from_disk: bool) -> Dropped:
        """Take an avatar out of memory, or delete it; see ``web.on_air.Registry``.

        Errors: NoSuchAvatar, AvatarKept, WorkerLost, Unavailable.
        """
        return await self.gallery.delete(name, from_disk=from_disk)

    def avatar_file(self, name: str, file: str) -> Path:
        """What lies in an avatar's directory, or may.

        Errors: NoSuchAvatar, Unavailable.
        """
        return self.gallery.file(name, file)

    def avatar_film(self, name: str) -> Path:
        """An avatar's idle loop as MP4.

        Errors: NoSuchAvatar, Unavailable.
        """
        return self.gallery.film(name)

    def _shown(self, avatar: str) -> bool:
        return any(stream.avatar == avatar for stream in self._streams.values())

    def _check_room(self) -> None:
        """Errors: Unavailable where as many viewers are there, all streams together, as may be; BeingEnded."""
        self.check_open()
        if sum(stream.claimed for stream in self._streams.values()) >= self._settings.max_viewers:
            raise Unavailable(f"{self._settings.max_viewers} viewers are watching, and no more can")

    async def render(
        self, avatar: str, video: VideoFormat, pieces: AsyncIterator[bytes], *, chunk_frames: int, whole: bool = False
    ) -> Recording:
        """Speech made into chunks as fast as can be, on no stream; returns when all of it is with the worker.

        ``whole``: the chunks are the pieces of one file, else a file each.

        Errors: NoSuchAvatar, BadRequest, TooLarge, TooMany, TooSlow, WorkerLost, Unavailable. The recording: NotSpeech,
        TooLarge, WorkerLost, Unavailable.
        """
        self.check_open()
        programme = Programme("", self._avatar(avatar, video), video)
        return await self._renders.begin(programme, pieces, chunk_frames=chunk_frames, whole=whole)

    async def take_off_air(self, name: str) -> None:
        """End a stream and its viewers' sessions.

        Errors: NotOnAir.
        """
        stream = self.stream(name)
        stream.off_air.set()
        async with asyncio.timeout(OFF_AIR_TIMEOUT_S):
            await stream.ended.wait()

    def check_open(self) -> None:
        """For whatever is new. Errors: BeingEnded."""
        self.draining.check_open()

    async def drain(self, longest_s: float) -> None:
        """From now on nothing new is taken; returns when what was accepted is spoken, or after so long.

        Avatars in the making are given up, for the good of who speaks: the end would not wait for them.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self.preparations.end(), name="preparations-end")
            await self.draining.until_spoken(longest_s)

    def _owed(self) -> dict[str, int]:
        owed = {key: stream.owed for key, stream in self._by_key.items()}
        return {key: count for key, count in {**owed, "recordings": len(self._renders)}.items() if count}

    async def _run(self, stream: Stream, key: str) -> None:
        try:
            with about(stream=key):
                await stream.run()
        except* Exception:  # one stream's mistake must not take the others off the air
            logger.exception("stream %s failed", key, extra={"stream": key})
        finally:
            del self._streams[stream.name], self._by_key[key]
            self.ledger.stream_over(stream.stats())
            stream.ended.set()
            self._forget_unused_loops()

    async def close(self) -> None:
        """Take everything off the air, and give up what is in the making; takes no longer than that is waited for."""
        self._renders.close()
        for stream in self.streams():
            stream.off_air.set()
        await self.preparations.end()

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Put the demo on air once the worker has come."""
        self._group = group
        settings = self._settings
        if settings.demo_stream:
            await self._worker_came.wait()
            video = VideoFormat(settings.width, settings.height, settings.fps, settings.bitrate_bps)
            try:
                await self.put_on_air(settings.demo_stream, settings.avatar, video)
            except (BadRequest, NoSuchAvatar) as error:
                logger.error("the demo stream cannot go on air: %s", error.detail)

    # --- idle loops

    def _shared_loops(self, avatar: AvatarInfo, video: VideoFormat) -> IdleLoops:
        key = (avatar.name, video)
        if key not in self._loops:
            loops = self._loops[key] = IdleLoops(partial(self._request_loop, *key))
            for codec in VIDEO_CODECS:  # H.264 first: most players take it; smaller renditions as viewers need them
                loops.want(Encoding(codec))
        return self._loops[key]

    def _request_loop(self, avatar: str, video: VideoFormat, encoding: Encoding, pose: str) -> None:
        tell(self.worker, EncodeIdle(avatar, video, encoding.codec, encoding.rendition, pose))

    def _forget_unused_loops(self) -> None:
        used = {(stream.avatar, stream.format) for stream in self._streams.values()}
        for key in self._loops.keys() - used:
            del self._loops[key]

    # --- the worker's listener

    def worker_ready(self, ready: Ready) -> None:
        """Tell a worker that knows nothing what is on air."""
        self.gallery.avatars = list(ready.avatars)
        self._places.estimate(ready.speeds, self._settings.fps)
        self._worker_came.set()
        for loops in self._loops.values():
            loops.want_again()
        for stream in self.streams():
            stream.worker_ready()

    def worker_lost(self, detail: str) -> None:
        """Every stream falls back to its idle loop."""
        logger.warning("the worker was lost: %s", detail)
        self.ledger.worker_lost()
        self.gallery.worker_lost(detail)
        for stream in self.streams():
            stream.worker_lost(detail)
        self._renders.worker_lost(detail)

    def worker_message(self, message: FromWorker) -> None:
        """Hand a message to whom it is about."""
        if isinstance(message, StreamMessage):
            with about(stream=message.stream):
                if message.stream in self._by_key:
                    self._by_key[message.stream].message(message)
                elif isinstance(message, RenderMessage):
                    self._renders.message(message.stream, message)
        elif isinstance(message, IdleLoop):
            self._idle_loop(message)
        elif isinstance(message, IdleFailed):
            self._no_idle_loop(message)
        elif isinstance(message, GalleryMessage):
            self.gallery.heard(message)

    def _idle_loop(self, message: IdleLoop) -> None:
        loops = self._loops.get((message.avatar, message.format))
        if loops is not None:
            loops.add(message)
            for stream in self._showing(message):
                stream.idle_loop_grew()

    def _no_idle_loop(self, message: IdleFailed) -> None:
        what = f"{message.codec} idle loop of {message.avatar}, {message.pose}, rendition {message.rendition}"
        logger.error("no %s: %s", what, message.detail)
        for stream in self._showing(message):
            stream.figure.loop_failed(message.pose)

    def _showing(self, message: IdleLoop | IdleFailed) -> list[Stream]:
        shown = message.avatar, message.format
        return [stream for stream in self.streams() if (stream.avatar, stream.format) == shown]


@asynccontextmanager
async def open_registry(settings: Settings, opener: OpenWorker = open_worker) -> AsyncIterator[Registry]:
    """The registry with its worker, the demo stream going on air by itself. Leaving takes everything off the air.

    Does not wait for the worker: see ``Registry.ready``. Errors: as ``check_relied_on`` and ``open_ports``.
    """
    registry = Registry(settings, await most_speaking(settings))
    with ice_policy(settings), open_ports(settings, registry.ledger.strays, registry.ledger.silences) as ports:
        await check_relied_on()
        warn_of_reach(settings)
        config = worker_config(settings)
        async with open_spans(settings) as spans, opener(config, worker_limits(settings), registry) as worker:
            registry.open(worker, ports, spans)
            async with asyncio.TaskGroup() as group:
                demo = group.create_task(registry.run(group), name="demo")
                probe = group.create_task(registry.ledger.lag.probe(), name="loop-lag")
                try:
                    yield registry
                finally:
                    demo.cancel()
                    probe.cancel()
                    await registry.close()
