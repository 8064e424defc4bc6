"""The page for Prometheus, made when it is asked for: what is on air now, and what the ledger holds of what is gone.

Labels have few values: kinds, states, codecs, routes. Never names of streams, sessions or utterances: some are secrets,
and each would be a series for ever. The server process is described under Prometheus' own names (``process_...``), its
worker under ours.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from statistics import median
from typing import Final, Protocol, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from whep_server.metrics.facts import AvatarFacts, Cause, IceFailure, LiveFacts, SessionStats, WorkerFacts
from whep_server.metrics.lag import Histogram, tasks_now
from whep_server.metrics.ledger import Ledger, media_sums

PREFIX: Final = "whep_avatar_"
MEDIA: Final = {
    # field of MediaStats -> name and what it says; by kind of session and codec
    "frames_sent": ("frames_sent", "Pictures, and packets of sound, sent to viewers"),
    "frames_dropped": ("frames_dropped", "Pictures, and packets of sound, that viewers were too slow for"),
    "packets_sent": ("rtp_packets_sent", "RTP packets sent to viewers"),
    "retransmitted_packets_sent": ("rtp_packets_retransmitted", "RTP packets that viewers had lost, sent again"),
    "packets_discarded_on_send": ("rtp_packets_discarded", "RTP packets that this machine had no room for"),
    "packets_lost": ("rtp_packets_lost", "RTP packets lost, as viewers report and as is seen of publishers"),
    "packets_received": ("rtp_packets_received", "RTP packets received from publishers"),
    "bytes_sent": ("rtp_sent_bytes", "Payloads of RTP sent to viewers"),
    "bytes_received": ("rtp_received_bytes", "Payloads of RTP received from publishers"),
    "pli_count": ("keyframe_requests", "PLI and FIR that viewers sent"),
    "nack_count": ("nacks", "NACK that viewers sent"),
}
STATES: Final = {"shown": True, "kept": False}
"""Of an avatar in memory: whether a stream shows it."""
MAKING: Final = ("queued", "preparing")
OUTCOMES: Final = ("ready", "failed", "cancelled")
RECEIVED: Final = ("packets_received", "bytes_received")
"""Of publishers; the other fields are of viewers, losses of both."""
Values = TypeVar("Values", bound=tuple[str, ...])
Requests = Mapping[tuple[str, str], int]
"""How many were answered, by template of the route and class of status."""


class Measured(Protocol):
    """What is scraped: ``live.registry.Registry``."""

    @property
    def ledger(self) -> Ledger:
        """What is added up of what is gone."""
        ...

    def facts(self) -> LiveFacts:
        """All that is on air, as of now."""
        ...


class LiveCollector(Collector):
    """Reads the live objects at each scrape. ``live`` gives None as long as there is nothing to read."""

    def __init__(
        self,
        live: Callable[[], Measured | None],
        requests: Requests,
        version: str,
        expires_s: Callable[[], float] | None,
    ) -> None:
        self._live, self._requests, self._version, self._expires_s = live, requests, version, expires_s

    def describe(self) -> list[Metric]:
        """Nothing: registering shall not scrape."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All families."""
        yield InfoMetricFamily(PREFIX + "build", "What runs", {"version": self._version})
        yield _counts("http_requests", "Requests answered", ("route", "status"), self._requests)
        if self._expires_s is not None:
            text = "When the certificate of HTTPS expires, in seconds since 1970; only where the server has one"
            yield _gauge("certificate_expiry_seconds", text, self._expires_s())
        live = self._live()
        if live is None:
            return
        facts, ledger = live.facts(), live.ledger
        yield _gauge("ready", "Whether a viewer would be served and speech be spoken", facts.ready)
        yield _gauge("draining", "Whether the server is to end, and takes nothing new", facts.draining)
        yield _gauge("draining_utterances", "Utterances that it waits for before it ends", facts.owed)
        yield from _streams(facts, ledger)
        yield from _sessions(facts, ledger)
        yield from _media(facts, ledger)
        yield from _speech(facts, ledger)
        yield from _worker(facts.worker, ledger)
        yield from _preparations(facts, ledger)
        yield from _event_loop(ledger)


def open_scrape(
    live: Callable[[], Measured | None],
    requests: Requests,
    version: str,
    expires_s: Callable[[], float] | None = None,
) -> CollectorRegistry:
    """A registry of its own for one application; ``expires_s`` tells when its certificate does, if it has one."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(LiveCollector(live, requests, version, expires_s))
    return registry


def _streams(facts: LiveFacts, ledger: Ledger) -> Iterator[Metric]:
    yield _counts("streams", "Streams on air", ("state",), Counter((each.state,) for each in facts.streams), now=True)
    limits = {(engine,): limit for engine, limit in facts.max_speaking.items()}
    speaking = Counter((each.engine,) for each in facts.streams if each.talks)
    text = "Streams that speak, or have something to say"
    yield _counts("speaking_streams", text, ("engine",), dict.fromkeys(limits, 0) | speaking, now=True)
    text = "How many may at one time where no others speak; 0: as many as want to"
    yield _counts("max_speaking_streams", text, ("engine",), limits, now=True)
    yield _counter("speech_refused", "Times that a stream was not let speak, as too many spoke", ledger.speech_refused)
    dropped = ledger.units_dropped + sum(stream.units_dropped for stream in facts.streams)
    yield _counter("units_dropped", "Encoded pictures and sounds of the worker's that were never due", dropped)
    silent = ledger.silent_packets + sum(stream.silent_packets for stream in facts.streams)
    yield _counter("silent_packets", "Packets of speech that did not come in time, silence in their place", silent)


def _sessions(facts: LiveFacts, ledger: Ledger) -> Iterator[Metric]:
    open_now = Counter((each.kind, each.connection_state) for each in facts.sessions)
    yield _counts("sessions", "Sessions that are open", ("kind", "state"), open_now, now=True)
    yield _counts("sessions_ended", "Sessions by how they ended", ("kind", "ending"), ledger.sessions)
    failures = {(reason.value,): ledger.ice_failures[reason] for reason in IceFailure}
    yield _counts("ice_failures", "Sessions whose media never flowed, or flows no more", ("reason",), failures)
    restarts = ledger.ice_restarts + sum(session.ice_restarts for session in facts.sessions)
    yield _counter("ice_restarts", "ICE restarts", restarts)
    strays = {(kind,): count for kind, count in ledger.strays.items()}
    yield _counts("udp_strays", "Datagrams to the shared UDP port that were nobody's", ("kind",), strays)
    silences = {(server,): count for server, count in ledger.silences.items()}
    yield _counts("ice_servers_silent", "Times a STUN or TURN server was waited for in vain", ("server",), silences)
    pairs = [each.candidate_pair for each in facts.sessions if each.candidate_pair is not None]
    ways = Counter((pair.local, pair.remote, pair.protocol) for pair in pairs)
    yield _counts("candidate_pairs", "Ways that media takes", ("local", "remote", "protocol"), ways, now=True)
    tracks = [each.video for each in facts.sessions if each.video is not None and each.video.frame_width is not None]
    sizes = Counter((track.codec, f"{track.frame_width}x{track.frame_height}") for track in tracks)
    yield _counts("viewers", "Viewers by what they are shown", ("codec", "size"), sizes, now=True)
    yield from _paths(facts.sessions)


def _paths(sessions: Iterable[SessionStats]) -> Iterator[Metric]:
    """How the open sessions' paths are: of those whose peers have reported."""
    tracks = [track for session in sessions for track in session.media.values()]
    trips = [track.round_trip_time_s for track in tracks if track.round_trip_time_s is not None]
    losses = [track.fraction_lost for track in tracks if track.fraction_lost is not None]
    yield _spread("round_trip_seconds", "Round trips of open sessions' tracks", trips)
    yield _spread("loss_ratio", "Part of the packets lost between the last two reports of each track", losses)


def _media(facts: LiveFacts, ledger: Ledger) -> Iterator[Metric]:
    sums = media_sums(facts.sessions)
    sums.update(ledger.media)
    for field, (name, text) in MEDIA.items():
        mine = {(kind, codec): count for (counted, kind, codec), count in sums.items() if counted == field}
        if field in RECEIVED:
            mine = {labels: count for labels, count in mine.items() if labels[0] == "publisher"}
        elif field != "packets_lost":
            mine = {labels: count for labels, count in mine.items() if labels[0] == "viewer"}
        yield _counts(name, text, ("kind", "codec"), mine)


def _speech(facts: LiveFacts, ledger: Ledger) -> Iterator[Metric]:
    queued = sum(stream.queued for stream in facts.streams)
    yield _gauge("utterances_queued", "Utterances that were accepted and have not begun", queued)
    yield _counts("utterances", "Utterances by how they ended", ("way", "state"), ledger.utterances)
    causes = {(cause.value,): ledger.interruptions[cause] for cause in Cause}
    yield _counts("interruptions", "Interruptions that ended or dropped an utterance", ("cause",), causes)
    poses = {(pose,): count for pose, count in ledger.poses.items()}
    yield _counts("poses", "Poses that figures were asked to take", ("pose",), poses)
    yield _counter("underruns", "Pauses of utterances whose next samples had not come", ledger.underruns)
    text = "From the end of an upload until it was accepted, heard, and seen; of those that waited for no other"
    family = HistogramMetricFamily(PREFIX + "utterance_latency_seconds", text, labels=("step",))
    for step, histogram in ledger.latencies.items():
        family.add_metric((step,), _buckets(histogram), histogram.sum)
    yield family


def _worker(worker: WorkerFacts, ledger: Ledger) -> Iterator[Metric]:
    yield _gauge("worker_ready", "Whether the worker can speak", worker.ready)
    yield _counter("worker_losses", "Workers that were lost, each followed by another", ledger.worker_losses)
    yield _counter("worker_frames", "Frames that the worker made", worker.frames)
    yield _counter("worker_late_frames", "Frames that it did not draw, as their time had passed", worker.late_frames)
    yield _gauge("worker_haste", "Whether it encodes quicker and coarser, because it does not keep up", worker.quick)
    yield _gauge("worker_live_streams", "Streams that it makes pictures for", worker.live_streams)
    text = "Time from the end of a picture until it was due; below 0: it was late"
    slack = HistogramMetricFamily(PREFIX + "worker_slack_seconds", text, labels=("engine",))
    for engine, pictures in worker.slack.items():
        slack.add_metric((engine,), _cumulated(pictures), None)
    yield slack
    stages = {(stage,): seconds for stage, seconds in worker.stage_s.items()}
    yield _counts("worker_stage_seconds", "Time that it spent on pictures", ("stage",), stages)
    yield _counter("worker_cpu_seconds", "CPU time of the worker process", worker.cpu_s)
    yield _gauge("worker_resident_memory_bytes", "Memory of the worker process", worker.rss_bytes)
    yield from _avatars(worker.avatars)


def _avatars(avatars: AvatarFacts) -> Iterator[Metric]:
    states = {state: [each for each in avatars.held if bool(each.streams) is shown] for state, shown in STATES.items()}
    counts = {(state,): len(held) for state, held in states.items()}
    sizes = {(state,): sum(each.held_bytes for each in held) for state, held in states.items()}
    text = "Avatars in the worker's memory, at one size each, by whether a stream shows them"
    yield _counts("avatars_held", text, ("state",), counts, now=True)
    yield _counts("avatar_memory_bytes", "What they take there", ("state",), sizes, now=True)
    yield _gauge("max_avatar_memory_bytes", "What they may take there", avatars.most_bytes)
    yield _counter("avatar_hits", "Times that a stream found its avatar in memory", avatars.hits)
    yield _counter("avatar_misses", "Times that an avatar was loaded into memory", avatars.misses)
    yield _counter("avatar_evictions", "Times that an avatar had to leave memory for others", avatars.evictions)


def _preparations(facts: LiveFacts, ledger: Ledger) -> Iterator[Metric]:
    making = {(state,): facts.preparations.get(state, 0) for state in MAKING}
    yield _counts("avatars_in_the_making", "Avatars that are being made, or wait for it", ("state",), making, now=True)
    outcomes = {(outcome,): ledger.preparations[outcome] for outcome in OUTCOMES}
    yield _counts("avatar_preparations", "Avatars that were to be made, by what came of it", ("outcome",), outcomes)
    text, took = "How long avatars that were made took, from when their turn came", ledger.preparing
    yield HistogramMetricFamily(PREFIX + "avatar_preparation_seconds", text, _buckets(took), took.sum)


def _event_loop(ledger: Ledger) -> Iterator[Metric]:
    text, late = "How late the event loop woke its tasks", ledger.lag.late
    yield HistogramMetricFamily(PREFIX + "event_loop_lag_seconds", text, _buckets(late), late.sum)
    worst_s = ledger.lag.worst_s(time.monotonic())
    yield _gauge("event_loop_lag_worst_seconds", "The same, the latest in the last one to two minutes", worst_s)
    yield _gauge("event_loop_tasks", "Tasks of the event loop", tasks_now())


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, text, value)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, text, float(value))


def _counts(
    name: str, text: str, labels: tuple[str, ...], counts: Mapping[Values, float], *, now: bool = False
) -> Metric:
    """One sample for each key; ``now``: of what there is, which may become fewer."""
    family = (GaugeMetricFamily if now else CounterMetricFamily)(PREFIX + name, text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family


def _spread(name: str, text: str, values: list[float]) -> Metric:
    family = GaugeMetricFamily(PREFIX + name, text, labels=("of",))
    if values:
        family.add_metric(("median",), median(values))
        family.add_metric(("worst",), max(values))
    return family


def _buckets(histogram: Histogram) -> list[tuple[str, float]]:
    """How many are at or below each bound."""
    return _cumulated(zip((*histogram.bounds, math.inf), histogram.counts, strict=True))


def _cumulated(counts: Iterable[tuple[float, int]]) -> list[tuple[str, float]]:
    """The same of counts between bounds, each with its upper one."""
    total, found = 0, []
    for bound, count in counts:
        total += count
        found.append(("+Inf" if bound == math.inf else str(bound), float(total)))
    return found
