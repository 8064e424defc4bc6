"""How the figures of ``bench lips`` are shown, and what they are meant to reach. Pure."""

from typing import Final

import msgspec

from avatar.engines.viseme.training.evaluate import HUMAN, NEW_VOICES, Verdict
from bench.figures import table
from bench.lip_measure import LipFigures
from bench.targets import Row, as_table

CLOSED: Final = {NEW_VOICES: 0.9, HUMAN: 0.8}
"""The least part of p b m in which the lips are to meet, by what is heard."""
FALSE: Final = 0.02
"""The most open vowels in which they may."""
ABOUT: Final = (
    "Truth is the trajectory of the synthesisers' own phoneme times. *r* is the correlation with it at 50 Hz, "
    "*closed* the part of p, b, m in which the lips really meet, *false* the part of open vowels in which they wrongly "
    "meet, *lag* by how much the mouth is late. The rival in the last three columns takes loudness for the opening, "
    "with the threshold that closes most p, b, m at no more false closures than the network's (or 1 %)."
)


def target_rows(result: LipFigures) -> list[Row]:
    """Closures and false closures on unheard voices."""
    by_name = {each.heard: each.verdict for each in result.sets}
    return [_target(name, least, by_name.get(name)) for name, least in CLOSED.items()]


def _target(name: str, least: float, made: Verdict | None) -> Row:
    what, wanted = f"p, b, m closed: {name}", f"≥ {least:.2f} at ≤ {_percent(FALSE, 0)} false"
    if made is None:
        return Row(what, wanted, "the voice is not here: apt-get install flite", None)
    loud = f"loudness {made.loudness_closed:.2f} at {_percent(made.loudness_false)}"
    measured = f"{made.closed:.2f} at {_percent(made.false)}; {loud}"
    return Row(what, wanted, measured, made.closed >= least and made.false <= FALSE)


def as_json(result: LipFigures) -> str:
    """One object; whether the targets are met stands beside what was measured."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    return msgspec.json.encode(figures | {"targets": target_rows(result)}).decode()


def as_text(result: LipFigures) -> str:
    """Markdown, as it stands in docs/lip-sync.md."""
    headings = ["heard", "r gap", "r jaw", "r wide", "r round", "closed on p b m", "false", "lag"]
    rivals = ["loudness: r gap", "closed", "false"]
    rows = [[each.heard, *_cells(each.verdict)] for each in result.sets]
    return "\n\n".join(
        [str(result.machine), as_table(target_rows(result)), table([*headings, *rivals], rows), ABOUT],
    )


def _cells(made: Verdict) -> list[str]:
    numbers = (made.r_gap, made.r_jaw, made.r_wide, made.r_round)
    return [
        *(f"{number:.2f}" for number in numbers),
        f"{_percent(made.closed)} of {made.closures}",
        f"{_percent(made.false)} of {made.vowels}",
        f"{made.lag_ms} ms",
        f"{made.loudness_r:.2f}",
        _percent(made.loudness_closed),
        _percent(made.loudness_false),
    ]


def _percent(part: float, digits: int = 1) -> str:
    return f"{100 * part:.{digits}f} %"
