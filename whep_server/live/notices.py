"""What is to be told of utterances when its media time is played, not when the worker announces it. Pure."""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field

from whep_server.errors import ServerError
from whep_server.live.utterances import Entry, News


@dataclass(order=True, slots=True)
class Notice:
    """Something that happens to an utterance at ``at``. Units: 48 kHz samples on the stream's clock."""

    at: int
    serial: int
    """Of those of one time, what was announced first is told first."""
    entry: Entry = field(compare=False)
    news: News = field(compare=False)
    over: bool = field(compare=False, default=False)
    """Whether the utterance is over with it."""
    error: ServerError | None = field(compare=False, default=None)
    """Why it is over, where it was not spoken to its end."""


class Notices:
    """Those that are to come, in order of media time."""

    def __init__(self) -> None:
        self._held: list[Notice] = []
        self._serial = 0

    def __len__(self) -> int:
        return len(self._held)

    def put(self, at: int, entry: Entry, news: News, *, over: bool = False, error: ServerError | None = None) -> None:
        """Have something told when ``at`` is played."""
        self._serial += 1
        heapq.heappush(self._held, Notice(at, self._serial, entry, news, over, error))

    def due(self, sample: int) -> Iterator[Notice]:
        """What is played by now, oldest first."""
        while self._held and self._held[0].at <= sample:
            yield heapq.heappop(self._held)

    def ends(self, entry: Entry) -> int | None:
        """When an utterance is over, as far as it is known."""
        return next((notice.at for notice in self._held if notice.over and notice.entry is entry), None)

    def forget(self, entry: Entry, after: int = -1) -> None:
        """What was to happen to an utterance after a media time will not."""
        self._held = [notice for notice in self._held if notice.entry is not entry or notice.at <= after]
        heapq.heapify(self._held)
