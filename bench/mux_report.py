"""How the figures of ``bench mux`` are shown. Pure."""

from typing import Final

import msgspec

from bench.fanout_cost import Fanout, Window
from bench.figures import table
from bench.mux_cost import MuxFigures

ABOUT: Final = (
    "Viewers are those of `bench fanout`. The server is its main process. One more viewer costs the slope over the "
    "numbers of viewers, in the cheapest round: what disturbs a machine only adds. Both ways were measured in turn."
)


def as_json(result: MuxFigures) -> str:
    """One object; what is calculated stands beside what was measured."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    made = {"apart_ms": result.apart_ms, "shared_ms": result.shared_ms}
    return msgspec.json.encode(figures | {"calculated": made}).decode()


def as_text(result: MuxFigures) -> str:
    """Markdown."""
    both = [each for pair in zip(result.apart, result.shared, strict=True) for each in pair]
    return "\n\n".join(
        [
            f"One stream, speaking, {result.seconds:g} s for each row, {result.placement}.\n{result.machine}",
            table(
                ["UDP ports", "viewers", "of one core", "frames/s each", "kbit/s each", "lost", "µs a packet", "MB"],
                [_row(each, window) for each in both for window in each.windows],
            ),
            table(
                ["one more viewer", "ms of a core a second", "own ports are 1"],
                [
                    ["own ports", _cost(result.apart_ms), "1"],
                    ["one port", _cost(result.shared_ms), _compared(result)],
                ],
            ),
            ABOUT,
        ]
    )


def _compared(result: MuxFigures) -> str:
    if result.apart_ms is None or result.shared_ms is None or result.apart_ms <= 0:
        return "-"
    return f"{result.shared_ms / result.apart_ms:.2f}"


def _cost(ms: float | None) -> str:
    return "not all viewers got their pictures" if ms is None else f"{ms:.2f}"


def _row(server: Fanout, window: Window) -> list[str]:
    received = [f"{window.frames_s:.1f}", f"{window.kbps:.0f}", str(window.lost), f"{window.us_a_packet:.1f}"]
    return [
        server.name,
        str(window.viewers),
        f"{window.server_percent:.1f} %",
        *(received if window.viewers else ["-"] * 4),
        f"{window.memory_mb:.0f}",
    ]
