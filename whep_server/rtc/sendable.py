"""What viewers are sent: one picture or audio packet, cut into RTP payloads once for all of them."""

from collections.abc import Sequence
from typing import Protocol


class Sendable(Protocol):
    """One picture or audio packet, ready for RTP."""

    @property
    def payloads(self) -> Sequence[bytes]:
        """RTP payloads in order."""
        ...

    @property
    def rtp_time(self) -> int:
        """Media time in ticks of the RTP clock; the sender adds its random origin."""
        ...
