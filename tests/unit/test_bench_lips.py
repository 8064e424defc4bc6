"""The lips' benchmark: real voices, the weights that ship, a few sentences; and what it says where voices lack."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import bench
from avatar.engines.viseme.training.evaluate import HUMAN, NEW_VOICES, Verdict
from bench.commands import app
from bench.lip_measure import Judged, LipFigures
from bench.lip_report import as_text, target_rows
from tests.unit.test_bench_families import MACHINE

FEW = 5
"""Utterances of each set: one wrong vowel of them is 2 %."""


def judged(name: str, closed: float, false: float) -> Judged:
    return Judged(name, FEW, Verdict(0.9, 0.9, 0.8, 0.8, 100, closed, 200, false, 0, 0.7, 0.6, 0.01))


def test_lips_meet_on_voices_that_were_never_heard_where_loudness_would_leave_them_open():
    done = CliRunner().invoke(app, ["lips", "--sentences", str(FEW), "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    sets = {each["heard"]: each for each in figures["sets"]}
    assert len(sets) == 6
    for name, least in {NEW_VOICES: 0.9, HUMAN: 0.8}.items():
        found = sets[name]["verdict"]
        assert sets[name]["utterances"] == FEW and found["closures"] > 10 and found["vowels"] > 20
        assert found["closed"] >= least and found["false"] < 0.05
        assert found["closed"] > found["loudness_closed"] + 0.1 and found["r_gap"] > found["loudness_r"] + 0.1
    assert [row["what"].partition(": ")[2] for row in figures["targets"]] == [NEW_VOICES, HUMAN]


def test_without_the_human_derived_voice_its_target_is_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(app, ["lips", "--sentences", "1"])
    assert done.exit_code == 0, done.output
    (row,) = (line for line in done.stdout.splitlines() if HUMAN in line)
    assert "apt-get install flite" in row and row.split("|")[-2].strip() == "-"


def test_without_espeak_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    for name in [name for name in sys.modules if name.startswith(("bench.lip_", "avatar.engines.viseme.training"))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("lip_measure", "lip_report"):
        monkeypatch.delattr(bench, name)
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)  # as if it were not installed
    done = CliRunner().invoke(app, ["lips"])
    assert done.exit_code == 1 and "pip install 'whep-avatar[train]'" in done.output


def test_what_are_no_weights_is_said(tmp_path: Path):
    path = tmp_path / "weights.pt"
    for content in (b"", b"junk" * 100):
        path.write_bytes(content)
        done = CliRunner().invoke(app, ["lips", "--weights", str(path)])
        assert done.exit_code == 1 and "holds no weights" in done.output and "Traceback" not in done.output


@pytest.mark.parametrize(
    ("closed", "false", "met"), [(0.9, 0.02, True), (0.89, 0.0, False), (0.95, 0.021, False), (1.0, 0.0, True)]
)
def test_a_target_needs_both_closures_and_few_false_ones(closed: float, false: float, met: bool):
    figures = LipFigures(MACHINE, [judged(NEW_VOICES, closed, false)])
    assert [row.met for row in target_rows(figures)] == [met, None]
    assert f"{100 * closed:.1f} % of 100" in as_text(figures)
