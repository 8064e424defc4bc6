"""What goes to one viewer: its units wait for their turn, then leave over whatever path ICE has chosen.

Sound and pictures of one media time wait together and leave together. A unit waits for no longer than the next few: who
is served too slowly by this process is served at once, so that an overload shows as lag of the stream and as nothing
else. A path that would hold units back takes none: they are left out, and nothing is ever late.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from whep_server.rtc.connection import RestartableConnection
from whep_server.rtc.datagrams import Datagrams
from whep_server.rtc.sendable import Sendable
from whep_server.rtc.sender_reports import MediaClock, ReportTimer
from whep_server.rtc.turns import Turns

WAITING: Final = 4
"""Units of both tracks that may wait for a turn: one media time has two, or three where the rates meet."""


class Track(Protocol):
    """One of a viewer's tracks."""

    def leave(self, unit: Sendable, now_s: float) -> None:
        """Send a unit."""
        ...

    def report(self, now_s: float) -> None:
        """Send a sender report."""
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
        self._tracks: list[Track] = []
        self._waiting: list[tuple[Track, Sendable]] = []
        self._in_line = False

    def open(self, track: Track, connection: RestartableConnection) -> None:
        """A track is up."""
        if self._datagrams is None:
            self._datagrams = Datagrams(connection)
            self._broadcast.reports.add(self)
        self._tracks.append(track)

    def close(self, track: Track) -> None:
        """A track has ended; with the last one, all has."""
        self._tracks.remove(track)
        self._waiting = [entry for entry in self._waiting if entry[0] is not track]
        if not self._tracks:
            self._shut()

    def put(self, track: Track, unit: Sendable) -> bool:
        """Have a unit leave when it is the viewer's turn, which is about now. False where it is left out."""
        if self._datagrams is None or self._datagrams.congested:
            return False
        self._waiting.append((track, unit))
        if len(self._waiting) > WAITING:
            self._leave()
        if not self._in_line:
            self._in_line = True
            self._broadcast.turns.join(self)
        return True

    def serve(self) -> None:
        """It is the viewer's turn."""
        self._in_line = False
        self._leave()

    def _leave(self) -> None:
        waiting, self._waiting = self._waiting, []
        now_s = time.monotonic()
        try:
            for track, unit in waiting:
                track.leave(unit, now_s)
        except Exception as error:  # noqa: BLE001  one viewer's fault is not to cost the others their turn
            self.fail(error)

    def report(self, now_s: float) -> None:
        """Send the reports of all tracks, as of one instant."""
        try:
            for track in self._tracks:
                track.report(now_s)
        except Exception as error:  # noqa: BLE001  as above
            self.fail(error)

    def send(self, packets: Sequence[bytes]) -> int:
        """Send datagrams now; how many were discarded."""
        return len(packets) if self._datagrams is None else self._datagrams.send(packets)

    def fail(self, error: Exception) -> None:
        """Give up: the session ends, and says why."""
        self._shut()
        self.on_fault(error)

    def _shut(self) -> None:
        if self._datagrams is not None:
            self._broadcast.reports.discard(self)
            self._datagrams.close()
            self._datagrams = None
