"""Sessions of the original server side by side: what is made of the clients' notes, and how it is shown."""

import json

from bench.machine import Machine
from bench.session_families import FamilyFigures, Row, pairs
from bench.session_load import Take, summary
from bench.session_report import PUBLISHED, as_json, as_text

MACHINE = Machine("a CPU", 2, "Linux", "3.11", "2026-11-28", 0.1)


def take(asked_s: float, live_s: float, shown_s: list[float], *, finished: bool = True) -> Take:
    return Take(asked_s, asked_s + 0.05, live_s, shown_s, 25_000, finished)


def row(family: str, **changed: float) -> Row:
    figures: dict[str, float] = dict.fromkeys(
        ("accepted_p50_ms", "live_max_ms", "interval_p50_ms", "interval_p99_ms", "interval_max_ms", "run_s"), 1.0
    )
    counted = {"finished": 8, "deleted": 8, "stalls": 0, "pictures": 200}
    figures |= {"live_p50_ms": 200.0, "kbps": 500.0, "server_cpu_s": 0.5, "worker_cpu_s": 1.5} | changed
    return Row(family, 8, 25, **counted, **figures)  # type: ignore[arg-type]


def test_times_to_live_intervals_and_stalls_are_those_of_all_sessions():
    steady = take(10.0, 10.2, [10.2 + index / 10 for index in range(21)])
    stuck = take(10.0, 10.4, [10.4, 10.5, 11.0, 11.1])
    seen = summary([steady, stuck], fps=10)
    assert (seen["sessions"], seen["finished"], seen["pictures"], seen["stalls"]) == (2, 2, 25, 1)
    assert abs(seen["live_p50_ms"] - 300) < 1e-6 and abs(seen["live_max_ms"] - 400) < 1e-6
    assert abs(seen["interval_max_ms"] - 500) < 1e-6 and abs(seen["interval_p50_ms"] - 100) < 1e-6
    assert abs(seen["kbps"] - 2 * 25_000 * 8 / 1000 / 2.5) < 1e-6


def test_what_did_not_finish_is_not_counted_as_finished():
    assert summary([take(0, 1, [1, 2], finished=False)], fps=10)["finished"] == 0


def test_processor_time_is_told_for_a_session_that_speaks():
    assert row("sse").cpu_percent == 25.0  # 2 s for 200 pictures, which are 8 s of speech


def test_the_same_case_of_both_families_is_compared():
    webrtc, sse = row("webrtc"), row("sse", live_p50_ms=600.0, kbps=750.0, worker_cpu_s=0.5)
    assert list(pairs([webrtc, sse])) == [(webrtc, sse)]
    figures = FamilyFigures(MACHINE, "1280x720", 4.0, [webrtc, sse], 2.0)
    text = as_text(figures)
    assert "time to live 1 : 3.0, processor 1 : 0.50, bytes 1 : 1.50" in text
    assert "16 of 16 answered 200" in text
    assert all(machine in text for machine, *_ in PUBLISHED)
    assert json.loads(as_json(figures))["rows"][1]["live_p50_ms"] == 600.0
