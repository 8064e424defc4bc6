"""One line of the log for each session and each utterance at its end, with figures as fields. No secrets in it.

And a span of each utterance, where spans are sent.

``stream`` is what the log calls a stream (``programme.key_of``); a session's id is a capability:
``shown_id`` stands for it.
"""

import logging
from typing import Final

from whep_server.live.session import Session
from whep_server.live.utterances import Entry
from whep_server.log import shown_id
from whep_server.metrics.facts import SessionStats
from whep_server.tracing.spans import Span, Spans

logger = logging.getLogger(__name__)

FAILURES: Final = frozenset({"failed", "refused", "abandoned"})
"""Ends of an utterance that nobody has wished for."""


def log_session(stream: str, session: Session) -> None:
    """A viewer's or publisher's session has ended: how, after how long, and what passed through it."""
    stats, seconds = session.stats(), session.age_s
    logger.info(
        "stream %s: a %s's session ended after %.1f s: %s",
        stream,
        stats.kind,
        seconds,
        stats.ending,
        extra={
            "stream": stream,
            "session": shown_id(session.id),
            "kind": stats.kind,
            "ending": stats.ending,
            "seconds": round(seconds, 3),
            "ice_failure": stats.ice_failure,
            "codecs": [track.codec for track in stats.media.values()],
            **(_received(stats) if stats.kind == "publisher" else _sent(stats)),
        },
    )


def _sent(stats: SessionStats) -> dict[str, object]:
    video, audio = stats.video, stats.audio
    size = None if video is None or video.frame_width is None else f"{video.frame_width}x{video.frame_height}"
    return {
        "size": size,
        "bytes_sent": stats.bytes_sent,
        "packets_lost": stats.packets_lost,
        "pictures_sent": 0 if video is None else video.frames_sent,
        "pictures_dropped": 0 if video is None else video.frames_dropped,
        "packets_sent": 0 if audio is None else audio.frames_sent,
        "packets_dropped": 0 if audio is None else audio.frames_dropped,
    }


def _received(stats: SessionStats) -> dict[str, object]:
    return {
        "bytes_received": sum(track.bytes_received for track in stats.media.values()),
        "packets_lost": stats.packets_lost,
        "packets_received": sum(track.packets_received for track in stats.media.values()),
    }


def log_utterance(stream: str, entry: Entry, state: str, detail: str | None) -> None:
    """An utterance has ended.

    Its times: from acceptance until it was heard; from the end of the upload until it was heard, and until viewers were
    given the first picture of it.
    """
    times = entry.stats(state)
    logger.info(
        "stream %s: utterance %s %s%s",
        stream,
        entry.id,
        state,
        f": {detail}" if detail else "",
        extra={
            "stream": stream,
            "utterance": entry.id,
            "state": state,
            "detail": detail,
            "seconds": entry.seconds,
            "live": entry.live,
            "recorded": entry.recorded,
            "wait_ms": _between_ms(entry.accepted_s, entry.started_s),
            "first_sound_ms": _between_ms(0.0, times.started_s),
            "first_picture_ms": _between_ms(0.0, times.pictured_s),
        },
    )


def _between_ms(earlier_s: float | None, later_s: float | None) -> int | None:
    return None if earlier_s is None or later_s is None else round(1000 * (later_s - earlier_s))


def trace_utterance(spans: Spans, stream: str, entry: Entry, state: str, now_s: float, detail: str | None) -> None:
    """The span of an utterance that has ended now: from when it was asked for to its end, with what it waited for.

    Units: ``now_s`` in seconds of the event loop's clock.
    """
    heard_s = entry.started_s
    parts = (
        _part("upload", entry.opened_s, entry.uploaded_s or (now_s if entry.accepted_s is None else None)),
        _part("decode", entry.uploaded_s, entry.accepted_s),
        _part("wait", entry.accepted_s, heard_s or now_s),
        _part("first picture", heard_s, entry.pictured_s),
        _part("speak", heard_s, now_s),
    )
    attributes = {"whep_avatar.stream": stream, "whep_avatar.utterance": entry.id, "whep_avatar.way": entry.way}
    length = {} if entry.seconds is None else {"whep_avatar.seconds": entry.seconds}
    events = (("accepted", entry.accepted_s), ("heard", heard_s), ("pictured", entry.pictured_s), (state, now_s))
    span = Span(
        "utterance",
        entry.opened_s,
        now_s,
        {**attributes, "whep_avatar.state": state, **length},
        tuple((name, at_s) for name, at_s in events if at_s is not None),
        (detail or state) if state in FAILURES else None,
        tuple(part for part in parts if part is not None),
    )
    spans.add(span, entry.parent)


def _part(name: str, begins_s: float | None, ends_s: float | None) -> Span | None:
    """None where one of its ends was not reached, or they are the other way round."""
    return None if begins_s is None or ends_s is None or ends_s < begins_s else Span(name, begins_s, ends_s)
