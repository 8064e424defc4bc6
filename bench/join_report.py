"""How the figures of ``bench join`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import Spread, table
from bench.join_time import STORM_AT_ONCE, JoinFigures, Joins

ABOUT: Final = (
    "From the POST of the offer to its answer, to a connection, and to a picture: with aiortc the first that its "
    "decoder gives, which it does when the next picture begins; with Chromium the first that is rendered "
    "(`requestVideoFrameCallback`), on a page that does plain WHEP and nothing else. *All at once*: so many "
    "viewers, by aiortc's ICE and DTLS, while somebody else watches it speak; joins a second are limited by the "
    "receivers' own share of the machine, too."
)


def as_json(result: JoinFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: JoinFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    storm = result.storm
    return "\n\n".join(
        [
            f"Milliseconds from the POST, one viewer after the other, {result.placement}.\n{result.machine}",
            table(
                ["viewer", "joins", "answered, P50", "P95", "connected, P50", "P95", "picture, P50", "P95"],
                [_row(each) for each in result.joins],
            ),
            table(
                ["all at once", "failed", "joins a second", "server ms a join", "longest gap of another viewer, ms"],
                [
                    (
                        f"{storm.viewers}, {STORM_AT_ONCE} at a time",
                        str(storm.failed),
                        f"{storm.joins_s:.0f}",
                        f"{storm.server_ms:.1f}",
                        f"{1000 * storm.longest_gap_s:.0f}",
                    )
                ],
            ),
            ABOUT,
        ]
    )


def _row(joins: Joins) -> list[str]:
    name = f"{joins.client}, {'speaking' if joins.speaking else 'idle'}"
    return [name, str(joins.count), *_ms(joins.answered), *_ms(joins.connected), *_ms(joins.pictured)]


def _ms(values: Spread) -> list[str]:
    return [f"{1000 * values.median:.0f}", f"{1000 * values.p95:.0f}"]
