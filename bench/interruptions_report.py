"""How the figures of ``bench interrupt`` are shown. Pure."""

import msgspec

from bench.figures import Spread, table
from bench.interruptions import InterruptFigures, WayRow


def as_json(result: InterruptFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: InterruptFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"Milliseconds from the call; {result.streams} streams speaking and cut off at random, "
            f"{result.placement}.\n{result.machine}",
            table(
                [
                    "said by, cut by",
                    "cuts",
                    "silent, P50",
                    "P95",
                    "max",
                    "mouth closed, P50",
                    "P95",
                    "max",
                    "not cut",
                    "stale packets",
                    "reply and ear apart, P95",
                ],
                [_row(row) for row in result.rows],
            ),
        ]
    )


def _row(row: WayRow) -> list[str]:
    times = [*_spread(row.silent), _ms(row.silent_max_s), *_spread(row.closed), _ms(row.closed_max_s)]
    return [row.way, str(row.cuts), *times, str(row.failed), str(row.stale), _ms(row.played_apart.p95)]


def _spread(values: Spread) -> list[str]:
    return [_ms(values.median), _ms(values.p95)]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
