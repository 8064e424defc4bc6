"""One RTP source as its packets come: numbers that do not wrap, and what receiver reports say of it. Pure.

After RFC 3550, appendices A.1 (sequence numbers), A.3 (losses) and A.8 (jitter). A source that starts its numbers anew
is followed from its second packet on, as there: one stray packet changes nothing.
"""

from typing import Final

MAX_DROPOUT: Final = 3000
"""A gap in the sequence up to this is loss (RFC 3550 A.1)."""
MAX_MISORDER: Final = 100
"""A packet that comes late by up to this was overtaken (RFC 3550 A.1)."""
SEQUENCES: Final = 1 << 16
TIMES: Final = 1 << 32


class Reception:
    """The packets of one source so far.

    The properties are those that aiortc's reports and statistics ask of its own class of this purpose.
    """

    def __init__(self, clock_hz: int, after: "Reception | None" = None) -> None:
        """``after`` is the source that this one takes the place of: all numbers given lie above that one's."""
        self._clock_hz = clock_hz
        self._sequences_from = 0 if after is None else _next_multiple(after.latest[0], SEQUENCES)
        self._times_from = 0 if after is None else _next_multiple(after.latest[1], TIMES)
        self._started = False
        self._base = self._highest = self._highest_time = 0
        self._expected_after_jump = -1
        self._arrived_s = 0.0
        self._jitter = 0.0
        self._reported = (0, 0)  # expected and received, as of the last report
        self.packets_received = 0

    @property
    def latest(self) -> tuple[int, int]:
        """Extended sequence number and time of the furthest packet."""
        return self._sequences_from + self._highest, self._times_from + self._highest_time

    def add(self, sequence: int, rtp_time: int, now_s: float) -> tuple[int, int]:
        """Count a packet; its extended sequence number and time. Units: ``now_s`` monotonic."""
        if not self._started:
            self._start(sequence, rtp_time, now_s)
        ahead = _signed(sequence - self._highest, SEQUENCES)
        extended = self._highest + ahead
        time = self._highest_time + _signed(rtp_time - self._highest_time, TIMES)
        if -MAX_MISORDER < ahead < MAX_DROPOUT:
            self.packets_received += 1
            if ahead > 0:
                self._measure_jitter(time, now_s)
                self._highest, self._highest_time = extended, time
        elif sequence == self._expected_after_jump:
            self._start(extended, time, now_s)
            self.packets_received += 1
        else:
            self._expected_after_jump = (sequence + 1) % SEQUENCES
        return self._sequences_from + extended, self._times_from + time

    def _start(self, sequence: int, time: int, now_s: float) -> None:
        self._started = True
        self._base = self._highest = sequence
        self._highest_time = time
        self._arrived_s = now_s
        self._expected_after_jump = -1
        self.packets_received = 0
        self._reported = (0, 0)

    def _measure_jitter(self, time: int, now_s: float) -> None:
        transit = (now_s - self._arrived_s) * self._clock_hz - (time - self._highest_time)
        self._arrived_s = now_s
        self._jitter += (abs(transit) - self._jitter) / 16

    @property
    def packets_expected(self) -> int:
        """How many were sent, as far as the sequence numbers tell."""
        return self._highest - self._base + 1 if self._started else 0

    @property
    def packets_lost(self) -> int:
        """Below zero where packets came twice. Within the 24 bits of a report."""
        return max(-(1 << 23), min((1 << 23) - 1, self.packets_expected - self.packets_received))

    @property
    def fraction_lost(self) -> int:
        """Since it was last asked, in 1/256: for one report after another."""
        expected, received = self.packets_expected, self.packets_received
        more_expected, more_received = expected - self._reported[0], received - self._reported[1]
        self._reported = (expected, received)
        if more_expected <= 0 or more_received >= more_expected:
            return 0
        return min(255, (more_expected - more_received) * 256 // more_expected)

    @property
    def max_seq(self) -> int:
        """The extended highest sequence number of a report."""
        return self._highest % (1 << 32)

    @property
    def jitter(self) -> int:
        """Units: ticks of the RTP clock."""
        return min(TIMES - 1, int(self._jitter))


def _signed(difference: int, modulus: int) -> int:
    """The difference of two numbers that wrap, between plus and minus half the modulus."""
    return (difference + modulus // 2) % modulus - modulus // 2


def _next_multiple(value: int, step: int) -> int:
    return (value // step + 1) * step
