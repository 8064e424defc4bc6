"""What this server is meant to reach, and what was measured: a row for each. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.av_sync import SyncFigures
from bench.fanout_cost import FanoutFigures
from bench.figures import Trend, table
from bench.interruptions import InterruptFigures
from bench.join_time import JoinFigures
from bench.latency import LatencyFigures
from bench.soak import SoakFigures
from bench.speaking_streams import SpeakingFigures
from bench.whip_delay import WhipFigures

LIPS_P50_S: Final = 0.3
LIPS_P95_S: Final = 0.45
WHIP_P50_S: Final = 0.35
SILENT_P95_S: Final = 0.15
APART_P95_S: Final = 0.04
APART_SLOPE_S: Final = 0.001
"""A minute."""
SEEN: Final = 0.9
"""Part of the sounds whose lips must have been seen, for the offsets of the others to count."""
RENDERED_P50_S: Final = 0.08
OF_PACKETS: Final = 3.0
OF_ENCODING: Final = 100.0
VIEWERS_A_CORE: Final = 300.0
STREAMS: Final = 12


@dataclass(frozen=True, slots=True)
class Row:
    """One target. ``met`` is None where it was not measured."""

    what: str
    target: str
    measured: str
    met: bool | None


def latency_rows(figures: LatencyFigures) -> list[Row]:
    """First lip after the first byte of PCM."""
    way = figures.ways[0]
    met = way.lips.median <= LIPS_P50_S and way.lips.p95 <= LIPS_P95_S
    measured = f"P50 {_ms(way.lips.median)}, P95 {_ms(way.lips.p95)}"
    return [Row("first lip after the first PCM byte", "P50 ≤ 300 ms, P95 ≤ 450 ms", measured, met)]


def whip_rows(figures: WhipFigures) -> list[Row]:
    """From the microphone to the lips."""
    lips = figures.ours.lips
    if lips is None:
        return []
    return [Row("WHIP microphone to lips", "P50 ≤ 350 ms", f"P50 {_ms(lips)}", lips <= WHIP_P50_S)]


def interrupt_rows(figures: InterruptFigures) -> list[Row]:
    """Silence, and nothing stale after it."""
    whole = figures.rows[-1]
    met = whole.silent.p95 <= SILENT_P95_S and not whole.failed
    measured = f"P95 {_ms(whole.silent.p95)}, {whole.failed} of {whole.cuts} not silent"
    stale = Row("stale units after a cut", "none", f"{whole.stale} in {whole.cuts} cuts", not whole.stale)
    return [Row("interrupt to silence", "P95 ≤ 150 ms", measured, met), stale]


def sync_rows(figures: SyncFigures) -> list[Row]:
    """Distance of sound and lips, and its slope."""
    apart, seen = figures.content, figures.content.count / max(1, figures.bursts)
    measured = f"P95 {_ms(apart.p95_abs_s)}, lips seen for {100 * seen:.0f} %"
    met = apart.p95_abs_s <= APART_P95_S and seen >= SEEN
    what = f"A/V offset, {figures.streams} streams speaking, {100 * figures.loss:.0f} % loss"
    size = Row(what, "P95 ≤ 40 ms", measured, met)
    slope_ms, error_ms = 1000 * apart.slope.slope, 1000 * apart.slope.error
    drift = f"{slope_ms:+.2f} ± {error_ms:.2f} ms a minute"
    return [size, Row("its slope", "≤ 1 ms a minute", drift, _at_most(apart.slope, APART_SLOPE_S))]


def _at_most(found: Trend, limit: float) -> bool | None:
    """Whether a slope is no steeper than that; None where it is, but chance may have made it so."""
    steep = abs(found.slope)
    return True if steep <= limit else None if steep - 2 * found.error <= limit else False


def join_rows(figures: JoinFigures) -> list[Row]:
    """Chromium, idle and speaking."""
    shown = [each for each in figures.joins if each.client == "Chromium"]
    what = "POST to first rendered picture, Chromium"
    if not shown:
        return [Row(what, "P50 ≤ 80 ms", "Chromium is not here", None)]
    return [
        Row(
            f"{what}, {'speaking' if each.speaking else 'idle'}",
            "P50 ≤ 80 ms",
            f"P50 {_ms(each.pictured.median)}",
            each.pictured.median <= RENDERED_P50_S,
        )
        for each in shown
    ]


def fanout_rows(figures: FanoutFigures) -> list[Row]:
    """One more viewer, beside aiortc; and how many fit on a core."""
    ours = figures.ours.ms_per_viewer_s
    rows = []
    for theirs, least in ((figures.packets, OF_PACKETS), (figures.encoding, OF_ENCODING)):
        times = theirs.ms_per_viewer_s / ours if ours > 0 else 0.0
        rows.append(
            Row(f"CPU of one more viewer : {theirs.name}", f"1 : {least:.0f}", f"1 : {times:.1f}", times >= least)
        )
    fitted = figures.ours.viewers_a_core
    kept_up = max((each.viewers for each in figures.ours.windows if figures.ours.carries(each)), default=0)
    measured = f"{fitted:.0f} by the slope, {kept_up} tried"
    return [*rows, Row("viewers a core", f"≥ {VIEWERS_A_CORE:.0f}", measured, fitted >= VIEWERS_A_CORE)]


def speaking_rows(figures: SpeakingFigures) -> list[Row]:
    """Streams at once."""
    most = figures.most_fluent
    measured = f"{most}; {figures.most_whole} with 99 % of their pictures"
    return [
        Row(f"speaking 720p25 streams without a stall, {figures.placement}", f"≥ {STREAMS}", measured, most >= STREAMS)
    ]


def soak_rows(figures: SoakFigures) -> list[Row]:
    """What drifted."""
    verdicts = {each.name: each.verdict for each in figures.quantities}
    drifting = [name for name, verdict in verdicts.items() if verdict in ("grows", "shrinks")]
    short = "too short to say" in verdicts.values()
    measured = (
        f"drift: {', '.join(drifting) or ('too short to say' if short else 'none')}; {len(figures.faults)} faults"
    )
    met = False if drifting or figures.faults else None if short else True
    return [Row(f"{figures.minutes:g} minutes of everything", "no drift", measured, met)]


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    words = {True: "yes", False: "**no**", None: "-"}
    return table(
        ["target", "wanted", "measured", "met"], [(row.what, row.target, row.measured, words[row.met]) for row in rows]
    )


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"
