"""The server-sent events of one WHEP session: which streams of them were asked for, and what each is told. Pure.

Source: the working text of the WHEP extension for server-sent events, apart from draft-ietf-wish-whep-04. A player asks
for types by POST and reads them at the URL it gets; all end with the session.  [X-SSE-04] [X-SSE-08]
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from whep_server.errors import BadRequest, NoSuchSession, TooMany
from whep_server.live.events import EventQueue, StreamEvent

RECONNECT: Final = "reconnect"
TYPES: Final = ("active", "inactive", "viewercount", RECONNECT)
"""active and inactive: speech begins and ends (the picture never does); reconnect: open a new session at once."""
MAX_STREAMS: Final = 4
"""Event streams one session may hold: a page needs one."""
QUEUED: Final = 64
"""Events one stream of them may fall behind before it ends."""


class SessionEvents:
    """The event streams of one session."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[frozenset[str], EventQueue]] = {}
        self._closed = False

    def open(self, types: Iterable[str], now: Mapping[str, Mapping[str, int]]) -> str:
        """A further event stream that begins with those of ``now`` that were asked for; its id.  [X-SSE-03] [X-SSE-09]

        Errors: BadRequest for a type that is not of ``TYPES``, TooMany, NoSuchSession.
        """
        wanted = frozenset(types)
        unknown = sorted(wanted - set(TYPES))
        if unknown:
            raise BadRequest(f"no events of type {unknown[0][:40]!r}; there are {', '.join(TYPES)}")
        if self._closed:
            raise NoSuchSession("the session has ended")
        if len(self._streams) >= MAX_STREAMS:
            raise TooMany(f"a session has {MAX_STREAMS} event streams at most")
        name, queue = secrets.token_urlsafe(16), EventQueue(QUEUED)
        self._streams[name] = (wanted, queue)
        for kind, data in now.items():
            if kind in wanted and kind != "inactive":
                queue.put(StreamEvent(kind, dict(data)))
        return name

    def types(self, name: str) -> frozenset[str]:
        """The types that an event stream was asked for. Errors: NoSuchSession."""
        return self._stream(name)[0]

    def reading(self, name: str, *, once: bool = False) -> AbstractContextManager[EventQueue]:
        """The events of a stream that were not read yet; with ``once`` the stream ends with the reading.

        Errors: NoSuchSession where it is not, or no longer.
        """
        _, queue = self._stream(name)

        @contextmanager
        def read() -> Iterator[EventQueue]:
            try:
                yield queue
            finally:
                if once:
                    self._streams.pop(name, None)

        return read()

    def _stream(self, name: str) -> tuple[frozenset[str], EventQueue]:
        try:
            return self._streams[name]
        except KeyError:
            raise NoSuchSession("no such event stream") from None

    def drop(self, name: str) -> None:
        """End an event stream with what it holds.  [X-SSE-07]

        Errors: NoSuchSession.
        """
        self._stream(name)[1].close()
        del self._streams[name]

    def tell(self, kind: str, data: Mapping[str, int]) -> None:
        """Queue an event wherever it was asked for."""
        for wanted, queue in self._streams.values():
            if kind in wanted:
                queue.put(StreamEvent(kind, dict(data)))

    def close(self) -> None:
        """The session ends, and all its event streams with it."""
        self._closed = True
        for _, queue in self._streams.values():
            queue.close()
