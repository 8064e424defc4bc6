"""The benchmark of a frame's steps: a few frames on the real parts, and how figures are shown."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from avatar.messages import Codec, VideoFormat
from bench.contenders import Contender, ours, theirs
from bench.figures import Spread
from bench.machine import this_machine
from bench.stages import EncoderFigures, StageFigures
from bench.stages_report import as_json, as_text

ROOT = Path(__file__).resolve().parents[2]
FRAMES = 4


@pytest.fixture
def figures() -> StageFigures:
    """Made up: each step takes 2 ms, aiortc's encoders six times as long."""
    step, encoder = Spread(2.0, 3.0), EncoderFigures(Spread(2.0, 3.0), 1500.0, 45.0)
    other = EncoderFigures(Spread(12.0, 15.0), 1000.0, 44.0)
    return StageFigures(
        this_machine(), 1280, 720, 25, 100, step, step, step, step, step, step, encoder, encoder, step, step,
        encoder, encoder, other, other, step, step,
    )  # fmt: skip


def test_tables_show_steps_and_ratios(figures: StageFigures):
    text = as_text(figures)
    assert "1280x720 at 25 frames/s, 100 frames" in text
    assert "of 40 ms" in text
    assert "5.0 %" in text
    assert "1 : 6.0" in text


def test_json_is_the_figures(figures: StageFigures):
    assert msgspec.json.decode(as_json(figures), type=StageFigures) == figures


@pytest.mark.parametrize("make", [ours, theirs])
@pytest.mark.parametrize("codec", [Codec.H264, Codec.VP8])
def test_what_an_encoder_made_is_decoded_and_compared(make, codec: Codec):
    """A picture that does not change comes back nearly as it was, from every encoder."""
    contender: Contender = make(codec, VideoFormat(320, 240, 25, 500_000))
    ramp = np.linspace(40, 200, 320, dtype=np.uint8)
    picture = np.vstack([np.tile(ramp, (240, 1)), np.full((120, 320), 128, np.uint8)])
    for frame in range(FRAMES):
        contender.take(picture, frame, counted=frame > 0)
    assert len(contender.costs_ms) == FRAMES - 1
    assert contender.made_bytes > 0
    assert contender.psnr_db > 35


def test_a_short_run_measures_every_step():
    command = [sys.executable, "-m", "bench", "stages", "--size", "512x512", "--frames", str(FRAMES), "--json"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=150, check=True)
    figures = msgspec.json.decode(result.stdout, type=StageFigures)
    assert (figures.width, figures.height, figures.fps, figures.frames) == (512, 512, 25, FRAMES)
    steps = [getattr(figures, name) for name in figures.__dataclass_fields__]
    assert all(0 < step.median <= step.p95 for step in steps if isinstance(step, Spread))
    encoders = [step for step in steps if isinstance(step, EncoderFigures)]
    assert len(encoders) == 6
    assert all(encoder.kbps > 0 and encoder.psnr_db > 30 for encoder in encoders)
