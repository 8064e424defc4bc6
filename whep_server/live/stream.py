"""One avatar on air: its life, its viewers, and what passes between it and the worker.

The stream ticks with its media time, and sleeps while nobody watches and nobody speaks. What is due when is
``transmission``'s, what is said ``conversation``'s; here are the one timer, the messages and the sessions.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from enum import StrEnum

from avatar.messages import (
    CloseStream,
    Codec,
    StreamFailed,
    StreamOpened,
    StreamRefused,
    Unit,
    WentIdle,
)
from whep_server.errors import Unavailable, WorkerLost
from whep_server.live.audience import Audience
from whep_server.live.conversation import Conversation, ConversationMessage
from whep_server.live.events import EventQueue, Events, StreamEvent
from whep_server.live.figure import Figure
from whep_server.live.house import House
from whep_server.live.idle import IdleLoops
from whep_server.live.pcm_speech import PcmSpeech
from whep_server.live.programme import Programme
from whep_server.live.renditions import Renditions
from whep_server.live.session import Session
from whep_server.live.speech_recording import Recording
from whep_server.live.telling import tell
from whep_server.live.transmission import Transmission
from whep_server.live.utterances import Interruption, Utterance
from whep_server.metrics.facts import StreamStats
from whep_server.rtc.broadcast import Broadcast
from whep_server.settings import BargeIn
from whep_server.signaling.negotiation import level_of

logger = logging.getLogger(__name__)

StreamMessage = Unit | WentIdle | ConversationMessage | StreamFailed | StreamOpened


class StreamState(StrEnum):
    """What a stream is doing."""

    PREPARING = "preparing"
    """Its idle loop is being encoded; viewers are answered, and see it as soon as it is there."""
    IDLE = "idle"
    SPEAKING = "speaking"


class Stream:
    """One avatar on air. Made by the registry, which runs it."""

    def __init__(self, programme: Programme, loops: IdleLoops, house: House) -> None:
        settings, video = house.settings, programme.video
        self._house = house
        self.name, self.listed = programme.name, programme.listed
        self.avatar, self.title, self.format = programme.avatar.name, programme.avatar.title, video
        self.engine = programme.avatar.engine
        self.off_air = asyncio.Event()
        """Set to take the stream off the air."""
        self.ended = asyncio.Event()
        """Set when it is, and its name is free again."""
        self._programme, self._key = programme, programme.key
        self._loops = loops
        self._worker = house.worker
        self._time = asyncio.get_running_loop().time
        self._renditions = Renditions(self._key, video, loops, house, lambda: self._audience.feeds()[0])
        self._air = Transmission(self._key, video.fps, loops, house, self._renditions)
        self._events = Events(settings.event_queue)
        self._wake = asyncio.Event()
        broadcast = Broadcast(self._air.clock.started_s)
        rungs = self._renditions.rungs
        self._audience = Audience(self._key, rungs, house, broadcast, self._viewers_changed, self._arrived)
        emit, wake = self._events.emit, self._wake.set
        self._talk = Conversation(self._key, house, self._air, emit, self._go_live, wake)
        self._voice, self._floor = self._talk.voice, self._talk.floor
        self.figure = Figure(programme, loops, house, self._air, emit, lambda: self._audience.reading, wake)
        self._told_state = StreamState.PREPARING

    # --- what others see

    @property
    def state(self) -> StreamState:
        """What the stream is doing now."""
        if self._air.speaking:
            return StreamState.SPEAKING
        return StreamState.IDLE if Codec.H264 in self._loops.codecs else StreamState.PREPARING

    @property
    def viewer_count(self) -> int:
        """Sessions that were answered and have not ended."""
        return len(self._audience)

    @property
    def viewers(self) -> list[Session]:
        """Their sessions, oldest first."""
        return self._audience.sessions

    @property
    def claimed(self) -> int:
        """Viewers, and those that are being answered."""
        return self._audience.claimed

    @property
    def publisher(self) -> bool:
        """Whether somebody publishes to it."""
        return self._floor.taken

    @property
    def queued(self) -> int:
        """Utterances that were accepted and have not begun."""
        return self._talk.queue.queued

    @property
    def talks(self) -> bool:
        """Whether it has one of the places of those that may speak at one time."""
        return self._talk.talks

    @property
    def owed(self) -> int:
        """Utterances that were begun to be taken and are not heard to their end, the mouth eased shut, by now."""
        return self._talk.queue.owed or int(self._air.unfinished and not (self._floor.taken or self._air.moves_only))

    def remaining_s(self) -> float | None:
        """How long until it has spoken; None where nobody knows."""
        return self._talk.remaining_s()

    @property
    def interruptions(self) -> int:
        """How often all that was spoken, or waited to be, was to end."""
        return self._talk.interruptions

    @property
    def on_air_s(self) -> float:
        """Time since the stream went on air."""
        return self._time() - self._air.clock.started_s

    @property
    def codecs(self) -> list[Codec]:
        """Picture codecs whose idle loop is there."""
        return self._loops.codecs

    def sessions(self) -> list[Session]:
        """The viewers' and the publisher's."""
        return self._audience.sessions + self._floor.sessions

    def stats(self) -> StreamStats:
        """As of now."""
        return StreamStats(
            name=self.name,
            listed=self.listed,
            state=self.state.value,
            viewers=self.viewer_count,
            publisher=self.publisher,
            queued=self.queued,
            talks=self.talks,
            engine=self.engine,
            units_dropped=self._air.playout.dropped,
            silent_packets=self._air.sounds.silent_live,
            utterances=dict(self._voice.ended),
            last_utterance=self._voice.last_utterance(),
        )

    def viewer_session(self, session_id: str) -> Session:
        """A viewer's session. Errors: NoSuchSession."""
        return self._audience.session(session_id)

    def publisher_session(self, session_id: str) -> Session:
        """The publisher's session. Errors: NoSuchSession."""
        return self._floor.session(session_id)

    async def end_viewer(self, session_id: str) -> None:
        """End a viewer's session. Errors: NoSuchSession."""
        await self._audience.end(session_id)

    async def end_publisher(self, session_id: str) -> None:
        """End the publisher's session. Errors: NoSuchSession."""
        await self._floor.end(session_id)

    def listen(self) -> AbstractContextManager[EventQueue]:
        """Events from now on; the first four say how things stand."""
        now = [self._state_event(), self._viewers_event(), self._floor.event(), self.figure.event()]
        return self._events.listen(now)

    # --- its life

    async def run(self) -> None:
        """Be on air until ``off_air`` is set; then end every session."""
        try:
            async with asyncio.TaskGroup() as group:
                self._audience.group = self._floor.group = group
                ticker = group.create_task(self._tick_on(), name=f"stream-{self._key}")
                await self.off_air.wait()
                ticker.cancel()
                self._audience.leave()
                self._floor.leave()
        finally:
            self._audience.group = self._floor.group = None
            self._events.close()
            self._talk.close(Unavailable("the stream was taken off the air"))
            self._house.renders.off_air(self._programme)
            tell(self._worker, CloseStream(self._key))

    async def _tick_on(self) -> None:
        while True:
            if not self._busy():
                self._wake.clear()
                self._tell_state()
                await self._wake.wait()
                self._air.resume()
            self._tick(self._time())
            due_s = self._air.next_due_s()
            await asyncio.sleep(max(0.0, due_s - self._time()))
            self._house.ledger.lag.note(due_s, self._time())

    def _busy(self) -> bool:
        return self._audience.reading or self._talk.queue.pending or self._air.unfinished

    def _tick(self, now_s: float) -> None:
        self._renditions.choose(now_s)
        self._air.show(now_s, *self._audience.feeds())
        if self._air.unfinished:
            self._air.grant(self._talk.granted())
            self._voice.pictured(self._air.pictured)
            self._air.moves_only |= not (self._talk.says or self._air.posing.ready)
        self._voice.tell_due(self._air.played)
        self._tell_state()

    # --- the worker

    def worker_ready(self) -> None:
        """A worker has started and knows nothing of this stream."""
        tell(self._worker, self._programme.opening)
        self._renditions.worker_ready()
        self._events.emit(StreamEvent("worker", {"state": "ready"}))

    def worker_lost(self, detail: str) -> None:
        """Play what is there until the next idle keyframe; what was accepted and not finished fails."""
        self.figure.worker_lost()
        self._talk.worker_lost(WorkerLost(detail), self._air.cut())
        self._wake.set()
        self._events.emit(StreamEvent("worker", {"state": "lost"}))

    def idle_loop_grew(self) -> None:
        """A phase of an idle loop has come."""
        self.figure.fit()
        self._tell_state()

    def message(self, message: StreamMessage) -> None:
        """What the worker says about this stream."""
        match message:
            case Unit():
                self._air.push(message)
            case WentIdle():
                self._air.went_idle(message.frame, message.pose)
                self._talk.went_idle()
                self.figure.fit()
            case StreamOpened():
                self._talk.message(message)
                self.figure.opened()
            case StreamFailed():
                self._failed(message)
            case StreamRefused():
                logger.error("the worker refuses stream %s: %s", self._key, message.detail)
                self._talk.message(message)
            case _:
                self._talk.message(message)

    def _go_live(self) -> None:
        self._air.go_live()
        self._wake.set()
        self._tell_state()

    def _failed(self, message: StreamFailed) -> None:
        logger.error("stream %s: the worker failed to speak: %s", self._key, message.detail)
        heard_until = self._air.cut(message.frame - 1)  # what is made already is shown
        self._voice.fail(Unavailable(message.detail), heard_until, message.utterances)
        self._wake.set()

    # --- viewers and publishers

    async def open_viewer(self, offer: str) -> Session:
        """A session for an offer, with its answer.

        Errors: MalformedSdp, NotAcceptable, Unavailable.
        """
        level_idc = self._loops.level_idc or level_of(self.format.width, self.format.height, self.format.fps)
        return await self._audience.join(offer, level_idc)

    async def open_publisher(self, offer: str, *, interrupts: BargeIn | None = None) -> Session:
        """A session for a publisher's offer, with its answer. ``interrupts`` None: as configured.

        Errors: MalformedSdp, NotAcceptable, AlreadyPublishing, Unavailable.
        """
        return await self._floor.join(offer, self._house.settings.whip_interrupts if interrupts is None else interrupts)

    def _arrived(self) -> None:
        """A viewer begins to take units."""
        self._air.greet(self._audience.feeds()[0])
        self.figure.fit()
        self._wake.set()

    def _viewers_changed(self) -> None:
        self._renditions.fit()
        self._events.emit(self._viewers_event())

    # --- speech

    def check_may_speak(self) -> None:
        """For who is about to make speech. Errors: AlreadyPublishing, TooManySpeak, Unavailable."""
        self._talk.check_may_speak()

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """Upload a file to be spoken after what is queued; returns when all of it is with the worker.

        Errors: NotSpeech, TooLarge, TooMany, AlreadyPublishing, WorkerLost, Unavailable, BadRequest.
        """
        return await self._talk.speak(pieces)

    async def record(self, pieces: AsyncIterator[bytes], *, chunk_frames: int) -> Recording:
        """Upload a file to be made into chunks; returns when all of it is with the worker.

        Where somebody watches it is spoken as by ``speak``, and the chunks are of the very same pictures; else it is
        made as fast as can be, and who comes later sees nothing of it.

        Errors: those of ``speak`` but NotSpeech, which the recording raises.
        """
        self._floor.check_free()
        if self._audience.claimed:
            return await self._voice.record(pieces, lambda _: None, chunk_frames=chunk_frames)
        return await self._house.renders.begin(self._programme, pieces, chunk_frames=chunk_frames)

    def open_pcm(self, sample_rate: int, channels: int, *, start_ms: int | None = None) -> PcmSpeech:
        """An utterance whose samples follow; begins after what is queued, with ``start_ms`` of it in hand.

        ``start_ms`` None: as configured, or more where the stream's producers were uneven.

        Errors: BadRequest; AlreadySpeaking where another one is open; AlreadyPublishing, TooMany, Unavailable.
        """
        return self._talk.open_pcm(sample_rate, channels, start_ms)

    async def interrupt(self) -> Interruption:
        """Fall silent within a few packets, and drop what waits and arrives; returns when it is known what was played.

        Errors: Unavailable where the worker does not answer; all is silent then, too.
        """
        return await self._talk.interrupt()

    # --- events

    def _state_event(self) -> StreamEvent:
        return StreamEvent("state", {"state": self.state.value})

    def _viewers_event(self) -> StreamEvent:
        return StreamEvent("viewers", {"viewers": self.viewer_count})

    def session_events(self) -> dict[str, dict[str, int]]:
        """What a player that asks for WHEP's server-sent events is to know of the present."""
        speaking: dict[str, dict[str, int]] = {"active": {}} if self.state is StreamState.SPEAKING else {}
        return {"viewercount": {"viewercount": self.viewer_count}, **speaking}

    def _tell_state(self) -> None:
        state = self.state
        if state is self._told_state:
            return
        if StreamState.SPEAKING in (state, self._told_state):
            self._audience.tell("active" if state is StreamState.SPEAKING else "inactive", {})
        self._told_state = state
        self._events.emit(self._state_event())
