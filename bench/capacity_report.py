"""How the figures of ``bench capacity`` are shown. Pure."""

import msgspec

from bench.speaking_capacity import CapacityFigures
from bench.speaking_report import ABOUT, tables


def as_json(result: CapacityFigures) -> str:
    """One object."""
    return msgspec.json.encode(result, enc_hook=str).decode()


def as_text(result: CapacityFigures) -> str:
    """Markdown."""
    found = result.capacity
    return "\n\n".join(
        [
            f"Engine {found.engine}, {found.width}x{found.height} at {found.fps} frames/s, a viewer each, "
            f"{result.seconds:g} s for each row, {result.placement}.\n{result.machine}",
            *tables(result.rows),
            f"Most streams that spoke whole (no stall, at most 1 picture in 100 left out): {found.measured}. "
            f"**{found.max_speaking}**, at least a tenth less where that leaves one, are let speak at one time by a "
            f"server of that size from its next start on, fewer beside streams of another engine ({result.file}); "
            "WHEP_AVATAR_MAX_SPEAKING sets another one.",
            ABOUT,
        ]
    )
