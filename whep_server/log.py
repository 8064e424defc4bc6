"""How the server's log looks: lines for people, or one JSON object a line. Standard error, standard library.

What must never be in it: SDP, credentials, and session ids, which are capabilities (``shown_id`` stands for them).

Lines are about something: a stream, a session, an utterance. Who works for one stream or session says so once
(``about``), and every line that is written meanwhile, by whatever it calls and by tasks that it begins, has it.
"""

import hashlib
import json
import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, TextIO

LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
TOO_TALKATIVE: Final = ("aioice", "aiortc", "asyncio", "httpcore", "httpx", "multipart", "uvicorn")
"""Libraries that below WARNING write addresses, SDP, a line per packet, or what our own lines say already."""
OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}
"""What every record has, or uvicorn adds for a terminal; the rest was given as ``extra``."""


_ABOUT: Final[ContextVar[Mapping[str, str]]] = ContextVar("about", default=MappingProxyType({}))


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """What the lines inside the block are about: ``stream`` (its key), ``session`` (as ``shown_id`` shows it)."""
    token = _ABOUT.set({**_ABOUT.get(), **fields})
    try:
        yield
    finally:
        _ABOUT.reset(token)


def begin(fields: Mapping[str, str]) -> None:
    """What all further lines of this task are about, whatever its lines were about before."""
    _ABOUT.set(fields)


def shown_id(secret: str) -> str:
    """A short stand-in for a session id: the same each time, and no way back to it."""
    return hashlib.sha256(secret.encode()).hexdigest()[:8]


class JsonFormatter(logging.Formatter):
    """One JSON object a record; what it is about and its ``extra`` fields become members."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its newline."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry |= _ABOUT.get()
        entry |= {name: value for name, value in vars(record).items() if name not in OWN}
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str, ensure_ascii=False)


class LineFormatter(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03d %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """With what the message does not say itself of what it is about."""
        untold = ", ".join(f"{name} {value}" for name, value in _ABOUT.get().items() if value not in record.message)
        return super().formatMessage(record) + (f" ({untold})" if untold else "")

    def format(self, record: logging.LogRecord) -> str:
        """The line; a message's own newlines are escaped, so that nobody can write lines of their own."""
        text = super().format(record)
        head, _, traceback = text.partition("\nTraceback")
        return head.replace("\r", "\\r").replace("\n", "\\n") + (f"\nTraceback{traceback}" if traceback else "")


def configure(level: str, *, as_json: bool, stream: TextIO | None = None) -> None:
    """Set up the root logger; what was set up before is replaced."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else LineFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    floor = max(logging.WARNING, logging.getLevelNamesMapping()[level])
    for name in TOO_TALKATIVE:
        logging.getLogger(name).setLevel(floor)
