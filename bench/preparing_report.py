"""How the figures of ``bench preparing`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import table
from bench.preparing import PreparingFigures, Stretch

ABOUT: Final = (
    "The same streams say the same, in turn without and with videos being prepared on the same server, whose own cores "
    "the preparing process shares, at the lowest priority. Times are those at which a picture's last packet was read "
    "off the socket. The ratio has the middle of the rounds' P50 and P99, and the longest gap of all rounds."
)


def as_json(result: PreparingFigures) -> str:
    """One object; the ratios stand beside what was measured."""
    figures: dict[str, object] = msgspec.to_builtins(result)
    return msgspec.json.encode(figures | {"ratios": result.ratios()}).decode()


def as_text(result: PreparingFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    streams = result.alone[0].row.streams
    headings = ["", "between pictures, ms: P50", "P99", "max", "stalls", "missing", "not drawn", "preparing, of a core"]
    rows = [
        _cells(what, each)
        for pair in zip(result.alone, result.beside, strict=True)
        for what, each in zip(("nobody prepares", "a video is prepared"), pair, strict=True)
    ]
    ratio = ["with : without", *(f"{each:.2f}" for each in result.ratios()), "", "", "", ""]
    return "\n\n".join(
        [
            f"1280x720 at 25 frames/s, {streams} streams speaking, each with one viewer, {result.seconds:g} s for each "
            f"row, {result.placement}.\n{result.machine}",
            table(headings, [*rows, ratio]),
            f"Avatars that were finished meanwhile: {result.prepared}.",
            ABOUT,
        ]
    )


def _cells(what: str, stretch: Stretch) -> list[str]:
    gaps = stretch.row.gaps
    times = [f"{1000 * each:.1f}" for each in (gaps.p50_s, gaps.p99_s, gaps.max_s)]
    share = f"{stretch.preparing_percent:.0f} %"
    return [what, *times, str(gaps.stalls), f"{gaps.missing}/{gaps.pictures}", str(stretch.row.late), share]
