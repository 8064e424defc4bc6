"""How the figures of ``bench latency`` are shown. Pure."""

import msgspec

from bench.figures import Spread, table
from bench.latency import LatencyFigures, Way


def as_json(result: LatencyFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: LatencyFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"Milliseconds from the first byte that a client sends to what comes at the viewer's socket; {SIZE}, one "
            f"stream, {result.placement}.\n{result.machine}",
            table(
                ["said by", "rounds", "first sound, P50", "P95", "first lip, P50", "P95"],
                [_row(way) for way in result.ways],
            ),
            f"The engine parts the lips {_ms(result.clip_lips_s)} ms from the clip's first sample, as it hears ahead; "
            "nothing is taken off for that.",
        ]
    )


SIZE = "1280x720 at 25 frames/s"


def _row(way: Way) -> list[str]:
    return [way.name, str(way.rounds), *_spread(way.sound), *_spread(way.lips)]


def _spread(values: Spread) -> list[str]:
    return [_ms(values.median), _ms(values.p95)]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
