"""Interruptions of one stream: from the wish that it fall silent to the worker's answer, or the want of one.

Silence is the server's doing and waits for nobody: from the packet that is due a moment later, nothing that was made
before is played (``playout``), whatever the worker does. What the worker adds is a clean end, the mouth easing shut,
and the exact count of samples that were heard. Where it does not answer, the count is as much as can have been heard.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from avatar.messages import AbandonSpeech, Interrupt, Interrupted
from whep_server.errors import Unavailable
from whep_server.live.house import House
from whep_server.live.speech_queue import SpeechQueue
from whep_server.live.telling import tell
from whep_server.live.transmission import Transmission
from whep_server.live.utterances import Cut, CutOff, Entry, Interruption, Stage
from whep_server.metrics.facts import Cause

logger = logging.getLogger(__name__)

GRACE_S: Final = 0.04
"""From the call to the first packet that is changed: a message to the worker and back, and the picture that it is
drawing meanwhile. Who hears 40 ms more does not notice; who hears a click instead of a fade does."""
ANSWER_S: Final = 1.0
"""The worker answers in between two pictures; one that has not after a second hangs, and is killed before long."""
REASONS: Final = {
    Cause.ASKED: "speech was interrupted",
    Cause.CANCELLED: "its sender cancelled it",
    Cause.VOICE: "a publisher's voice interrupted it",
}
"""As those learn it whose speech it was."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """An interruption and who waits for what it did."""

    cut: Cut
    done: "asyncio.Future[Interruption]"
    deadline: asyncio.TimerHandle


class Interruptions:
    """See the module. ``wake`` is called where something is to be told soon."""

    def __init__(self, key: str, house: House, queue: SpeechQueue, air: Transmission, wake: Callable[[], None]) -> None:
        self._key = key
        self._house = house
        self._worker = house.worker
        self._queue = queue
        self._air = air
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[int, _Waiting] = {}
        self.count = 0
        """How often the stream was to fall silent, whether there was speech or not."""

    # --- who is to be silent

    def all(self, cause: Cause) -> "asyncio.Future[Interruption]":
        """Everything that is spoken, waits or arrives, but for a publisher whose voice barges in: its turn comes.

        The future: what it did; Unavailable where the worker does not answer. Who asks again while that is under way,
        and nothing new has come, shares in the answer.
        """
        self.count += 1
        at = self._air.next_packet(GRACE_S)
        entries = [entry for entry in self._queue.on_the_way(at) if not entry.outlasts]
        if not entries:
            return self._last() or self._answer(Interruption())
        self._note(cause)
        if not self._air.stretches.open and all(entry.stage is Stage.UPLOADED for entry in entries):
            return self._answer(self._drop(entries, cause))
        return self._cut(at, entries, "", cause)

    def one(self, entry: Entry, cause: Cause) -> "asyncio.Future[Interruption]":
        """One utterance; what else is queued goes on. As ``all``."""
        at = self._air.next_packet(GRACE_S)
        if entry not in self._queue.on_the_way(at):
            under_way = (waiting.done for waiting in self._waiting.values() if entry in waiting.cut.entries)
            return next(under_way, None) or self._answer(Interruption())
        self._note(cause)
        if entry.waits:
            return self._answer(self._drop([entry], cause))
        return self._cut(at, [entry], entry.id, cause)

    def stray(self, utterance: str) -> None:
        """The worker began what was given up in the same moment."""
        self._cut(self._air.next_packet(GRACE_S), [], utterance, Cause.CANCELLED)

    def _note(self, cause: Cause) -> None:
        self._house.ledger.interruptions[cause] += 1

    def _drop(self, entries: list[Entry], cause: Cause) -> Interruption:
        """Those have not begun: the worker just forgets them."""
        for entry in entries:
            tell(self._worker, AbandonSpeech(self._key, entry.id))
        return self._queue.cancel(entries, REASONS[cause])

    def _last(self) -> "asyncio.Future[Interruption] | None":
        return next((waiting.done for waiting in reversed(self._waiting.values())), None)

    def _answer(self, done: Interruption) -> "asyncio.Future[Interruption]":
        answer: asyncio.Future[Interruption] = self._loop.create_future()
        answer.set_result(done)
        return answer

    def _cut(self, at: int, entries: Iterable[Entry], utterance: str, cause: Cause) -> "asyncio.Future[Interruption]":
        cut = self._queue.cut(at, entries, REASONS[cause])
        self._air.fence(cut.epoch, at)
        tell(self._worker, Interrupt(self._key, cut.epoch, at, utterance))
        done: asyncio.Future[Interruption] = self._loop.create_future()
        done.add_done_callback(lambda it: it.cancelled() or it.exception())  # there may be nobody to await it
        self._waiting[cut.epoch] = _Waiting(cut, done, self._loop.call_later(ANSWER_S, self._unanswered, cut.epoch))
        self._wake()
        return done

    # --- what comes of it

    def answered(self, message: Interrupted) -> None:
        """The worker says what it did."""
        self._air.answered(message.epoch)
        waiting = self._waiting.pop(message.epoch, None)
        if waiting is not None:
            waiting.deadline.cancel()
            did = CutOff(message.utterance, message.media_time, message.samples, message.dropped)
            self._settle(waiting, self._queue.settle(waiting.cut, did))

    def _settle(self, waiting: _Waiting, did: Interruption) -> None:
        if not waiting.done.done():  # who awaited it may have gone
            waiting.done.set_result(did)
        self._wake()

    def _unanswered(self, epoch: int) -> None:
        logger.warning(
            "stream %s: the worker has not answered an interruption for %.0f s",
            self._key,
            ANSWER_S,
            extra={"stream": self._key},
        )
        waiting = self._waiting.pop(epoch)
        self._queue.settle(waiting.cut, None)
        if not waiting.done.done():
            waiting.done.set_exception(Unavailable("the speech engine does not answer; the stream is silent"))
        self._wake()

    def close(self) -> None:
        """Nobody will answer: the worker was lost, or the stream is taken off the air."""
        for waiting in self._waiting.values():
            waiting.deadline.cancel()
            self._settle(waiting, self._queue.settle(waiting.cut, None))
        self._waiting.clear()
