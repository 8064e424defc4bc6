"""Datagrams that look like STUN and are not: passed over, as anybody can send them to a port that is open.

aioice 0.13.0 reads an attribute that is cut short without looking at its length: ``struct.error`` would go up to the
event loop, which logs an error with its traceback for each such datagram. ``shared_port.End`` reads by itself.
"""

import struct

from aioice.ice import StunProtocol


class GuardedProtocol(StunProtocol):
    """Takes the place of aioice's, also behind a TURN server (``ice.ice_policy``)."""

    def datagram_received(self, data: bytes | str, addr: tuple[object, ...]) -> None:
        """A check, a response, or media."""
        try:
            super().datagram_received(data, addr)
        except struct.error:
            return
