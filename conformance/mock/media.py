"""The seam between the mock's signalling and its media side. The canned side has credentials and no transport."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from conformance import ProtocolName
from conformance.canned import Identity
from conformance.description import Description

NOWHERE: Final = "1 1 udp 2130706431 198.51.100.1 40000 typ host"
"""In TEST-NET-2 (RFC 5737)."""


class MediaSide(Protocol):
    """ICE, DTLS and media of one session."""

    @property
    def identity(self) -> Identity:
        """Credentials of now."""

    @property
    def candidates(self) -> tuple[str, ...]:
        """All local candidates: what follows ``a=candidate:``."""

    @property
    def connected(self) -> bool:
        """Whether media can flow."""

    @property
    def ended(self) -> bool:
        """Whether the peer is gone: it said so, or consent was lost."""

    async def trickle(self, fragment: Description) -> None:
        """Remote candidates."""

    async def restart(self, fragment: Description) -> None:
        """New remote credentials and candidates; ``identity`` is new afterwards."""

    async def close(self) -> None:
        """The session was deleted: fall silent at once."""


Opener = Callable[[Description, ProtocolName], Awaitable[MediaSide]]
"""Makes the media side for an offer."""


@dataclass(slots=True)
class CannedSide:
    """A media side that nobody can reach; enough for checks over HTTP alone."""

    identity: Identity = field(default_factory=Identity)
    candidates: tuple[str, ...] = (NOWHERE,)
    connected: bool = False
    ended: bool = False

    async def trickle(self, fragment: Description) -> None:
        """Nothing connects here."""

    async def restart(self, fragment: Description) -> None:
        """New credentials."""
        self.identity = self.identity.restarted()

    async def close(self) -> None:
        """Nothing to close."""


async def canned_side(offer: Description, protocol: ProtocolName) -> MediaSide:
    """The default opener."""
    return CannedSide()
