"""How the figures of ``bench families`` are shown, beside what the original server's authors published. Pure."""

from typing import Final

import msgspec

from bench.figures import table
from bench.session_families import FamilyFigures, Row, pairs

PUBLISHED: Final = (
    ("RTX 3090, WebRTC, 20 frames/s", "4", "3200 to 4900", "84", "11 to 14 s"),
    ("RTX 3090, WebRTC, 20 frames/s", "8", "6000 to 10000", "175", "42 to 48 s"),
    ("RTX 6000 Ada, WebRTC, 20 frames/s", "4", "3800", "50", "none"),
    ("RTX 6000 Ada, WebRTC, 20 frames/s", "8", "3300", "-", "-"),
    ("HLS, one stream", "1", "1500", "-", "-"),
)
"""What they measured, sentence of about 18 s: sessions, ms to live, mean ms between pictures, stalls a session."""

HEADINGS: Final = (
    "family",
    "frames/s",
    "sessions",
    "finished",
    "to live, ms (worst)",
    "between pictures, ms: p50",
    "p99",
    "max",
    "stalls",
    "kbit/s",
    "% of a core",
)


def as_json(result: FamilyFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: FamilyFigures) -> str:
    """Markdown, as it stands in docs/migration.md and docs/benchmarks.md."""
    return "\n\n".join(
        [
            f"{result.size}, a sentence of {result.sentence_s:.1f} s, all sessions at once.\n{result.machine}",
            table(
                HEADINGS,
                [_row(row) for row in result.rows],
            ),
            "Published for the original server by its authors:",
            table(["machine", "sessions", "to live, ms", "between pictures, ms", "stalls a session"], PUBLISHED),
            "\n".join(_ratio(webrtc, sse) for webrtc, sse in pairs(result.rows)),
            f"Deleted at once: {sum(row.deleted for row in result.rows)} of {sum(row.sessions for row in result.rows)} "
            f"answered 200; `/health` afterwards: {result.health_p50_ms:.1f} ms.",
        ]
    )


def _row(row: Row) -> list[str]:
    return [
        row.family,
        str(row.fps),
        str(row.sessions),
        f"{row.finished}/{row.sessions}",
        f"{row.live_p50_ms:.0f} ({row.live_max_ms:.0f})",
        f"{row.interval_p50_ms:.0f}",
        f"{row.interval_p99_ms:.0f}",
        f"{row.interval_max_ms:.0f}",
        str(row.stalls),
        f"{row.kbps:.0f}",
        f"{row.cpu_percent:.0f}",
    ]


def _ratio(webrtc: Row, sse: Row) -> str:
    return (
        f"- {webrtc.sessions} at {webrtc.fps} frames/s, WebRTC : SSE: time to live 1 : "
        f"{sse.live_p50_ms / webrtc.live_p50_ms:.1f}, processor 1 : {sse.cpu_percent / webrtc.cpu_percent:.2f}, "
        f"bytes 1 : {sse.kbps / webrtc.kbps:.2f}"
    )
