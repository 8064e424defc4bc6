"""The page for Prometheus, from facts that a test makes: well-formed, and it sums what is and what was."""

import asyncio
import math
from dataclasses import dataclass, field, replace

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from whep_server.metrics.facts import (
    AvatarFacts,
    CandidatePair,
    Cause,
    HeldAvatar,
    IceFailure,
    LiveFacts,
    MediaStats,
    SessionStats,
    StreamStats,
    UtteranceStats,
    WorkerFacts,
)
from whep_server.metrics.lag import WINDOW_S, Histogram, LoopLag, tasks_now
from whep_server.metrics.ledger import Ledger
from whep_server.metrics.scrape import open_scrape

WATCHING = SessionStats(
    "viewer",
    "connected",
    "completed",
    ice_restarts=1,
    candidate_pair=CandidatePair("host", "srflx"),
    video=MediaStats(
        "VP8",
        frames_sent=5,
        frames_dropped=2,
        packets_sent=9,
        bytes_sent=900,
        packets_lost=-3,
        retransmitted_packets_sent=3,
        packets_discarded_on_send=1,
    ),
    audio=MediaStats("opus", frames_sent=10, packets_sent=10, bytes_sent=80, packets_lost=4, round_trip_time_s=0.25),
)
SAYING = SessionStats("publisher", "connected", "completed", audio=MediaStats("opus", packets_received=7))
STREAM = StreamStats("a secret name", listed=False, state="idle", viewers=1, publisher=False, queued=2, units_dropped=3)


@dataclass
class Source:
    """What is measured."""

    ledger: Ledger = field(default_factory=Ledger)
    sessions: list[SessionStats] = field(default_factory=list)
    streams: list[StreamStats] = field(default_factory=list)
    worker: WorkerFacts = field(default_factory=lambda: WorkerFacts(ready=True))

    def facts(self) -> LiveFacts:
        return LiveFacts(True, self.streams, self.sessions, self.worker, {"viseme": 6, "musetalk": 0})


def page_of(source: Source | None, requests: dict[tuple[str, str], int] | None = None) -> bytes:
    return generate_latest(open_scrape(lambda: source, requests or {}, "1.2.3", lambda: 1.8e9))


def read(page: bytes) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Samples by name without our prefix, and labels; parsed by the library's own parser."""
    families = text_string_to_metric_families(page.decode())
    found = [sample for family in families for sample in family.samples]
    samples = {(each.name.removeprefix("whep_avatar_"), frozenset(each.labels.items())): each.value for each in found}
    assert len(samples) == len(found), "no sample twice"
    return samples


def at(samples: dict, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def test_before_anything_is_open_there_is_a_page_already():
    samples = read(page_of(None, {("/x/{y}", "2xx"): 3}))
    assert at(samples, "build_info", version="1.2.3") == 1
    assert at(samples, "http_requests_total", route="/x/{y}", status="2xx") == 3
    assert at(samples, "process_resident_memory_bytes") > 0


def test_what_is_open_is_counted():
    source = Source(sessions=[WATCHING, WATCHING, SAYING], streams=[STREAM])
    samples = read(page_of(source))
    assert at(samples, "sessions", kind="viewer", state="connected") == 2
    assert at(samples, "frames_sent_total", kind="viewer", codec="VP8") == 10
    assert at(samples, "rtp_sent_bytes_total", kind="viewer", codec="opus") == 160
    assert at(samples, "rtp_packets_retransmitted_total", kind="viewer", codec="VP8") == 6
    assert at(samples, "rtp_packets_discarded_total", kind="viewer", codec="VP8") == 2
    assert at(samples, "rtp_packets_received_total", kind="publisher", codec="opus") == 7
    assert at(samples, "candidate_pairs", local="host", remote="srflx", protocol="udp") == 2
    assert at(samples, "ice_restarts_total") == 2
    assert at(samples, "round_trip_seconds", of="worst") == 0.25
    assert (at(samples, "units_dropped_total"), at(samples, "utterances_queued")) == (3, 2)
    assert at(samples, "rtp_packets_lost_total", kind="viewer", codec="VP8") == 0, "what came twice is no loss"
    assert not [labels for name, labels in samples if "frames_sent" in name and ("kind", "publisher") in labels]


def test_viewers_are_counted_by_the_size_that_they_are_shown():
    assert WATCHING.video is not None
    shown = [
        replace(WATCHING, video=replace(WATCHING.video, frame_width=width, frame_height=height))
        for width, height in ((1280, 720), (640, 360), (640, 360))
    ]
    samples = read(page_of(Source(sessions=[*shown, WATCHING, SAYING])))
    assert {labels: count for (name, labels), count in samples.items() if name == "viewers"} == {
        frozenset({("codec", "VP8"), ("size", "1280x720")}): 1,
        frozenset({("codec", "VP8"), ("size", "640x360")}): 2,
    }


def test_no_sum_shrinks_when_what_it_counts_goes():
    source = Source(sessions=[WATCHING, SAYING], streams=[STREAM])
    before = read(page_of(source))
    source.ledger.session_over(replace(WATCHING, ending="lost", ice_failure=IceFailure.CONSENT))
    source.ledger.session_over(replace(SAYING, ending="deleted"))
    source.ledger.stream_over(STREAM)
    source.sessions, source.streams = [], []
    after = read(page_of(source))
    apart = ("process_", "ice_failures")
    sums = [key for key in before if key[0].endswith("_total") and not key[0].startswith(apart)]
    assert len(sums) > 20 and [after[key] for key in sums] == [before[key] for key in sums]
    assert at(after, "sessions_ended_total", kind="viewer", ending="lost") == 1
    assert at(after, "ice_failures_total", reason="consent") == 1
    assert ("sessions", frozenset({("kind", "viewer"), ("state", "connected")})) not in after


def test_who_speaks_is_counted_by_engine():
    talking = replace(STREAM, talks=True)
    samples = read(page_of(Source(streams=[talking, talking, replace(talking, engine="musetalk"), STREAM])))
    assert [at(samples, "speaking_streams", engine=engine) for engine in ("viseme", "musetalk")] == [2, 1]
    assert [at(samples, "max_speaking_streams", engine=engine) for engine in ("viseme", "musetalk")] == [6, 0]


def test_secrets_are_no_labels():
    assert b"secret" not in page_of(Source(streams=[STREAM]))


def test_an_utterance_is_timed_unless_it_waited_for_others():
    ledger = Ledger()
    ledger.utterance_over("spoken", UtteranceStats("finished", 2.0, accepted_s=0.04, started_s=0.3, pictured_s=0.31))
    ledger.utterance_over("spoken", UtteranceStats("finished", 2.0, waited=True, accepted_s=0.04, started_s=9.0))
    ledger.utterance_over("recorded", UtteranceStats("failed", accepted_s=0.2))
    samples = read(page_of(Source(ledger)))
    counts = [at(samples, "utterance_latency_seconds_count", step=step) for step in ("accepted", "started", "pictured")]
    assert counts == [2, 1, 1]
    assert at(samples, "utterance_latency_seconds_bucket", step="started", le="0.3") == 1
    assert at(samples, "utterance_latency_seconds_bucket", step="started", le="0.2") == 0
    assert at(samples, "utterances_total", way="spoken", state="finished") == 2


def test_interruptions_are_counted_by_their_cause():
    ledger = Ledger()
    ledger.interruptions.update([Cause.ASKED, Cause.VOICE, Cause.ASKED])
    ledger.underruns = 3
    samples = read(page_of(Source(ledger)))
    causes = {cause: at(samples, "interruptions_total", cause=cause) for cause in ("asked", "cancelled", "voice")}
    assert causes == {"asked": 2, "cancelled": 0, "voice": 1} and at(samples, "underruns_total") == 3


def test_the_worker_is_described():
    worker = WorkerFacts(
        True, frames=100, late_frames=1, stage_s={"engine": 0.5}, cpu_s=1.5, rss_bytes=1000, quick=True
    )
    source = Source(worker=worker)
    source.ledger.worker_lost()
    samples = read(page_of(source))
    names = ("worker_frames_total", "worker_late_frames_total", "worker_losses_total", "worker_cpu_seconds_total")
    assert [at(samples, name) for name in names] == [100, 1, 1, 1.5]
    assert at(samples, "worker_stage_seconds_total", stage="engine") == 0.5
    assert at(samples, "worker_haste") == 1


def test_slack_is_a_histogram_that_goes_below_zero():
    worker = WorkerFacts(True, slack={"viseme": [(-0.04, 2), (0.0, 1), (0.08, 4), (math.inf, 3)]})
    samples = read(page_of(Source(worker=worker)))
    at_most = [at(samples, "worker_slack_seconds_bucket", engine="viseme", le=le) for le in ("-0.04", "0.0", "0.08")]
    assert at_most == [2, 3, 7] and at(samples, "worker_slack_seconds_bucket", engine="viseme", le="+Inf") == 10


def test_avatars_in_memory_are_told_without_their_names():
    held = [HeldAvatar("nova", 300, 2, 1), HeldAvatar("secret", 200, 0, 1), HeldAvatar("jonah", 100, 0, 4)]
    worker = WorkerFacts(True, avatars=AvatarFacts(held, 1000, hits=7, misses=6, evictions=5))
    page = page_of(Source(worker=worker))
    samples = read(page)
    assert [at(samples, "avatars_held", state=state) for state in ("shown", "kept")] == [1, 2]
    assert [at(samples, "avatar_memory_bytes", state=state) for state in ("shown", "kept")] == [300, 300]
    assert at(samples, "max_avatar_memory_bytes") == 1000
    assert [at(samples, f"avatar_{name}_total") for name in ("hits", "misses", "evictions")] == [7, 6, 5]
    assert b"secret" not in page


@pytest.mark.parametrize("values", [[], [0.5], [1.0, 2.0, 2.0, 99.0], [-1.0]])
def test_a_histogram_counts_each_once(values):
    histogram = Histogram((1.0, 2.0))
    for value in values:
        histogram.observe(value)
    at_most = [sum(histogram.counts[: index + 1]) for index in range(3)]
    assert at_most == [sum(value <= bound for value in values) for bound in (1.0, 2.0, 1e9)]
    assert histogram.sum == sum(values)


def test_tasks_are_those_of_the_loop_that_runs():
    async def beside_another() -> int:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(asyncio.sleep(60))
            count = tasks_now()
            other.cancel()
        return count

    assert tasks_now() == 0
    assert asyncio.run(beside_another()) == 2


def test_the_worst_lag_is_forgotten_in_the_second_window_after():
    lag = LoopLag()
    lag.note(10.0, 10.5)
    lag.note(11.0, 10.9)  # early is not late
    assert lag.worst_s(WINDOW_S - 1) == 0.5
    lag.note(WINDOW_S + 1, WINDOW_S + 1.1)
    assert lag.worst_s(2 * WINDOW_S - 1) == 0.5
    assert lag.worst_s(2 * WINDOW_S + 1) == pytest.approx(0.1)
    assert lag.worst_s(9 * WINDOW_S) == 0.0
    assert lag.late.counts[0] == 1 and sum(lag.late.counts) == 3
