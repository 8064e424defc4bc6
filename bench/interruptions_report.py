"""How the figures of ``bench interrupt`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import Spread, table
from bench.interruptions import InterruptFigures, WayRow

ABOUT: Final = (
    "Each utterance is a sentence with a tone of its own above it, so that every packet tells whose it is: *stale* "
    "are packets that bear the tone of an utterance which had fallen silent. *Silent* is when the first packet came "
    "after which nothing was audible until the next utterance, *mouth closed* the first picture after which the "
    "lips stayed sealed: what fades and closes is contained. *Not cut*: still audible, or open, half a second "
    "later. *Reply and ear apart* compares how much the server says was played with the packets that bore the tone."
)


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
            ABOUT,
        ]
    )


def _row(row: WayRow) -> list[str]:
    times = [*_spread(row.silent), _ms(row.silent_max_s), *_spread(row.closed), _ms(row.closed_max_s)]
    return [row.way, str(row.cuts), *times, str(row.failed), str(row.stale), _ms(row.played_apart.p95)]


def _spread(values: Spread) -> list[str]:
    return [_ms(values.median), _ms(values.p95)]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
