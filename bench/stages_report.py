"""How the figures of ``bench stages`` are shown: tables to read, ratios to compare, JSON to keep. Pure."""

import msgspec

from bench.figures import Spread, ratio, table
from bench.stages import BATCH, EncoderFigures, StageFigures


def as_json(result: StageFigures) -> str:
    """One object."""
    return msgspec.json.encode(result).decode()


def as_text(result: StageFigures) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    frame_ms = 1000 / result.fps
    return "\n\n".join(
        [
            f"{result.width}x{result.height} at {result.fps} frames/s, {result.frames} frames of speech, one core, "
            f"milliseconds of processor time a frame.\n{result.machine}",
            _stages(result, frame_ms),
            _encoders(result),
            _ratios(result),
        ]
    )


def _stages(result: StageFigures, frame_ms: float) -> str:
    rows: list[tuple[str, Spread]] = [
        ("hear: log-mel and network", result.hear),
        ("hear, nothing else running", result.hear_alone),
        (f"hear, {BATCH} streams in one call, each", result.hear_batched),
        ("draw the mouth", result.draw),
        ("compose it into the picture", result.compose),
        ("encode H.264", result.h264.ms),
        ("encode VP8", result.vp8.ms),
        ("encode Opus", result.opus),
        ("**one stream, H.264**", result.total),
        ("one stream, H.264 and VP8", result.total_both),
    ]
    return table(
        ["step", "median", "p95", f"of {frame_ms:.0f} ms"],
        [(name, f"{ms.median:.2f}", f"{ms.p95:.2f}", f"{100 * ms.median / frame_ms:.1f} %") for name, ms in rows],
    )


def _encoders(result: StageFigures) -> str:
    rows: list[tuple[str, str, EncoderFigures]] = [
        ("ours, H.264", "stream", result.h264),
        ("ours in haste, H.264", "stream", result.h264_quick),
        ("aiortc's, H.264", "viewer", result.aiortc_h264),
        ("ours, VP8", "stream", result.vp8),
        ("ours in haste, VP8", "stream", result.vp8_quick),
        ("aiortc's, VP8", "viewer", result.aiortc_vp8),
    ]
    return table(
        ["encoder", "one for each", "median", "p95", "kbit/s", "PSNR dB"],
        [
            (name, owner, f"{made.ms.median:.2f}", f"{made.ms.p95:.2f}", f"{made.kbps:.0f}", f"{made.psnr_db:.1f}")
            for name, owner, made in rows
        ],
    )


def _ratios(result: StageFigures) -> str:
    whole = result.convert_whole.median
    picture = result.mouth_only.median + result.h264.ms.median
    rows: list[tuple[str, float, float]] = [
        ("H.264 encoder : aiortc's", result.h264.ms.median, result.aiortc_h264.ms.median),
        ("VP8 encoder : aiortc's", result.vp8.ms.median, result.aiortc_vp8.ms.median),
        ("mouth drawn and composed : a whole RGB picture converted (not drawn)", result.mouth_only.median, whole),
        (
            "mouth drawn, composed, H.264 : whole picture converted, aiortc's H.264",
            picture,
            whole + result.aiortc_h264.ms.median,
        ),
        (
            f"one of {BATCH} streams heard in one call : one heard alone",
            result.hear_batched.median,
            result.hear_alone.median,
        ),
    ]
    return table(
        ["side by side", "ms", "ms", "ratio"],
        [(name, f"{left:.2f}", f"{right:.2f}", ratio(left, right)) for name, left, right in rows],
    )
