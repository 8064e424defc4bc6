"""How the figures of ``bench fanout`` are shown. Pure."""

from typing import Final

import msgspec

from bench.fanout_cost import DRY, Fanout, FanoutFigures, Window
from bench.figures import ratio, table

ABOUT: Final = (
    "Viewers are WHEP sessions with ICE, DTLS and receiver reports; their packets are counted by header as they "
    "come off the sockets, and one of 64 is decrypted. The server is its main process, with HTTP, ICE and all else "
    "that it does; the worker does the same however many watch. aiortc is unmodified, a track for each viewer as "
    "its examples have it: *given packets*, all viewers get the same pictures, encoded before anybody watched by "
    "our encoders at our bitrate; *encoding for each*, aiortc's encoder makes them at its own default of 1 Mbit/s. "
    "One more viewer costs the slope over the numbers of viewers that a server kept up with."
)


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
            ABOUT,
        ]
    )


def _row(server: Fanout, window: Window) -> list[str]:
    received = [f"{window.frames_s:.1f}", f"{window.packets_s:.0f}", f"{window.kbps:.0f}", str(window.lost)]
    return [
        server.name,
        str(window.viewers),
        f"{window.server_percent:.1f} %{'' if server.carries(window) or not window.viewers else ' overloaded'}",
        *(received if window.viewers else ["-"] * 4),
        f"{window.us_a_packet:.1f}" if window.viewers else "-",
        f"{window.receiver_percent:.0f} %",
    ]


def _cost(server: Fanout, ours: Fanout) -> list[str]:
    compared = "1" if server is ours else ratio(ours.ms_per_viewer_s, server.ms_per_viewer_s)
    cost = [f"{server.ms_per_viewer_s:.2f}", f"{server.viewers_a_core:.0f}", compared, f"{server.kb_per_viewer:.0f}"]
    return [server.name, *cost]
