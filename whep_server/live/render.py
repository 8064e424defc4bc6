"""Speech made into chunks on a worker stream of its own, which nobody can watch: as fast as can be, without a clock.

The worker is granted frames as chunks come and are taken, so a reader that is slower than the worker holds it up and
not the memory. Whatever becomes of a render, the worker's stream is closed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Final

from avatar.client import Worker, WorkerState
from avatar.messages import (
    Advance,
    CloseStream,
    GoLive,
    SetEncodings,
    SpeechAccepted,
    SpeechFinished,
    SpeechStarted,
    StreamFailed,
    StreamRefused,
    Unit,
    WentIdle,
)
from whep_server.errors import ServerError, TooMany, Unavailable, WorkerLost
from whep_server.live.programme import Programme
from whep_server.live.speech_recording import Recording
from whep_server.live.stream_voice import SpeechMessage, Voice
from whep_server.live.telling import tell
from whep_server.metrics.ledger import Ledger
from whep_server.settings import Settings
from whep_server.tracing.spans import NO_SPANS, Spans

WINDOW_S: Final = 10
"""So much, and two chunks at least, may be made that has not come yet."""
ENOUGH_BYTES: Final = 8 * 1024 * 1024
"""With more unread the worker waits: 40 s at the ordinary bitrate."""
STALL_S: Final = 120.0
"""A render is given up where for so long no chunk came and none was taken."""

RenderMessage = SpeechMessage | Unit | WentIdle | StreamFailed


class Render:
    """One utterance on its way. Made by ``Renders``."""

    def __init__(
        self, programme: Programme, owner: Programme, worker: Worker, settings: Settings, ledger: Ledger, spans: Spans
    ) -> None:
        """``owner``: what is on air under whose name it is made."""
        self.owner = owner
        self.ended = False
        self._programme = programme
        self._worker = worker
        # it waits for those that are heard, so it needs no place among them
        self._voice = Voice(programme.key, worker, settings, ledger, spans, lambda _: None, lambda: None)
        self._call_later = asyncio.get_running_loop().call_later
        self._stall: asyncio.TimerHandle | None = None
        self._live = False
        self._window = self._until = 0

    async def begin(self, pieces: AsyncIterator[bytes], *, chunk_frames: int, whole: bool) -> Recording:
        """Upload; returns when all is with the worker. Errors: as ``Voice.record``."""
        self._window = max(WINDOW_S * self._programme.video.fps, 2 * chunk_frames)
        tell(self._worker, self._programme.opening)
        tell(self._worker, SetEncodings(self._programme.key, []))
        complete = False
        try:
            recording = await self._voice.record(pieces, self._changed, chunk_frames=chunk_frames, whole=whole)
            complete = True
        finally:
            if not complete:
                self._end()
        self._watch()
        return recording

    def message(self, message: RenderMessage) -> None:
        """What the worker says."""
        match message:
            case Unit() | WentIdle():
                return
            case StreamFailed():
                self.fail(Unavailable(message.detail))
            case SpeechAccepted():
                if self._voice.message(message):
                    tell(self._worker, GoLive(self._programme.key, 0))
                    self._live = True
                    self._grant(0)
            case StreamRefused():
                self._voice.message(message)
                self.fail(Unavailable(message.detail))
            case SpeechStarted() | SpeechFinished():
                self._voice.message(message)
                self._voice.tell_due(message.media_time)
            case _:
                self._voice.message(message)

    def fail(self, error: ServerError) -> None:
        """It ends here; whoever reads learns why."""
        self._voice.fail(error, 0)

    def _changed(self, recording: Recording) -> None:
        if recording.closed:
            self.fail(Unavailable("nobody wanted the rest"))
        if recording.ended:
            self._end()
            return
        self._watch()
        if self._live and recording.unread_bytes < ENOUGH_BYTES:
            self._grant(recording.made_frames)

    def _grant(self, made: int) -> None:
        """Let the worker go on, at least one second further than before."""
        until = made + self._window
        if until - self._until >= self._programme.video.fps:
            self._until = until
            # now=0: of all that is granted, what is live and nearer to its time is made first
            tell(self._worker, Advance(self._programme.key, until, 0))

    def _watch(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
        self._stall = None if self.ended else self._call_later(STALL_S, self.fail, Unavailable("it makes no progress"))

    def _end(self) -> None:
        if not self.ended:
            self.ended = True
            self._watch()
            tell(self._worker, CloseStream(self._programme.key))


class Renders:
    """All renders that are under way, at most ``max_renders``."""

    def __init__(self, worker: Worker, settings: Settings, ledger: Ledger, spans: Spans = NO_SPANS) -> None:
        self._worker, self._settings, self._ledger, self._spans = worker, settings, ledger, spans
        self._renders: dict[str, Render] = {}
        self._serial = 0

    def __len__(self) -> int:
        self._sweep()
        return len(self._renders)

    async def begin(
        self, programme: Programme, pieces: AsyncIterator[bytes], *, chunk_frames: int, whole: bool = False
    ) -> Recording:
        """Make chunks of speech as the programme would show it; returns when all of it is with the worker.

        Errors: TooLarge, TooMany, TooSlow, WorkerLost, Unavailable, those of ``pieces``.
        """
        if self._worker.state is not WorkerState.READY:
            raise Unavailable("the speech engine is starting")
        if len(self) >= self._settings.max_renders:
            raise TooMany(f"{len(self._renders)} recordings are being made already")
        self._serial += 1
        key = f"{programme.key}/render/{self._serial}".removeprefix("/")
        made = replace(programme, name=key, listed=True)
        render = Render(made, programme, self._worker, self._settings, self._ledger, self._spans)
        self._renders[key] = render
        return await render.begin(pieces, chunk_frames=chunk_frames, whole=whole)

    def _sweep(self) -> None:
        self._renders = {key: render for key, render in self._renders.items() if not render.ended}

    def message(self, key: str, message: RenderMessage) -> None:
        """What the worker says about one of them, or about none."""
        render = self._renders.get(key)
        if render is not None:
            render.message(message)

    def worker_lost(self, detail: str) -> None:
        """None of them is begun again: what was made of it is with its reader."""
        self._fail_those(WorkerLost(detail), lambda _: True)

    def off_air(self, programme: Programme) -> None:
        """A stream is taken off the air: what is made under its name ends."""
        self._fail_those(Unavailable("the stream was taken off the air"), lambda render: render.owner is programme)

    def close(self) -> None:
        """The server ends."""
        self._fail_those(Unavailable("the server is being stopped"), lambda _: True)

    def _fail_those(self, error: ServerError, wanted: Callable[[Render], bool]) -> None:
        for render in list(self._renders.values()):
            if wanted(render):
                render.fail(error)
        self._sweep()
