"""What a route takes and gives, beside what its docstring says: for the API's description (``web/openapi.py``)."""

from dataclasses import dataclass, field
from typing import Final

STANDARDS: Final = "WHEP and WHIP"
STREAMS: Final = "Streams"
AVATARS: Final = "Avatars"
OPERATIONS: Final = "Pages and operations"
"""Groups of routes; the original server's have theirs beside the routes."""
KEY: Final = "operation"
"""Where a handler's ``opt`` holds it."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One route. Types are msgspec structs or pydantic models; a string is a media type without a schema."""

    tag: str
    params: type | None = None
    """Scalars of the query, each also taken from the form where there is one."""
    files: dict[str, str] = field(default_factory=dict)
    """Files of a multipart form by name, with what they are."""
    further_files: dict[str, str] = field(default_factory=dict)
    """Those that may be left out."""
    body: type | str | tuple[type | str, ...] = ()
    """What else is taken; a tuple where there is a choice. A media range, as ``audio/*``, is a media type here."""
    reply: type | str | None = None
    others: tuple[int, ...] = ()
    """Statuses beside the handler's own that are no errors either."""
    other_replies: dict[int, type | str] = field(default_factory=dict)
    """Such statuses whose content is not that of ``reply``."""
    headers: dict[str, str] = field(default_factory=dict)
    """Those of the reply that mean something to a client."""
    about: str = ""
    """What else a client has to know: paragraphs of plain text, code in backquotes."""
    messages: tuple[type, ...] = ()
    """Structs that are sent over a WebSocket, which OpenAPI does not know."""


def describe(operation: Operation) -> dict[str, Operation]:
    """A handler's ``opt``."""
    return {KEY: operation}
