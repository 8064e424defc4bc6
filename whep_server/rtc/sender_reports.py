"""RTCP sender reports from media time: what was captured when, not what was sent when (RFC 3550 section 6.4.1).

A receiver brings sound and pictures together by them, and goes wrong by as much as they do. So both tracks of a viewer
are reported at one instant of one clock, whatever was sent last; and that clock is set by the wall clock once a
process, so that nothing moves when the wall clock does.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Protocol

from aiortc.rtp import RtcpByePacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSourceInfo, RtcpSrPacket

NTP_S: Final = 2_208_988_800
"""From NTP's epoch, 1900, to Unix', 1970 (RFC 5905 section 6)."""
WALL_S: Final = time.time() - time.monotonic()
"""The wall clock at 0 of the monotonic clock."""
PERIOD_S: Final = 1.0
SLOTS: Final = 10
"""Parts of the period, each with its share of the viewers."""
CNAME: Final = 1
"""SDES item (RFC 3550 section 6.5.1)."""
_MASK: Final = 0xFFFFFFFF


def ntp_time(now_s: float) -> int:
    """An instant of the monotonic clock as a 64-bit NTP time."""
    return int((now_s + WALL_S + NTP_S) * (1 << 32))


def compact(ntp: int) -> int:
    """The middle 32 bits of an NTP time, as reports refer to it. Units: 1/65536 s."""
    return ntp >> 16 & _MASK


def round_trip_s(now_s: float, last_report: int, delay: int) -> float | None:
    """What a receiver's report tells of the way there and back; None where it tells nothing.

    ``last_report`` and ``delay`` are LSR and DLSR (RFC 3550 section 6.4.1), units 1/65536 s.
    """
    if not last_report:
        return None
    elapsed = (compact(ntp_time(now_s)) - last_report - delay) & _MASK
    return None if elapsed >> 31 else elapsed / 65_536


@dataclass(frozen=True, slots=True)
class MediaClock:
    """A stream's media time: 0 is ``started_s`` on the monotonic clock."""

    started_s: float

    def media_time(self, now_s: float, clock_hz: int) -> int:
        """What is captured at an instant. Units: ticks."""
        return round((now_s - self.started_s) * clock_hz)


@dataclass(frozen=True, slots=True)
class Account:
    """What a sender has to say of itself."""

    ssrc: int
    cname: str | None
    rtp_time: int
    """Of the instant that is reported."""
    packets: int
    octets: int


def report(account: Account, now_s: float) -> bytes:
    """A compound packet: the report, and whose it is."""
    info = RtcpSenderInfo(
        ntp_timestamp=ntp_time(now_s),
        rtp_timestamp=account.rtp_time,
        packet_count=account.packets & _MASK,
        octet_count=account.octets & _MASK,
    )
    source = RtcpSourceInfo(account.ssrc, [(CNAME, (account.cname or "").encode())])
    return bytes(RtcpSrPacket(account.ssrc, info)) + bytes(RtcpSdesPacket([source]))


def goodbye(account: Account, now_s: float) -> bytes:
    """The last one: it ends with BYE (RFC 3550 section 6.6)."""
    return report(account, now_s) + bytes(RtcpByePacket([account.ssrc]))


class Reporter(Protocol):
    """Who has reports to send."""

    def report(self, now_s: float) -> None:
        """Send those of all its tracks. Units: seconds on the monotonic clock."""
        ...


class ReportTimer:
    """One timer for the reports of all viewers of a stream: each has its turn once a second."""

    def __init__(self) -> None:
        self._slots: list[dict[Reporter, None]] = [{} for _ in range(SLOTS)]
        self._slot = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, reporter: Reporter) -> None:
        """Call it soon, then once a second: browsers bring tracks together when they have two reports of each."""
        self._slots[(self._slot + 1) % SLOTS][reporter] = None
        if self._timer is None:
            self._wait()

    def discard(self, reporter: Reporter) -> None:
        """Call it no more."""
        for slot in self._slots:
            slot.pop(reporter, None)
        if self._timer is not None and not any(self._slots):
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(PERIOD_S / SLOTS, self._fire)

    def _fire(self) -> None:
        self._wait()
        self._slot = (self._slot + 1) % SLOTS
        now_s = time.monotonic()
        for reporter in list(self._slots[self._slot]):
            reporter.report(now_s)
