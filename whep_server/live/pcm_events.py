"""What whoever streams speech in is told of it, in order, until it is over.

Bounded, though a reader may never come: credit is added up to one event, marks are limited where they are set, and a
pause with its end is left out where many wait.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from whep_server.live.utterances import News

KINDS: Final = {"queued": "accepted", "cancelled": "interrupted"}
"""States that an utterance's maker knows under another name."""
LAST: Final = ("finished", "interrupted", "failed")
MAX_PAUSES: Final = 64
"""Pauses that may be unread, each with its end."""


@dataclass(frozen=True, slots=True)
class PcmEvent:
    """One thing that happened to the utterance; see ``web.on_air_speech.PcmEvent``."""

    kind: str
    data: Mapping[str, str | int | float | None] = field(default_factory=dict)


class PcmEvents:
    """Of one utterance; an async iterator for one reader."""

    def __init__(self) -> None:
        self._events: deque[PcmEvent] = deque()
        self._credit = 0
        self._over = False
        self._skipping = False
        self._filled = asyncio.Event()

    @property
    def unread_marks(self) -> int:
        """Marks that were told and not read."""
        return sum(event.kind == "mark" for event in self._events)

    def credit(self, size: int) -> None:
        """So many bytes more may be sent."""
        if not self._over:
            self._credit += size
            self._filled.set()

    def put(self, news: News) -> None:
        """Something happened; after the last thing nothing does."""
        event = _event(news)
        if self._over or self._skipped(event.kind):
            return
        self._over = event.kind in LAST
        self._events.append(event)
        self._filled.set()

    def _skipped(self, kind: str) -> bool:
        if kind == "underrun":
            self._skipping = sum(event.kind == "underrun" for event in self._events) >= MAX_PAUSES
        return self._skipping and kind in ("underrun", "resumed")

    def __aiter__(self) -> "PcmEvents":
        return self

    async def __anext__(self) -> PcmEvent:
        while True:
            if self._events:
                return self._events.popleft()
            if self._over:
                raise StopAsyncIteration
            if self._credit:
                size, self._credit = self._credit, 0
                return PcmEvent("credit", {"bytes": size})
            self._filled.clear()
            await self._filled.wait()


def _event(news: News) -> PcmEvent:
    data: dict[str, str | int | float | None] = {}
    if news.name:
        data["name"] = news.name
    if news.samples is not None:
        data |= {"played_samples": news.samples, "media_time_s": news.media_time_s}
    if news.detail is not None:
        data["detail"] = news.detail
    return PcmEvent(KINDS.get(news.state, news.state), data)
