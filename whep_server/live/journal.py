"""One line of the log for each session and each utterance at its end, with figures as fields. No secrets in it.

``stream`` is what the log calls a stream (``programme.key_of``); a session's id is a capability and never shown.
"""

import logging
from collections.abc import Mapping

from whep_server.live.session import Ending, Session
from whep_server.live.utterances import Entry

logger = logging.getLogger(__name__)


def log_session(kind: str, stream: str, session: Session, figures: Mapping[str, object]) -> None:
    """A viewer's or publisher's session has ended: how, after how long, and what passed through it."""
    ending = session.ending or Ending.OFF_AIR  # one that was cut off: the server itself ends
    seconds = session.age_s
    logger.info(
        "stream %s: a %s's session ended after %.1f s: %s",
        stream,
        kind,
        seconds,
        ending.value,
        extra={"stream": stream, "session": kind, "ending": ending.value, "seconds": round(seconds, 3), **figures},
    )


def log_utterance(stream: str, entry: Entry, state: str, detail: str | None) -> None:
    """An utterance has ended. Its times: from acceptance, and from the end of the upload, until it was heard."""
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
            "first_picture_ms": _between_ms(entry.uploaded_s, entry.started_s),
        },
    )


def _between_ms(earlier_s: float | None, later_s: float | None) -> int | None:
    return None if earlier_s is None or later_s is None else round(1000 * (later_s - earlier_s))
