"""What was measured of MuseTalk's networks, as tables and as JSON, beside what others have published."""

import dataclasses
import json
from typing import Final

from bench.figures import table
from bench.musetalk_speed import FPS, HEADROOM, SpeedFigures

PUBLISHED: Final = (
    ("MuseTalk's authors, V100", "31"),
    ("MuseTalk's users, A100, without saving pictures", "50"),
    ("MuseTalk's users, RTX 4090, tuned", "35"),
    ("MuseTalk API server, RTX 3090, PyTorch", "51"),
    ("MuseTalk API server, RTX 3090, TensorRT, batches of 32", "61"),
    ("MuseTalk API server, RTX 4090, live, all streams", "55 to 64"),
    ("MuseTalk API server, RTX 6000 Ada, INT8 and TensorRT, live, all streams", "112 to 114"),
)
"""Faces a second, as they say themselves; not measured here."""


def as_json(figures: SpeedFigures) -> str:
    """One JSON object."""
    told = dataclasses.asdict(figures)
    for batch, speed in zip(told["batches"], figures.batches, strict=True):
        batch["fps"] = speed.fps
    told |= {"limit_fps": figures.limit_fps, "streams_computed": figures.streams}
    return json.dumps(told, indent=2)


def as_text(figures: SpeedFigures) -> str:
    """Markdown."""
    size = "tiny networks: the figures say only that it works" if figures.tiny else "random weights of the real size"
    speedup = "" if figures.speedup == "none" else f", {figures.speedup}"
    lines = [
        f"{figures.machine}",
        f"{figures.device}, {figures.precision}{speedup}; {size}",
        "",
        table(
            ["faces in a batch", "faces/s", "of the limit", "ms a batch", "UNet ms", "VAE ms", "memory GB"],
            [
                [
                    str(each.rows),
                    f"{each.fps:.1f}",
                    f"{100 * each.fps / figures.limit_fps:.0f} %",
                    f"{each.batch_ms:.1f}",
                    f"{each.unet_ms:.1f}",
                    f"{each.vae_ms:.1f}",
                    f"{each.memory_bytes / 1e9:.1f}" if each.memory_bytes else "-",
                ]
                for each in figures.batches
            ],
        ),
        "",
        f"- arithmetic limit: {figures.gflop:.1f} GFLOP a face, {figures.peak_tflops:.2f} TFLOP/s in a product of "
        f"large matrices here: {figures.limit_fps:.0f} faces/s",
        f"- first face {figures.first_ms:.1f} ms after the sound it needs ({figures.hearing_ms:.1f} ms of it hearing)",
        f"- warm after {figures.warm_s:.1f} s",
        f"- streams of {FPS} frames/s, computed: {figures.streams} ({100 * HEADROOM:.0f} % of {figures.best.fps:.0f} "
        "faces/s)",
        "",
        table(["published, faces/s", ""], [list(row) for row in PUBLISHED]),
    ]
    return "\n".join(lines)
