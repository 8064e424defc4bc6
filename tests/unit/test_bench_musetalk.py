"""The benchmark of MuseTalk's networks: it runs whole on tiny ones, and counts what the real ones cost."""

import json

import pytest
from typer.testing import CliRunner

from avatar.engines.musetalk.networks import Sizes
from bench.commands import app
from bench.musetalk_report import as_text
from bench.musetalk_speed import BatchSpeed, SpeedFigures, count_gflop
from tests.unit.test_bench_families import MACHINE


def test_a_face_costs_800_gflop():
    """0.80 TFLOP: what all figures of others are held against."""
    assert 795 < count_gflop(Sizes()) < 805


def test_it_measures_tiny_networks_on_a_cpu():
    options = ["--tiny", "--device", "cpu", "--batches", "1,2", "--seconds", "0", "--json"]
    done = CliRunner().invoke(app, ["musetalk", *options])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)
    assert [batch["rows"] for batch in figures["batches"]] == [1, 2]
    assert all(batch["fps"] > 0 and batch["unet_ms"] > 0 for batch in figures["batches"])
    assert figures["first_ms"] > 0 and figures["gflop"] > 0.1 and figures["precision"] == "float32"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--batches", "64"], "32 at most"),
        (["--device", "cuda:9", "--tiny"], "cannot be used"),
        (["--speedup", "warp"], "warp"),
    ],
)
def test_what_cannot_be_measured_is_refused(options: list[str], says: str):
    done = CliRunner().invoke(app, ["musetalk", *options])
    assert done.exit_code == 2 and says in " ".join(done.output.split())


def test_the_report_holds_speed_against_the_limit():
    batches = [BatchSpeed(1, 20.0, 8.0, 11.0, 4 * 10**9), BatchSpeed(32, 80.0, 20.0, 55.0, 9 * 10**9)]
    figures = SpeedFigures(MACHINE, "GPU", "float16", "graphs", False, 800.0, 640.0, 9.0, 25.0, 2.0, batches)
    assert figures.limit_fps == 800 and figures.best.fps == 400 and figures.streams == 12
    text = as_text(figures)
    assert "50 %" in text and "float16, graphs" in text and "RTX 3090" in text
