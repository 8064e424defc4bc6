"""How the figures of ``bench latency`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import Spread, table
from bench.latency import LatencyFigures, Way

ABOUT: Final = (
    "*In real time* is a client that sends 20 ms at a time, as a synthesiser does that is just quick enough; *at "
    "once* one that sends all that the server gives it credit for. The clip is an open vowel from its first sample "
    "on, made for this, so that none of the figures is a breath or a closed lip of the clip's own. The first sound "
    "is the first packet that is audible when decoded, the first lip the first decoded picture in which the lips "
    "are not sealed as they are while it is idle; their times are those at which the packet, or the picture's last "
    "packet, was read off the socket. A player's jitter buffer and its screen come on top. The server waits for "
    "some of the speech before it begins (`WHEP_AVATAR_PCM_START_MS`) and makes pictures ahead of their time "
    "(`WHEP_AVATAR_LEAD_MS`)."
)


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
            ABOUT,
        ]
    )


SIZE = "1280x720 at 25 frames/s"


def _row(way: Way) -> list[str]:
    return [way.name, str(way.rounds), *_spread(way.sound), *_spread(way.lips)]


def _spread(values: Spread) -> list[str]:
    return [_ms(values.median), _ms(values.p95)]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f}"
