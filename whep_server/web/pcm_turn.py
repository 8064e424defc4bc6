"""One utterance of a connection that streams speech: hands on what comes of it, and tells what becomes of it.

Two tasks. One hands the samples to the live layer, which lets it wait where enough of them are unplayed; it ends when
the utterance is committed or over, be its client still there or not. The other passes the live layer's events on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from whep_server.errors import ServerError, TooMany
from whep_server.web.on_air import PcmEvent, PcmSpeech
from whep_server.web.pcm_messages import BadMessage, Begin, Begun, Commit, Gone, Intake, Mark, Told, fault
from whep_server.web.pcm_reader import PcmFormat

GONE: Final = "its client is gone"
Tell = Callable[[Told], Awaitable[None]]
"""Sends an event; waits where the client does not read, and does nothing where it is gone."""


class PcmTurn:
    """See the module."""

    def __init__(self, speech: PcmSpeech, begin: Begin, tell: Tell, gap_s: float) -> None:
        """Until it is accepted, ``gap_s`` without a sample end it; from then on the worker sees to that."""
        self.id = speech.id
        self.over = False
        """Whether it takes nothing any more: interrupted, cancelled, broken off or spoken."""
        self.handed_on = asyncio.Event()
        """Set when nothing more of it will be handed on."""
        self._speech = speech
        self._intake = Intake(PcmFormat(begin.sample_rate, begin.channels))
        self._tell = tell
        self._gap_s = gap_s
        self._accepted = False
        self._came_s = self._now_s()  # when samples came last
        self._more = asyncio.Event()
        self._room = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self, group: asyncio.TaskGroup) -> None:
        """Tell that it has begun, and how much may be sent at first; run its tasks."""
        first = await anext(self._speech)
        size = self._allow(first)
        await self._tell(Begun(self.id, size))
        self._tasks = [
            group.create_task(self._hand_on(), name=f"pcm-hand-on-{self.id}"),
            group.create_task(self._tell_on(), name=f"pcm-tell-{self.id}"),
        ]

    # --- what comes

    async def take(self, samples: bytes) -> None:
        """Samples; returns when more may be read. Errors: BadMessage."""
        self._intake.append(samples)
        if samples:
            self._came_s = self._now_s()
        self._more.set()
        if self._intake.overrun():
            error = BadMessage("credit-exceeded", "more came than there is credit for: it is read as it is played")
            await self._tell(fault(error, self.id))
        await self._until_room()

    async def put(self, message: Mark | Commit) -> None:
        """A mark, or the end; returns when more may be read. Errors: BadMessage for the end of what has no samples."""
        if isinstance(message, Commit) and not self._intake.received:
            await self.cancel()
            raise BadMessage("no-audio", "committed without a sample")
        self._intake.put(message)
        self._more.set()
        await self._until_room()

    async def _until_room(self) -> None:
        while self._intake.full and not self.over:
            self._room.clear()
            await self._room.wait()

    async def cancel(self) -> None:
        """Fall silent."""
        self.forget()
        await self._speech.cancel()

    def forget(self) -> None:
        """What was not handed on is not wanted any more, and what still comes is passed over."""
        self.over = True
        self._intake.clear()
        self._more.set()
        self._room.set()

    def leave(self, *, at_once: bool) -> None:
        """Its client is gone: it ends with what came, or ``at_once`` with what was handed on."""
        handing_on, telling = self._tasks or (None, None)
        if telling is not None:
            telling.cancel()
        if handing_on is None:
            self._speech.break_off(GONE)
            self.handed_on.set()
        elif at_once:
            handing_on.cancel()
        else:
            self._intake.put(Gone())
            self._more.set()

    # --- what becomes of it

    async def _hand_on(self) -> None:
        """Until it is committed or over."""
        try:
            while not self.over and await self._hand_on_next():
                self._room.set()
        except TimeoutError:
            detail = f"no samples came for {self._gap_s:g} s"
            self._speech.break_off(detail)
            self.forget()
            await self._tell(fault(BadMessage("no-samples", detail), self.id))
        except ServerError:  # the live layer has ended it, which its events tell
            self.forget()
        finally:
            if not self.over:
                self._speech.break_off(GONE)  # which changes nothing where it is committed
            self.handed_on.set()

    async def _hand_on_next(self) -> bool:
        """Whether that was not its end. Errors: those of ``PcmSpeech``; TimeoutError where no samples come."""
        match self._intake.take():
            case None:
                self._more.clear()
                await self._until_more()
            case Mark(name):
                await self._mark(name)
            case Commit():
                self._speech.commit()
                return False
            case Gone():
                return False
            case samples:
                await self._speech.append(samples)
        return True

    async def _until_more(self) -> None:
        """Marks are no samples, and do not hold a place. Errors: TimeoutError."""
        while not self._more.is_set():
            left_s = None if self._accepted else self._came_s + self._gap_s - self._now_s()
            try:
                async with asyncio.timeout(left_s):
                    await self._more.wait()
            except TimeoutError:
                if not self._accepted:  # by now; if it is, there is no limit here
                    raise

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def _mark(self, name: str) -> None:
        try:
            self._speech.mark(name)
        except TooMany as error:
            await self._tell(fault(error, self.id))

    async def _tell_on(self) -> None:
        """Until it is over."""
        async for event in self._speech:
            self._allow(event)
            self._accepted = self._accepted or event.kind == "accepted"
            await self._tell({"type": event.kind, "utterance": self.id, **event.data})
        self.forget()

    def _allow(self, event: PcmEvent) -> int:
        size = int(event.data["bytes"] or 0) if event.kind == "credit" else 0
        self._intake.allow(size)
        return size
