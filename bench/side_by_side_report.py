"""How the figures of ``bench side-by-side`` are shown. Pure."""

import msgspec

from bench.fanout_cost import Fanout, Window
from bench.figures import ratio, table
from bench.side_by_side import SideFigures


def as_json(result: SideFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: SideFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    ours = result.servers[0]
    return "\n\n".join(
        [
            f"One avatar, 1280x720 at 25 frames/s, {result.seconds:g} s for each row; all that a server consists of "
            f"has one core; {result.placement}.\n{result.machine}",
            table(
                ["server", "viewers", "of one core", "frames/s each", "kbit/s each", "lost", "MB"],
                [_row(each, window) for each in result.servers for window in each.windows if window.viewers],
            ),
            table(
                ["with its encoding", "most viewers at full rate", "one viewer", "a further viewer", "ours : theirs"],
                [_cost(each, ours) for each in result.servers],
            ),
            *([f"Not installed here, and so not measured: {', '.join(result.missing)}."] if result.missing else []),
        ]
    )


def _row(server: Fanout, window: Window) -> list[str]:
    return [
        server.name,
        str(window.viewers),
        f"{window.server_percent:.1f} %{'' if window.keeps_up else ' overloaded'}",
        f"{window.frames_s:.1f}",
        f"{window.kbps:.0f}",
        str(window.lost),
        f"{window.memory_mb:.0f}",
    ]


def _cost(server: Fanout, ours: Fanout) -> list[str]:
    full = [window.viewers for window in server.windows if window.viewers and window.keeps_up]
    first = next((window for window in server.windows if window.viewers), None)
    return [
        server.name,
        f"{max(full, default=0)}{' or more' if server.windows[-1].keeps_up else ''}",
        "-" if first is None else f"{first.server_percent:.1f} %",
        f"{server.ms_per_viewer_s / 10:.2f} %",
        ratio(ours.ms_per_viewer_s, server.ms_per_viewer_s),
    ]
