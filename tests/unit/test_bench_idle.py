"""The benchmark of idle viewers: what is calculated and shown, and how other processes are handled."""

import os
from pathlib import Path

import msgspec
import pytest

from bench.flows import Flow
from bench.idle_report import as_json, as_text
from bench.idle_viewers import BaselineFigures, IdleFigures, Window
from bench.machine import this_machine
from bench.processes import BenchFailed, child_running, cpu_s, memory_mb, running


def packet(sequence: int, *, marker: bool = False) -> bytes:
    """The beginning of an RTP packet."""
    return bytes([0x80, 96 | (0x80 if marker else 0)]) + (sequence & 0xFFFF).to_bytes(2, "big") + bytes(8)


def test_a_flow_counts_packets_and_pictures():
    flow = Flow()
    for sequence in range(6):
        flow.take(packet(sequence, marker=sequence % 3 == 2))
    assert (flow.packets, flow.frames, flow.expected - flow.packets) == (6, 2, 0)


def test_a_gap_is_a_loss_also_where_numbers_wrap():
    flow = Flow()
    for sequence in (65534, 65535, 2):
        flow.take(packet(sequence))
    assert flow.expected - flow.packets == 2


def test_a_late_packet_makes_its_loss_good():
    flow = Flow()
    for sequence in (10, 12, 11, 13):
        flow.take(packet(sequence))
    assert flow.expected - flow.packets == 0


def test_a_new_window_expects_the_next_packet():
    flow = Flow()
    flow.take(packet(10))
    flow.restart()
    flow.take(packet(12))
    assert (flow.packets, flow.expected) == (1, 2)


@pytest.fixture
def figures() -> IdleFigures:
    """Made up: 10 ms a second for each viewer beside 20 ms for the server itself; aiortc 300 ms, then overloaded."""
    ours = [Window(n, 2 + n, 0.0, 25.0 if n else 0.0, 210.0 if n else 0.0, 0, 100 + 0.5 * n) for n in (0, 1, 10, 25)]
    theirs = [Window(1, 30, 0.0, 25.0, 210.0, 0, 400.0), Window(2, 50, 0.0, 20.0, 170.0, 3, 440.0)]
    return IdleFigures(this_machine(), "1280x720", 25, 20.0, ours, [BaselineFigures("H264", theirs)])


def test_one_more_viewer_costs_the_slope(figures: IdleFigures):
    assert figures.ms_per_viewer_s == pytest.approx(10)
    assert figures.kb_per_viewer == pytest.approx(500)


def test_pictures_that_were_missed_are_no_saving(figures: IdleFigures):
    """Overloaded, two viewers cost 50 % for 20 of 25 pictures: 312.5 ms each at the full rate."""
    (baseline,) = figures.baseline
    assert baseline.windows[1].ms_per_picture * figures.fps == pytest.approx(312.5)
    assert baseline.ms_per_viewer_s(figures.fps) == pytest.approx(300)


def test_tables_show_cost_and_ratio(figures: IdleFigures):
    text = as_text(figures)
    assert "1 : 30.0" in text
    assert "50.0 % overloaded" in text
    assert "0.00 %" in text


def test_nothing_to_compare_with_is_shown_too(figures: IdleFigures):
    alone = IdleFigures(figures.machine, figures.size, 25, 20.0, figures.windows, [BaselineFigures("VP8", [])])
    assert "one more viewer" in as_text(alone)


def test_json_has_what_was_measured_and_what_follows(figures: IdleFigures):
    shown = msgspec.json.decode(as_json(figures))
    assert [window["viewers"] for window in shown["windows"]] == [0, 1, 10, 25]
    assert shown["ms_per_viewer_s"] == pytest.approx(10)


def test_a_process_is_measured():
    assert cpu_s(os.getpid()) > 0
    assert memory_mb(os.getpid()) > 1
    assert child_running(os.getpid(), "no.such.module") is None


def test_a_process_that_ends_is_a_failure_with_its_last_words(tmp_path: Path):
    with (
        running("bench.receivers", ["--codec", "none"], tmp_path / "log", talks=True) as child,
        pytest.raises(BenchFailed, match="invalid choice"),
    ):
        child.ask({"join": 1}, 60)


def test_waiting_for_a_process_that_ended_ends(tmp_path: Path):
    with (
        running("bench.receivers", ["--codec", "none"], tmp_path / "log") as child,
        pytest.raises(BenchFailed, match="waited in vain for a miracle"),
    ):
        child.wait_for(lambda: False, 60, "a miracle")
