"""What goes to one viewer: its units wait for their turn, then leave over whatever path ICE has chosen.

Sound and pictures of one media time wait together and leave together. A unit waits for no longer than the next few: who
is served too slowly by this process is served at once, so that an overload shows as lag of the stream and as nothing
else. A path that would hold units back takes none: they are left out, and nothing is ever late.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from whep_server.rtc.connection import RestartableConnection
from whep_server.rtc.datagrams import NOWHERE, Datagrams, Path
from whep_server.rtc.sendable import Sendable
from whep_server.rtc.sender_reports import MediaClock, ReportTimer
from whep_server.rtc.turns import Turns

WAITING: Final = 4
"""Units of both tracks that may wait for a turn: one media time has two, or three where the rates meet."""


class Track(Protocol):
    """One of a viewer's tracks."""

    def leave(self, unit: Sendable, path: Path, now_s: float) -> None:
        """Send a unit over a path. Units: seconds on the monotonic clock."""
        ...

    def report(self, path: Path, now_s: float) -> None:
        """Send a sender report as of a time."""
        ...


class Broadcast:
    """What all viewers of a stream have in common."""

    def __init__(self, started_s: float) -> None:
        """``started_s``: media time 0 on the monotonic clock."""
        self.clock = MediaClock(started_s)
        self.turns = Turns()
        self.reports = ReportTimer()


class Delivery:
    """See the module."""

    def __init__(self, broadcast: Broadcast) -> None:
        self.clock = broadcast.clock
        self.on_fault: Callable[[Exception], None] = lambda _: None
        """Called where this viewer cannot be sent to, for a reason that is ours."""
        self._broadcast = broadcast
        self._datagrams: Datagrams | None = None
        self._path: Path = NOWHERE
        self._tracks: list[Track] = []
        self._waiting: list[tuple[Track, Sendable]] = []
        self._in_line = False

    def open(self, track: Track, connection: RestartableConnection) -> None:
        """A track is up."""
        if self._datagrams is None:
            self._datagrams = Datagrams(connection)
            self._broadcast.reports.add(self)
        self._tracks.append(track)

    def close(self, track: Track, last: bytes) -> None:
        """A track ends with a last packet; with the last track, all does."""
        self.send(last)
        self._tracks.remove(track)
        self._waiting = [entry for entry in self._waiting if entry[0] is not track]
        if not self._tracks:
            self._shut()

    @property
    def full(self) -> bool:
        """Whether what is sent now would be late, as far as the path that was used last tells."""
        return self._path.congested

    def put(self, track: Track, unit: Sendable) -> None:
        """Have a unit leave when it is the viewer's turn, which is about now."""
        if self._datagrams is None:
            return
        self._waiting.append((track, unit))
        if len(self._waiting) > WAITING:
            self._leave(time.monotonic())
        if not self._in_line:
            self._in_line = True
            self._broadcast.turns.join(self)

    def serve(self, now_s: float) -> None:
        """It is the viewer's turn. Units: seconds on the monotonic clock."""
        self._in_line = False
        self._leave(now_s)

    def _leave(self, now_s: float) -> None:
        waiting, self._waiting = self._waiting, []
        if self._datagrams is None:
            return
        try:
            path = self._path = self._datagrams.path()
            for track, unit in waiting:
                track.leave(unit, path, now_s)
        except Exception as error:  # noqa: BLE001  one viewer's fault is not to cost the others their turn
            self.fail(error)

    def report(self, now_s: float) -> None:
        """Send the reports of all tracks, as of one instant."""
        if self._datagrams is None:
            return
        try:
            path = self._datagrams.path()
            for track in self._tracks:
                track.report(path, now_s)
        except Exception as error:  # noqa: BLE001  as above
            self.fail(error)

    def send(self, packet: bytes) -> int:
        """Send a datagram now; how many were discarded: one or none."""
        return 1 if self._datagrams is None else self._datagrams.path().send([packet])

    def fail(self, error: Exception) -> None:
        """Give up: the session ends, and says why."""
        self._shut()
        self.on_fault(error)

    def _shut(self) -> None:
        if self._datagrams is not None:
            self._broadcast.reports.discard(self)
            self._datagrams.close()
            self._datagrams, self._path = None, NOWHERE
