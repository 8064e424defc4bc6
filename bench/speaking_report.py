"""How the figures of ``bench sessions`` are shown. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bench.figures import table
from bench.speaking_streams import STAGES, STALL_S, Row, SpeakingFigures

ABOUT: Final = (
    "All say the same sentence again and again, each from another place on. Times are those at which a picture's "
    "last packet was read off the socket. *Missing* are pictures that media time asks for and that never came, *not "
    "drawn* those for which the worker had no time; the one before is shown for longer. Percentages are of one "
    "core; *engine* is hearing, *draw* the mouth, *compose* laying it into the picture. In *haste* it encodes quicker "
    "and coarser, because it does not keep up (`bench stages` says how much), and where that is not enough each stream "
    "leaves out a picture now and then, none for long and never a sound."
)


def as_json(result: SpeakingFigures) -> str:
    """One object; what is calculated stands beside what was measured."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    most = {"most_fluent": result.most_fluent, "most_whole": result.most_whole}
    return msgspec.json.encode(figures | most).decode()


def as_text(result: SpeakingFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"1280x720 at 25 frames/s, each with one viewer, {result.seconds:g} s for each row, {result.placement}.\n"
            f"{result.machine}",
            *tables(result.rows),
            f"Most streams without a stall (a picture that stands for {1000 * STALL_S:.0f} ms, or sound that is "
            f"missing): {result.most_fluent}; with hardly a picture left out (1 in 100): {result.most_whole}.",
            ABOUT,
        ]
    )


def tables(rows: Sequence[Row]) -> list[str]:
    """What viewers saw, and what it cost."""
    return [
        table(
            [
                "streams",
                "between pictures, ms: P50",
                "P99",
                "max",
                "stalls",
                "missing",
                "packets lost",
                "not drawn",
            ],
            [_pictures(row) for row in rows],
        ),
        table(
            ["streams", "server", "worker", "a stream", *(f"{stage}, ms a picture" for stage in STAGES), "haste"],
            [_costs(row) for row in rows],
        ),
    ]


def _pictures(row: Row) -> list[str]:
    gaps = row.gaps
    times = [f"{1000 * each:.0f}" for each in (gaps.p50_s, gaps.p99_s, gaps.max_s)]
    return [
        str(row.streams),
        *times,
        str(gaps.stalls),
        f"{gaps.missing}/{gaps.pictures}",
        str(gaps.lost),
        str(row.late),
    ]


def _costs(row: Row) -> list[str]:
    percents = [f"{each:.1f} %" for each in (row.server_percent, row.worker_percent, row.percent)]
    stages = (f"{row.stages_ms[stage]:.2f}" for stage in STAGES)
    return [str(row.streams), *percents, *stages, "yes" if row.quick else "no"]
