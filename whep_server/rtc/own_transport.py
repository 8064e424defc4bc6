"""How an ICE session sends from a socket of its own: past the event loop, which would remember whom it sent to.

uvloop keeps the last 2048 addresses that datagrams went to, half a kilobyte each (read at 0.23: ``sockaddrs`` in its
``dns.pyx``). Nearly every viewer has an address of its own, so memory would grow for that many viewers, to no use.
Receiving and closing stay the event loop's.
"""

import asyncio
import socket
from contextlib import suppress


class OwnTransport(asyncio.DatagramTransport):
    """What stands in the place of the event loop's transport."""

    def __init__(self, received: asyncio.DatagramTransport, own: socket.socket) -> None:
        """``own``: the socket that ``received`` was made of, and closes."""
        super().__init__()
        self._received, self._own = received, own

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
        """Send a datagram; lost where there is no room, as on any full road."""
        assert isinstance(addr, tuple), "aioice always names an address"
        if not self.is_closing():
            with suppress(OSError):
                self._own.sendto(data, addr)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The socket and its address."""
        return self._received.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._received.is_closing()

    def close(self) -> None:
        """End it."""
        self._received.close()

    def abort(self) -> None:
        """The same, at once."""
        self._received.abort()
