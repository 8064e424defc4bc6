"""How the figures of ``bench sync`` are shown. Pure."""

from typing import Final

import msgspec

from bench.av_sync import Apart, SyncFigures
from bench.figures import Trend, table

ABOUT: Final = (
    "What is said are bursts of a vowel. *Lips, by the sender's clock*: when the lips are half open for a burst, "
    "between two pictures, after the burst's first sample, both on the clock that RTP times and sender reports "
    "tell: what a player shows. *Pictures, by arrival*: how much later pictures come than sound of the same time, "
    "second by second: what a player has to make good, at a few milliseconds a second. Lost packets are dropped at "
    "the receiver as if they had not come; pictures are asked for again as any player does. Slopes stand with their "
    "standard errors."
)


def as_json(result: SyncFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: SyncFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"{result.streams} streams speaking ({result.streamed} by streamed samples, the others by files), "
            f"{result.seconds:.0f} s, {100 * result.loss:.0f} % of the packets lost, {result.placement}.\n"
            f"{result.machine}",
            table(
                ["ms after the sound", "count", "median", "P95 of its size", "worst", "ms a minute", "steepest stream"],
                [
                    _row("lips, by the sender's clock", result.content),
                    _row("pictures, by arrival", result.arrival),
                ],
            ),
            f"Bursts heard: {result.bursts}; with their lips: {result.content.count}. The engine itself opens the "
            f"mouth {1000 * result.engine_s:+.0f} ms after the sound of these bursts, which the first row contains.",
            ABOUT,
        ]
    )


def _row(name: str, apart: Apart) -> list[str]:
    sizes = [f"{1000 * each:.0f}" for each in (apart.p95_abs_s, apart.worst_abs_s)]
    return [name, str(apart.count), f"{1000 * apart.median_s:+.0f}", *sizes, _ms(apart.slope), _ms(apart.steepest)]


def _ms(slope: Trend) -> str:
    return f"{1000 * slope.slope:+.2f} ± {1000 * slope.error:.2f}"
