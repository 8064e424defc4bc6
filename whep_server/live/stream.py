"""One avatar on air: its life, its viewers, and what passes between it and the worker.

The stream ticks with its media time, and sleeps while nobody watches and nobody speaks. What is due when is
``transmission``'s, what is said ``stream_voice``'s; here are the one timer, the messages and the sessions.
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
    StreamRefused,
    Unit,
    WentIdle,
)
from whep_server.errors import ServerError, Unavailable, WorkerLost
from whep_server.live.audience import Audience
from whep_server.live.events import EventQueue, Events, StreamEvent
from whep_server.live.house import House
from whep_server.live.idle import IdleLoops
from whep_server.live.programme import Programme
from whep_server.live.publisher import Floor
from whep_server.live.renditions import Renditions
from whep_server.live.session import Session
from whep_server.live.speech_recording import Recording
from whep_server.live.stream_voice import SpeechMessage, Voice
from whep_server.live.telling import tell
from whep_server.live.transmission import Transmission
from whep_server.live.utterances import Utterance
from whep_server.metrics.facts import StreamStats
from whep_server.rtc.broadcast import Broadcast
from whep_server.settings import BargeIn
from whep_server.signaling.negotiation import level_of

logger = logging.getLogger(__name__)

StreamMessage = Unit | WentIdle | SpeechMessage | StreamFailed


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
        self._audience = Audience(self._key, rungs, house, broadcast, self._viewers_changed, self._wake.set)
        self._voice = Voice(self._key, house.worker, settings, house.ledger, self._events.emit)
        self._floor = Floor(self._key, self._voice.speech, house, self._events.emit)
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
        return self._voice.speech.queued

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
        """Events from now on; the first three say how things stand."""
        return self._events.listen([self._state_event(), self._viewers_event(), self._floor.event()])

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
            self._voice.fail(Unavailable("the stream was taken off the air"), 0)
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
        return self._audience.reading or self._voice.speech.pending or self._air.unfinished

    def _tick(self, now_s: float) -> None:
        self._renditions.choose(now_s)
        self._air.show(now_s, *self._audience.feeds())
        if self._air.unfinished:
            # a publisher's voice is not there before its time, so nothing is made far ahead while there is one
            self._air.grant(0 if self._floor.taken else self._voice.speech.ahead(self._air.stretch_begins))
            self._voice.pictured(self._air.pictured)
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
        self._voice.worker_lost()
        self._fall_idle(self._air.cut(), WorkerLost(detail))
        self._events.emit(StreamEvent("worker", {"state": "lost"}))

    def _fall_idle(self, heard_until: int, error: ServerError, only: list[str] | None = None) -> None:
        self._voice.fail(error, heard_until, only)
        self._wake.set()

    def idle_loop_grew(self) -> None:
        """A phase of the idle loop has come."""
        self._tell_state()

    def message(self, message: StreamMessage) -> None:
        """What the worker says about this stream."""
        match message:
            case Unit():
                self._air.push(message)
            case WentIdle():
                self._went_idle(message)
            case StreamFailed():
                self._failed(message)
            case StreamRefused():
                logger.error("the worker refuses stream %s: %s", self._key, message.detail)
                self._voice.message(message)
            case _:
                if self._voice.message(message) and not self._air.stretches.open:
                    self._go_live()

    def _went_idle(self, message: WentIdle) -> None:
        self._air.stretches.end(message.frame)
        if self._voice.speech.queued:  # accepted when the worker was already on its way to idle
            self._go_live()

    def _go_live(self) -> None:
        self._air.go_live()
        self._wake.set()
        self._tell_state()

    def _failed(self, message: StreamFailed) -> None:
        logger.error("stream %s: the worker failed to speak: %s", self._key, message.detail)
        heard_until = self._air.cut(message.frame - 1)  # what is made already is shown
        self._fall_idle(heard_until, Unavailable(message.detail), message.utterances)

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

    def _viewers_changed(self) -> None:
        self._renditions.fit()
        self._events.emit(self._viewers_event())

    # --- speech

    async def speak(self, pieces: AsyncIterator[bytes]) -> Utterance:
        """Upload a file to be spoken after what is queued; returns when all of it is with the worker.

        Errors: NotSpeech, TooLarge, TooMany, AlreadyPublishing, WorkerLost, Unavailable, BadRequest.
        """
        self._floor.check_free()
        return await self._voice.speak(pieces)

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
