"""How the figures of ``bench soak`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import table
from bench.soak import Quantity, SoakFigures

FAULTS_SHOWN = 5

ABOUT: Final = (
    "Random sentences by files, by samples at once and in real time; three of ten are interrupted, some clients "
    "vanish in mid-word; visitors come and go, half of the viewers lose 2 % of their packets. The first third is "
    "not judged; slopes are those of twelve stretches' means, with their standard errors: *steady* is what is "
    "within three of them from 0."
)


def as_json(result: SoakFigures) -> str:
    """One object; each quantity with its verdict."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    verdicts = {each.name: each.verdict for each in result.quantities}
    return msgspec.json.encode(figures | {"verdicts": verdicts}).decode()


def as_text(result: SoakFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    happened = ", ".join(f"{name} {count}" for name, count in result.happened.items())
    faults = [f"- {fault}" for fault in result.faults[:FAULTS_SHOWN]]
    return "\n\n".join(
        [
            f"{result.minutes:g} minutes, four streams, {result.placement}.\n{result.machine}",
            f"What happened: {happened}; faults: {len(result.faults)}.",
            *(["\n".join(faults)] if faults else []),
            table(
                ["", "samples", "first", "last", "an hour", "verdict"],
                [_row(each) for each in result.quantities],
            ),
            ABOUT,
        ]
    )


def _row(each: Quantity) -> list[str]:
    unit = f" {each.unit}" if each.unit else ""
    slope = "-" if each.slope is None else f"{each.slope.slope:+.1f} ± {each.slope.error:.1f}{unit}"
    return [each.name, str(each.samples), f"{each.first:.1f}{unit}", f"{each.last:.1f}{unit}", slope, each.verdict]
