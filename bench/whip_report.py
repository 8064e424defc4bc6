"""How the figures of ``bench whip`` are shown. Pure."""

from typing import Final

import msgspec

from bench.figures import ratio, table
from bench.whip_delay import Delays, WhipFigures

PACKET_MS: Final = 20
ABOUT: Final = (
    "A publisher over WHIP that sends each packet when a live encoder would have it, and an observer over WHEP, on "
    "one machine and one clock. Where the sentence stands in the sound that came is found by correlation, the lips "
    "by holding their opening against that of the same sentence uploaded as a file: nothing is taken from what the "
    "server says. Beside it stands a server of aiortc's own parts that decodes the sound behind its jitter buffer, "
    "encodes it again and makes no face. What a face costs beyond that is hearing ahead, since lips begin a sound "
    "before it is heard, and making pictures ahead of their time, so that a busy machine does not leave any out: "
    "`WHEP_AVATAR_LEAD_MS` trades one for the other. *The rest* is the server's jitter buffer, a packet's time, two "
    "codecs and the network. A player's jitter buffer and its screen come on top, in a browser some 20 to 60 ms."
)


def as_json(result: WhipFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: WhipFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    ours, relay = result.ours, result.relay
    return "\n\n".join(
        [
            f"A sentence of {result.sentence_s:.1f} s, {result.rounds} rounds each, milliseconds from its speaking to "
            f"the viewer's socket.\n{result.machine}",
            table(
                ["spoken into", "sound, median", "sound, p95", "lips"],
                [_row("ours, over WHIP", ours), _row("aiortc relays the sound", relay)],
            ),
            table(
                ["of ours", "ms"],
                [
                    ("the publisher's packet", str(PACKET_MS)),
                    ("the engine hears ahead", f"{1000 * result.lookahead_s:.0f}"),
                    ("pictures are made ahead (`lead_ms`)", f"{1000 * result.lead_s:.0f}"),
                    ("jitter buffer, codecs and the rest", f"{_rest_ms(result):.0f}"),
                ],
            ),
            f"Sound, relayed : with a face = {ratio(relay.sound.median, ours.sound.median)}; lips after their sound: "
            f"{1000 * _lips_after_s(ours):+.0f} ms.",
            ABOUT,
        ]
    )


def _row(name: str, delays: Delays) -> tuple[str, str, str, str]:
    lips = "-" if delays.lips is None else f"{1000 * delays.lips:.0f}"
    return name, f"{1000 * delays.sound.median:.0f}", f"{1000 * delays.sound.p95:.0f}", lips


def _rest_ms(result: WhipFigures) -> float:
    return 1000 * (result.ours.sound.median - result.lookahead_s - result.lead_s) - PACKET_MS


def _lips_after_s(ours: Delays) -> float:
    return (ours.lips or 0.0) - ours.sound.median
