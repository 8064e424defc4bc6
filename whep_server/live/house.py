"""What all streams share."""

from collections.abc import Callable
from dataclasses import dataclass

from avatar.client import Worker
from whep_server.live.render import Renders
from whep_server.metrics.ledger import Ledger
from whep_server.rtc.ports import ANY, Ports
from whep_server.settings import Settings
from whep_server.tracing.spans import NO_SPANS, Spans


@dataclass(frozen=True, slots=True)
class House:
    """See the module."""

    worker: Worker
    settings: Settings
    renders: Renders
    ledger: Ledger
    check_room: Callable[[], None]
    """Raises Unavailable where no stream may take a further viewer."""
    check_place: Callable[[], None]
    """Raises TooManySpeak where no further stream may speak."""
    check_open: Callable[[], None]
    """Raises BeingEnded where nothing new is taken any more."""
    ports: Ports = ANY
    """Where sessions get their UDP ports."""
    spans: Spans = NO_SPANS
    """Where spans of utterances go."""
