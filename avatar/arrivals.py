"""Utterances on their way in, by all the ways there are: how they are forgotten, and what an interruption leaves."""

from functools import partial

import msgspec

from avatar.intake import Intake
from avatar.live_intake import LiveIntake
from avatar.messages import Interrupt, Interrupted
from avatar.outbox import Send
from avatar.pcm_intake import PcmIntake
from avatar.pipeline import Pipeline
from avatar.timeline import Stays


class Arrivals:
    """Of all streams of a worker. What stands on a timeline is the timeline's to drop."""

    def __init__(self, uploads: Intake, live: LiveIntake, pcm: PcmIntake, send: Send) -> None:
        self._uploads, self._live, self._pcm, self._send = uploads, live, pcm, send

    def abandon(self, stream: str, utterance: str | None = None) -> None:
        """Forget one of ``stream``, or all."""
        self._uploads.abandon(stream, utterance)
        self._pcm.drop(stream, utterance)
        self._live.drop(stream, utterance)

    def interrupt(self, order: Interrupt, stream: Pipeline | None) -> None:
        """Interrupt a stream, which may not be known. Answered whatever happens, before all that is made anew."""
        answer = Interrupted(order.stream, order.epoch, None, order.at, 0, [])
        arriving = self._drop(order)
        try:
            if stream is not None:
                answer = stream.interrupt(order, self._stays(order), self._send)
        finally:
            self._send(msgspec.structs.replace(answer, dropped=[*answer.dropped, *arriving]))
        if stream is not None:
            stream.catch_up(self._send)
            self._live.forget_abandoned()

    def _drop(self, order: Interrupt) -> list[str]:
        """Forget those that it is about and that are on no timeline yet; their names."""
        for_one = (order.stream, order.utterance)
        if order.utterance:
            return [*self._uploads.drop(*for_one), *self._pcm.drop(*for_one)]
        older = (order.stream, order.epoch)
        return [*self._uploads.drop_older(*older), *self._pcm.drop_older(*older)]

    def _stays(self, order: Interrupt) -> Stays:
        """Which utterances on the timeline go on. All of them are of an older epoch."""
        return order.utterance.__ne__ if order.utterance else partial(self._live.outlasts, order.stream)
