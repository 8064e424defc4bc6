"""The live benchmarks' arithmetic and how it is shown: speaking streams, viewers, joins, hours, targets."""

import json
import re
from dataclasses import replace

import pytest

from bench import (
    everything,
    fanout_report,
    join_report,
    latency_report,
    mux_report,
    soak_report,
    speaking_report,
    sync_report,
    targets,
)
from bench import interruptions_report as interrupt_report
from bench.av_sync import Apart, SyncFigures, spread_of
from bench.fanout_cost import Fanout, FanoutFigures, Window
from bench.faults import run_async
from bench.figures import Spread, Trend, blocks, trend
from bench.interruptions import InterruptFigures, WayRow
from bench.join_time import JoinFigures, Joins, Storm
from bench.latency import LatencyFigures, Way
from bench.machine import Machine
from bench.mux_cost import MuxFigures
from bench.observations import Arrival, Observation
from bench.placement import share
from bench.processes import BenchFailed
from bench.served import Usage, read_metrics
from bench.soak import Quantity, SoakFigures, quantities_of
from bench.speaking_streams import STAGES, Gaps, Row, SpeakingFigures, gaps_of, made_row
from whep_server.settings import Settings

MACHINE = Machine("a CPU", 2, "Linux", "3.11", "2026-12-01", 0.1)


def header(sequence: int, rtp_time: int) -> bytes:
    """Of a packet that is a whole picture."""
    return bytes([0x80, 0x80 | 96]) + sequence.to_bytes(2, "big") + rtp_time.to_bytes(4, "big") + bytes(4)


def watched(*arrivals: tuple[float, int], lost: int = 0) -> Observation:
    """Of (when, frame number)."""
    return Observation(
        "s", [], [Arrival(at, header(n, 3600 * frame)) for n, (at, frame) in enumerate(arrivals)], lost=lost
    )


def test_cores_are_the_servers_own_where_there_are_enough():
    assert share(frozenset({0, 1, 2, 3}), 2).server == {2, 3}
    assert share(frozenset({0, 1, 2, 3}), 2).apart
    assert share(frozenset({0, 1}), 2).server == share(frozenset({0, 1}), 2).clients == {0, 1}
    assert share(frozenset({0, 1}), 1).clients == {0}
    assert "share" in str(share(frozenset({0}), 1)) and "own" in str(share(frozenset({0, 1}), 1))


def test_gaps_stalls_and_missing_pictures_are_those_of_all_viewers():
    gaps = gaps_of([watched((1.0, 0), (1.04, 1), (1.30, 3)), watched((2.0, 7), (2.04, 8), lost=2)])
    assert (gaps.stalls, gaps.pictures, gaps.missing, gaps.lost) == (1, 5, 1, 2)
    assert (gaps.p50_s, gaps.max_s) == (pytest.approx(0.04), pytest.approx(0.26))
    with pytest.raises(BenchFailed, match="saw nothing"):
        gaps_of([watched((1.0, 0))])


def told(frames: float, engine_s: float, silent: float) -> dict[str, float]:
    return read_metrics(
        f"whep_avatar_worker_frames_total {frames}\nwhep_avatar_silent_packets_total {silent}\n"
        f'whep_avatar_worker_stage_seconds_total{{stage="engine"}} {engine_s}\n'
    )


def test_costs_are_those_of_the_window():
    row = made_row(
        2, [watched((1.0, 0), (1.04, 1))], (Usage(10, 1, 5), Usage(20, 1.5, 11)), (told(100, 3, 1), told(600, 5, 2))
    )
    assert (row.server_percent, row.worker_percent, row.percent) == (pytest.approx(5), pytest.approx(60), 32.5)
    assert (row.stages_ms["engine"], row.stages_ms["encode"], row.silent) == (pytest.approx(4), 0, 1)


def speaking(*stalls: int) -> SpeakingFigures:
    rows = [
        Row(
            4 * n + 4,
            Gaps(0.04, 0.05, 0.3, count, 99, 0, 0),
            10,
            100,
            dict.fromkeys(STAGES, 1.0),
            0,
            0,
            quick=n > 0,
        )
        for n, count in enumerate(stalls)
    ]
    return SpeakingFigures(MACHINE, "alone", 10, rows)


def test_the_most_fluent_streams_are_those_below_the_first_stall():
    assert speaking(0, 0, 1, 0).most_fluent == 8
    assert speaking(1).most_fluent == 0
    left_out = speaking(0, 0)
    left_out.rows[1] = replace(left_out.rows[1], gaps=replace(left_out.rows[1].gaps, missing=2))
    assert (left_out.most_fluent, left_out.most_whole) == (8, 4)
    assert "without a stall" in speaking_report.as_text(speaking(0, 2))
    assert json.loads(speaking_report.as_json(speaking(0, 2)))["most_fluent"] == 4


def window(viewers: int, percent: float, frames_s: float = 25.0) -> Window:
    return Window(viewers, percent, frames_s if viewers else 0.0, 200.0, 1600.0, 0, 0, 9, 100.0 + viewers, 50.0)


FANOUT = FanoutFigures(
    MACHINE,
    "alone",
    8,
    Fanout("ours", [window(0, 1), window(1, 1.3), window(100, 26)]),
    Fanout("packets", [window(0, 1), window(50, 51)]),
    Fanout("encoding", [window(0, 1), window(1, 80, 20.0)]),
)


def test_both_ways_to_take_ports_are_compared_by_their_cheapest_rounds():
    def fanout(name: str, percent: float) -> Fanout:
        return Fanout(name, [window(0, 1), window(1, 1), window(101, 1 + percent)])

    figures = MuxFigures(
        MACHINE, "alone", 8, [fanout("own", 20), fanout("own", 30)], [fanout("one", 40), fanout("one", 16)]
    )
    assert (figures.apart_ms, figures.shared_ms) == (pytest.approx(2), pytest.approx(1.6))
    assert "| 0.80" in re.sub(" +", " ", mux_report.as_text(figures))
    assert json.loads(mux_report.as_json(figures))["calculated"]["shared_ms"] == pytest.approx(1.6)
    broken_off = Fanout("one", [window(0, 1), window(1, 1, 24.0)])
    disturbed = MuxFigures(MACHINE, "alone", 8, figures.apart, [broken_off, broken_off])
    assert disturbed.shared_ms is None and "not all viewers" in mux_report.as_text(disturbed)
    one_round = MuxFigures(MACHINE, "alone", 8, figures.apart, [broken_off, fanout("one", 30)])
    assert one_round.shared_ms == pytest.approx(3)


def test_one_more_viewer_costs_the_slope_over_what_a_server_could_keep_up_with():
    assert FANOUT.ours.ms_per_viewer_s == pytest.approx(2.5, rel=0.01)
    assert FANOUT.packets.ms_per_viewer_s == pytest.approx(10.2)  # of one number alone, its share
    assert FANOUT.encoding.ms_per_viewer_s == pytest.approx(1000)  # 800 for 20 of 25 pictures
    assert FANOUT.ours.windows[2].us_a_packet == pytest.approx(13)
    assert "overloaded" in fanout_report.as_text(FANOUT) and "1 : 4.1" in fanout_report.as_text(FANOUT)
    assert json.loads(fanout_report.as_json(FANOUT))["calculated"]["packets"]["viewers_a_core"] == pytest.approx(
        1000 / 10.2
    )


def test_smaller_pictures_for_more_viewers_are_no_saving():
    small = Window(200, 30, 25.0, 60.0, 300.0, 0, 0, 9, 300.0, 50.0)
    larger = Fanout("ours", [*FANOUT.ours.windows, small])
    assert not larger.carries(small) and larger.carries(larger.windows[2])
    assert larger.ms_per_viewer_s == FANOUT.ours.ms_per_viewer_s


def test_receivers_that_are_short_of_time_are_told_of():
    busy = Window(1, 5, 25.0, 200.0, 1600.0, 0, 0, 9, 100.0, 99.0)
    figures = FanoutFigures(MACHINE, "alone", 8, Fanout("ours", [busy]), FANOUT.packets, FANOUT.encoding)
    assert "short of processor time" in fanout_report.as_text(figures)


def test_a_trend_is_told_with_what_chance_would_make_of_it():
    line = [(float(x), 2.0 * x + (0.1 if x % 2 else -0.1)) for x in range(20)]
    found = trend(line)
    assert found is not None and found.slope == pytest.approx(2, abs=0.01) and not found.is_noise
    level = trend([(float(x), 0.1 if x % 2 else -0.1) for x in range(20)])
    assert level is not None and level.is_noise
    assert trend([(0, 1), (1, 2)]) is None and trend([(1, 1), (1, 2), (1, 3)]) is None


def test_stretches_have_their_means():
    assert blocks([(0, 1), (1, 3), (8, 5), (10, 7)], 2) == [(0.5, 2), (9, 6)]
    assert blocks([], 3) == [] and blocks([(1, 1)], 3) == [(1, 1)]


def test_offsets_of_streams_that_differ_have_no_slope():
    points = [[(60.0 * n, 0.01) for n in range(9)], [(60.0 * n, -0.03) for n in range(9)]]
    apart = spread_of(points, "x")
    assert (apart.count, apart.median_s, apart.worst_abs_s) == (18, pytest.approx(-0.01), pytest.approx(0.03))
    assert apart.slope.slope == pytest.approx(0, abs=1e-9)
    with pytest.raises(BenchFailed, match="too little"):
        spread_of([[(0.0, 0.0)]], "x")


def test_hours_are_judged_without_their_beginning():
    growing = [(n / 100, 100.0 + n) for n in range(101)]
    steady = [(n / 100, 50.0 + n % 2) for n in range(101)]
    cold = [(n / 100, 0.0 if n < 10 else 30.0) for n in range(101)]
    rows = {
        each.name: each for each in quantities_of({"server memory": growing, "tasks": steady, "worker threads": cold})
    }
    assert {name: row.verdict for name, row in rows.items()} == {
        "server memory": "grows",
        "tasks": "steady",
        "worker threads": "steady",
    }
    assert rows["server memory"].slope is not None and rows["server memory"].slope.slope == pytest.approx(100)
    assert quantities_of({"tasks": []}) == []
    assert quantities_of({"tasks": growing}, judged=False)[0].verdict == "too short to say"
    assert quantities_of({"tasks": [(0.0, 1.0)]})[0].verdict == "too short to say"


TWO = Spread(0.2, 0.4)
LATENCY = LatencyFigures(MACHINE, "alone", -0.06, [Way("PCM, in real time", 9, TWO, Spread(0.29, 0.46))])
CUTS = InterruptFigures(MACHINE, "alone", 4, [WayRow("all", 100, Spread(0.07, 0.1), 0.2, TWO, 0.5, 0, 1, TWO)])
APART = Apart(99, -0.01, 0.03, 0.05, Trend(0.0005, 0.0004), Trend(0.01, 0.02))
SYNC = SyncFigures(MACHINE, "alone", 8, 4, 90, 0.02, 100, -0.009, APART, APART)
JOINS = JoinFigures(MACHINE, "alone", [Joins("aiortc", False, 9, TWO, TWO, TWO)], Storm(100, 0, 40.0, 7.0, 0.06))
SOAK = SoakFigures(
    MACHINE, "alone", 2, [Quantity("tasks", "", 50, 60, Trend(100, 10), 99)], {"a file": 9}, ["PCM at once: Oops()"]
)


def test_each_target_stands_beside_what_was_measured():
    rows = [
        *targets.latency_rows(LATENCY),
        *targets.interrupt_rows(CUTS),
        *targets.sync_rows(SYNC),
        *targets.join_rows(JOINS),
        *targets.fanout_rows(FANOUT),
        *targets.speaking_rows(speaking(0, 0, 0, 1)),
        *targets.soak_rows(SOAK),
    ]
    assert [(row.measured, row.met) for row in rows] == [
        ("P50 290 ms, P95 460 ms", False),
        ("P95 100 ms, 0 of 100 not silent", True),
        ("1 in 100 cuts", False),
        ("P95 30 ms, lips seen for 99 %", True),
        ("+0.50 ± 0.40 ms a minute", True),
        ("Chromium is not here", None),
        ("1 : 4.1", True),
        ("1 : 400.8", True),
        ("401 by the slope, 100 tried", True),
        ("12; 12 with 99 % of their pictures", True),
        ("drift: tasks; 1 faults", False),
    ]
    assert "**no**" in targets.as_table(rows)


def test_a_short_run_has_no_verdict():
    short = SoakFigures(MACHINE, "alone", 2, [Quantity("tasks", "", 50, 60, Trend(100, 10), 99, judged=False)], {}, [])
    (row,) = targets.soak_rows(short)
    assert (row.measured, row.met) == ("drift: too short to say; 0 faults", None)


def test_figures_are_shown_and_kept():
    assert "| PCM, in real time |" in latency_report.as_text(LATENCY)
    assert "stale packets" in interrupt_report.as_text(CUTS)
    assert "-9 ms" in sync_report.as_text(SYNC) and "+0.50 ± 0.40" in sync_report.as_text(SYNC)
    assert "100, 16 at a time" in join_report.as_text(JOINS)
    assert "PCM at once: Oops()" in soak_report.as_text(SOAK) and "grows" in soak_report.as_text(SOAK)
    kept = [latency_report.as_json(LATENCY), interrupt_report.as_json(CUTS), sync_report.as_json(SYNC)]
    kept += [join_report.as_json(JOINS), soak_report.as_json(SOAK)]
    assert all(json.loads(each)["placement"] == "alone" for each in kept)


def test_one_that_fails_does_not_stop_the_others():
    def fails(_settings: Settings, say: everything.Say) -> LatencyFigures:
        say("trying")
        raise BenchFailed("no such luck")

    steps: list[str] = []
    how = latency_report.as_text, latency_report.as_json, targets.latency_rows
    chosen = [
        everything.part(("broken", "One"), fails, *how),
        everything.part(("latency", "Two"), lambda _settings, _say: LATENCY, *how),
    ]
    result = everything.measure_all(Settings(), steps.append, chosen)
    assert steps == ["broken: trying"]
    text, kept = everything.as_text(result), json.loads(everything.as_json(result))
    assert "no such luck" in text and "## Two: `whep-avatar bench latency`" in text
    assert kept["failures"] == {"broken": "no such luck"} and kept["figures"]["latency"]["clip_lips_s"] == -0.06
    assert [row["met"] for row in kept["targets"]] == [False]


def test_a_document_keeps_what_stands_around_the_tables():
    document = f"# Title\n\n{everything.BEGIN}\n\nold\n\n{everything.END}\n\nmore\n"
    once = everything.inserted(document, "new")
    assert once == document.replace("old", "new") == everything.inserted(once, "new")
    with pytest.raises(ValueError, match="there is no"):
        everything.inserted("# Title\n", "new")


def test_what_a_server_does_wrong_is_told_in_one_sentence():
    async def fails(*errors: Exception) -> None:
        raise ExceptionGroup("in a task group", [*errors])

    with pytest.raises(BenchFailed, match="no picture; TimeoutError"):
        run_async(fails(BenchFailed("no picture"), ExceptionGroup("deeper", [TimeoutError()])))
    with pytest.raises(ExceptionGroup):
        run_async(fails(BenchFailed("no picture"), KeyError("a mistake of ours")))
