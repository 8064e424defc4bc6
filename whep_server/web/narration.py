"""One text on its way: from the synthesizer, through the stream's queue, to the end of its utterance."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Final

from whep_server.errors import Conflict, Interrupted, ServerError, SynthesisFailed, TooMany, Unavailable, WorkerLost
from whep_server.web.backlog import Backlog
from whep_server.web.on_air import PcmSpeech, Stream
from whep_server.web.synthesis import Pcm, Sound

logger = logging.getLogger(__name__)

AHEAD_BYTES: Final = 4 * 1024 * 1024
"""So much of a text is synthesized before it is spoken: one and a half minutes at 24 kHz."""
CANCEL_S: Final = 2.0
TURN_S: Final = 10.0
"""A text whose turn does not come within that is refused, lest its request hangs while a long one is read."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text that stands in a stream's queue."""

    id: str
    queued: int
    """How many utterances are before it."""
    seconds: float | None = None
    """How long it is nobody knows before all of it is made."""


Accepted = asyncio.Future[Spoken]


async def narrate(stream: Stream, turn: asyncio.Lock, sound: Sound, accepted: Accepted) -> None:
    """Have ``sound`` spoken when its ``turn`` comes; returns when it is.

    ``accepted`` gets the utterance when it stands in the queue, or the ServerError that kept it from there. What
    happens after that the stream's events tell.
    """
    backlog = Backlog(AHEAD_BYTES)
    interruptions = stream.interruptions
    async with asyncio.TaskGroup() as group:
        making = group.create_task(backlog.fill(sound), name="text-synthesis")
        try:
            async with _taken(turn):
                first = await _first(backlog)
                if stream.interruptions != interruptions:
                    raise Interrupted("speech was interrupted before this text could be spoken")
                speech = stream.open_pcm(first.format.sample_rate, first.format.channels)
                following = group.create_task(_follow(speech, accepted, _ahead(stream)), name="text-events")
                feeding = group.create_task(_feed(speech, first, backlog), name="text-samples")
                await _until_handed_on(speech, feeding, following)
        except ServerError as error:
            if backlog.error is error:  # the operator's business, too
                logger.warning("a text was not synthesized: %s", error.detail)
            _refuse(accepted, error)
        finally:
            making.cancel()


@asynccontextmanager
async def _taken(turn: asyncio.Lock) -> AsyncIterator[None]:
    """Wait for the turn. Errors: TooMany."""
    try:
        async with asyncio.timeout(TURN_S):
            await turn.acquire()
    except TimeoutError:
        raise TooMany("the texts before it are long, and still being read", retry_after_s=int(TURN_S)) from None
    try:
        yield
    finally:
        turn.release()


async def _first(backlog: Backlog) -> Pcm:
    first = await anext(backlog, None)
    if first is None:
        raise backlog.error or SynthesisFailed("the text has no sound")
    return first


async def _feed(speech: PcmSpeech, first: Pcm, backlog: Backlog) -> None:
    """All of the sound, and that it is whole, or that it is not: then what there is of it is spoken."""
    with suppress(Conflict, WorkerLost):  # it is over already: the events say how
        await speech.append(first.data)
        async for pcm in backlog:
            await speech.append(pcm.data)
        if backlog.error is None:
            speech.commit()
        else:
            detail, about = backlog.error.detail, {"utterance": speech.id}
            logger.warning("utterance %s breaks off: %s", speech.id, detail, extra=about)
            speech.break_off(backlog.error.detail)


async def _follow(speech: PcmSpeech, accepted: Accepted, ahead: int) -> None:
    """Its events, up to the last."""
    async for event in speech:
        if event.kind == "accepted" and not accepted.done():
            accepted.set_result(Spoken(speech.id, ahead))
        elif event.kind == "interrupted":
            _refuse(accepted, Interrupted("speech was interrupted before this text could be spoken"))
        elif event.kind == "failed":
            _refuse(accepted, Unavailable(str(event.data.get("detail"))))


async def _until_handed_on(speech: PcmSpeech, feeding: asyncio.Task[None], following: asyncio.Task[None]) -> None:
    """Until all of it is with the stream, or the utterance is over; cancelled, it is made to be over."""
    try:
        await asyncio.wait({feeding, following}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        with suppress(ServerError, TimeoutError):
            async with asyncio.timeout(CANCEL_S):
                await speech.cancel()
        raise
    finally:
        feeding.cancel()


def _refuse(accepted: Accepted, error: ServerError) -> None:
    if not accepted.done():
        accepted.set_exception(error)


def _ahead(stream: Stream) -> int:
    return stream.queued + (stream.state == "speaking")
