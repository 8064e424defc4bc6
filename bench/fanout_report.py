"""How the figures of ``bench fanout`` are shown. Pure."""

import msgspec

from bench.fanout_cost import DRY, Fanout, FanoutFigures, Window
from bench.figures import ratio, table


def as_json(result: FanoutFigures) -> str:
    """One object; what is calculated stands beside what was measured."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    made = {
        name: {"ms_per_viewer_s": each.ms_per_viewer_s, "viewers_a_core": each.viewers_a_core}
        for name, each in (("ours", result.ours), ("packets", result.packets), ("encoding", result.encoding))
    }
    return msgspec.json.encode(figures | {"calculated": made}).decode()


def as_text(result: FanoutFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    all_of_them = (result.ours, result.packets, result.encoding)
    dry = any(window.receiver_percent > 100 * DRY for each in all_of_them for window in each.windows)
    return "\n\n".join(
        [
            f"One stream, speaking, 1280x720 at 25 frames/s, {result.seconds:g} s for each row, {result.placement}.\n"
            f"{result.machine}",
            table(
                [
                    "server",
                    "viewers",
                    "of one core",
                    "frames/s each",
                    "packets/s each",
                    "kbit/s each",
                    "lost",
                    "µs a packet",
                    "receivers",
                ],
                [_row(each, window) for each in all_of_them for window in each.windows],
            ),
            table(
                ["one more viewer", "ms of a core a second", "viewers a core", "ours : theirs", "KB"],
                [_cost(each, result.ours) for each in all_of_them],
            ),
            *(["The receivers were short of processor time in some rows: the servers' may be higher."] if dry else []),
        ]
    )


def _row(server: Fanout, window: Window) -> list[str]:
    received = [f"{window.frames_s:.1f}", f"{window.packets_s:.0f}", f"{window.kbps:.0f}", str(window.lost)]
    return [
        server.name,
        str(window.viewers),
        f"{window.server_percent:.1f} %{'' if window.keeps_up else ' overloaded'}",
        *(received if window.viewers else ["-"] * 4),
        f"{window.us_a_packet:.1f}" if window.viewers else "-",
        f"{window.receiver_percent:.0f} %",
    ]


def _cost(server: Fanout, ours: Fanout) -> list[str]:
    compared = "1" if server is ours else ratio(ours.ms_per_viewer_s, server.ms_per_viewer_s)
    cost = [f"{server.ms_per_viewer_s:.2f}", f"{server.viewers_a_core:.0f}", compared, f"{server.kb_per_viewer:.0f}"]
    return [server.name, *cost]
