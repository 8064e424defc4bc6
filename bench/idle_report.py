"""How the figures of ``bench idle`` are shown: tables to read, ratios to compare, JSON to keep. Pure."""

import msgspec

from bench.figures import ratio, table
from bench.idle_viewers import KEPT, BaselineFigures, IdleFigures, Window


def as_json(result: IdleFigures) -> str:
    """One object; what is calculated from the windows stands beside them."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    figures |= {"ms_per_viewer_s": result.ms_per_viewer_s, "kb_per_viewer": result.kb_per_viewer}
    return msgspec.json.encode(figures).decode()


def as_text(result: IdleFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"{result.size} at {result.fps} frames/s, {result.seconds:g} s for each row, processor time in percent of "
            f"one core.\n{result.machine}",
            _ours(result.windows),
            _baseline(result),
            _ratios(result),
        ]
    )


def _ours(windows: list[Window]) -> str:
    return table(
        ["idle viewers", "server", "worker", "frames/s each", "packets/s each", "lost", "server MB"],
        [
            (
                str(window.viewers),
                f"{window.server_percent:.1f} %",
                f"{window.worker_percent:.2f} %",
                *_received(window),
                f"{window.memory_mb:.0f}",
            )
            for window in windows
        ],
    )


def _received(window: Window) -> tuple[str, str, str]:
    if not window.viewers:
        return "-", "-", "-"
    return f"{window.frames_s:.1f}", f"{window.packets_s:.0f}", str(window.lost)


def _baseline(result: IdleFigures) -> str:
    headings = ["aiortc encodes for each", "viewers", "server", "frames/s each", "packets/s each", "lost", "server MB"]
    return table(
        headings,
        [
            (
                made.codec,
                str(window.viewers),
                f"{window.server_percent:.1f} %{'' if window.frames_s >= KEPT * result.fps else ' overloaded'}",
                *_received(window),
                f"{window.memory_mb:.0f}",
            )
            for made in result.baseline
            for window in made.windows
        ],
    )


def _ratios(result: IdleFigures) -> str:
    ours = result.ms_per_viewer_s
    rows = [
        (
            "ours, one more viewer",
            f"{ours:.1f}",
            f"{1000 / ours:.0f}" if ours > 0 else "-",
            "1",
            f"{result.kb_per_viewer:.0f}",
        )
    ]
    rows += [_compared(result, made) for made in result.baseline if made.windows]
    return table(["side by side", "ms of a core a second", "viewers a core", "ours : theirs", "KB a viewer"], rows)


def _compared(result: IdleFigures, made: BaselineFigures) -> tuple[str, str, str, str, str]:
    theirs = made.ms_per_viewer_s(result.fps)
    a_core = f"{1000 / theirs:.1f}" if theirs else "-"
    return f"aiortc encodes {made.codec}", f"{theirs:.1f}", a_core, ratio(result.ms_per_viewer_s, theirs), "-"
