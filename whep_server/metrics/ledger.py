"""What is added up over the server's life, of what is gone: sessions, utterances, streams, workers. Pure.

What is still there is counted when somebody asks; so nothing is counted twice, and no sum ever shrinks.
"""

from collections import Counter
from collections.abc import Iterable
from operator import attrgetter
from typing import Final

from whep_server.metrics.facts import Cause, IceFailure, MediaStats, SessionStats, StreamStats, UtteranceStats
from whep_server.metrics.lag import Histogram, LoopLag

SUMMED: Final = (
    "packets_lost",
    "frames_sent",
    "frames_dropped",
    "packets_sent",
    "retransmitted_packets_sent",
    "packets_discarded_on_send",
    "packets_received",
    "bytes_sent",
    "bytes_received",
    "pli_count",
    "nack_count",
)
"""Fields of ``MediaStats`` that only grow."""
_summed: Final = attrgetter(*SUMMED)
LATENCY_BOUNDS_S: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
PREPARING_BOUNDS_S: Final = (5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
STEPS: Final = ("accepted", "started", "pictured")
"""Of an utterance, from the end of its upload."""

MediaSums = Counter[tuple[str, str, str]]
"""By field, kind of session and codec."""


def media_sums(sessions: Iterable[SessionStats]) -> MediaSums:
    """All tracks of sessions together."""
    rows: dict[tuple[str, str], list[tuple[int, ...]]] = {}
    for session in sessions:
        for track in (session.video, session.audio):
            if track is not None:
                rows.setdefault((session.kind, track.codec), []).append(_counts(track))
    sums: MediaSums = Counter()
    for (kind, codec), tracks in rows.items():
        for name, counts in zip(SUMMED, zip(*tracks, strict=True), strict=True):
            sums[name, kind, codec] += sum(counts)
    return sums


def _counts(track: MediaStats) -> tuple[int, ...]:
    """In the order of ``SUMMED``. Packets that came twice make losses negative."""
    lost, *others = _summed(track)
    return (max(0, lost or 0), *others)


class Ledger:
    """See the module."""

    def __init__(self) -> None:
        self.lag = LoopLag()
        self.media: MediaSums = Counter()
        self.sessions: Counter[tuple[str, str]] = Counter()
        """By kind and ending."""
        self.ice_failures: Counter[IceFailure] = Counter()
        self.ice_restarts = 0
        self.utterances: Counter[tuple[str, str]] = Counter()
        """By way and state; see ``utterance_over``."""
        self.latencies = {step: Histogram(LATENCY_BOUNDS_S) for step in STEPS}
        self.interruptions: Counter[Cause] = Counter()
        """Those that ended or dropped an utterance, by cause."""
        self.poses: Counter[str] = Counter()
        """How often a stream was made to take each."""
        self.underruns = 0
        """Pauses of utterances whose next samples had not come."""
        self.speech_refused = 0
        """How often a stream was not let speak, as too many spoke."""
        self.units_dropped = self.silent_packets = 0
        self.worker_losses = 0
        self.preparations: Counter[str] = Counter()
        """Avatars that were to be made, by what came of that: ready, failed or cancelled."""
        self.preparing = Histogram(PREPARING_BOUNDS_S)
        """How long those took that were made, from when their turn came."""
        self.strays: Counter[str] = Counter()
        """Datagrams that came to the shared UDP port and were nobody's, by what they looked like."""
        self.silences: Counter[str] = Counter()
        """How often a STUN or TURN server was waited for in vain, by its URL."""

    def session_over(self, session: SessionStats) -> None:
        """A session has ended."""
        self.sessions[session.kind, session.ending or "unknown"] += 1
        self.media.update(media_sums([session]))
        self.ice_restarts += session.ice_restarts
        if session.ice_failure is not None:
            self.ice_failures[session.ice_failure] += 1

    def not_gathered(self) -> None:
        """A session never began, for want of our own candidates."""
        self.ice_failures[IceFailure.GATHERING] += 1

    def utterance_over(self, way: str, utterance: UtteranceStats) -> None:
        """An utterance has ended; ``way``: spoken, recorded, streamed or published."""
        self.utterances[way, utterance.state] += 1
        if utterance.waited:
            return  # how long others spoke says nothing of the server
        for step, seconds in zip(STEPS, (utterance.accepted_s, utterance.started_s, utterance.pictured_s), strict=True):
            if seconds is not None:
                self.latencies[step].observe(seconds)

    def stream_over(self, stream: StreamStats) -> None:
        """A stream was taken off the air."""
        self.units_dropped += stream.units_dropped
        self.silent_packets += stream.silent_packets

    def preparation_over(self, outcome: str, seconds: float) -> None:
        """An avatar is made, or is not to be."""
        self.preparations[outcome] += 1
        if outcome == "ready":
            self.preparing.observe(seconds)

    def worker_lost(self) -> None:
        """A worker that was ready is gone."""
        self.worker_losses += 1
