"""The benchmark of preparing beside speech: its ratios, how they are shown, and whose processor time counts."""

import json
import os
import subprocess
import sys
import threading

import pytest

from bench.preparing import PreparingFigures, Stretch
from bench.preparing_report import as_json, as_text
from bench.processes import child_running, ended_children_s
from bench.speaking_streams import STAGES, Gaps, Row
from tests.unit.test_bench_families import MACHINE

BUSY = (
    "import time; print(flush=True); input(); end = time.process_time() + 0.15\nwhile time.process_time() < end: pass"
)


def stretch(p50_s: float, p99_s: float, max_s: float, percent: float = 0.0) -> Stretch:
    gaps = Gaps(p50_s, p99_s, max_s, 0, 1500, 3, 0)
    return Stretch(Row(4, gaps, 5, 80, dict.fromkeys(STAGES, 1.0), 0, 0, quick=False), percent)


def test_ratios_are_of_the_middle_round_and_of_the_longest_gap():
    alone = [stretch(0.04, 0.05, 0.06), stretch(0.04, 0.05, 0.08), stretch(0.04, 0.5, 0.1)]
    beside = [stretch(0.04, 0.055, 0.06, 90), stretch(0.05, 0.055, 0.2, 80), stretch(0.04, 0.05, 0.06, 70)]
    figures = PreparingFigures(MACHINE, "alone", 10, alone, beside, 2)
    assert figures.ratios() == (pytest.approx(1), pytest.approx(1.1), pytest.approx(2))
    assert json.loads(as_json(figures))["ratios"] == list(figures.ratios())
    rows = [[cell.strip() for cell in line.split("|")] for line in as_text(figures).splitlines() if "|" in line][2:]
    assert [row[1] for row in rows] == ["nobody prepares", "a video is prepared"] * 3 + ["with : without"]
    assert rows[1][2:5] == ["40.0", "55.0", "60.0"] and rows[1][8] == "90 %"
    assert rows[-1][2:5] == ["1.00", "1.10", "2.00"]


def test_a_child_of_any_thread_is_found_and_its_time_counts_when_it_has_ended():
    found: list[int | None] = []

    def start() -> None:
        command = [sys.executable, "-c", BUSY, "avatar.prepare"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            found.extend([child_running(os.getpid(), "avatar.prepare"), child.pid])
            child.communicate(b"\n")

    before_s = ended_children_s(os.getpid())
    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert found[0] == found[1]
    assert child_running(os.getpid(), "avatar.prepare") is None
    assert ended_children_s(os.getpid()) - before_s >= 0.1
