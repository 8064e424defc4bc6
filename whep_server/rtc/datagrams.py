"""Sends datagrams to one peer over the pair that ICE has nominated, past the event loop's transports.

Over a plain UDP socket the packets of a picture are handed to the kernel in one call or two (generic segmentation
offload, Linux: ``UDP_SEGMENT``), which is what makes hundreds of viewers a core possible; one by one where it refuses
that. What the socket has no room for is lost, as on any full road: the peer asks for it again. Over TURN they go
through aioice, which must be kept from holding them back: a relay that is reached by TCP or TLS takes no more than the
road carries, and what waits there is late for ever.

Relied on, read at aioice 0.13.0: ``CandidatePair.protocol``, its ``transport`` and ``remote_addr``;
``TurnTransport.__inner_protocol``, whose transport is the one to the TURN server.
"""

import os
import socket
import sys
from collections.abc import Iterator, Sequence
from errno import EINVAL, EIO, EMSGSIZE, ENOTSUP
from struct import Struct
from typing import Final, Protocol

from aioice.ice import CandidatePair
from aioice.turn import TurnTransport

from whep_server.rtc.connection import RestartableConnection
from whep_server.rtc.shared_port import SharedSocket, SharedTransport

SEGMENTS: Final = sys.platform == "linux"
"""Whether to try the kernel's segmentation at all."""
UDP_SEGMENT: Final = 103
"""Linux; the socket module has no name for it."""
MAX_SEGMENTS: Final = 64
"""UDP_MAX_SEGMENTS of kernels before 6.9."""
MAX_BYTES: Final = 65_000
"""Of one call: less than the largest datagram, which it is to the kernel until it is cut."""
REFUSALS: Final = frozenset({EINVAL, EIO, EMSGSIZE, ENOTSUP})
"""What kernels say that cannot segment on the way to this address, or not with packets of this size."""
RELAY_BYTES: Final = 65_536
"""What may wait on the way to a relay: a third of a second at 1.5 Mb/s. More, and pictures are left out."""
PRIVATE: Final = "_TurnTransport__"
"""What Python puts before the names of that class that begin with two underscores."""
_SIZE: Final = Struct("=H")


class Path(Protocol):
    """A way to the peer."""

    @property
    def congested(self) -> bool:
        """Whether what is sent now would be late."""
        ...

    def send(self, packets: Sequence[bytes]) -> int:
        """Send datagrams; how many of them were discarded."""
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...


def runs(packets: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """The packets in order, in runs that the kernel can send in one call: of one size, the last may be shorter."""
    start = 0
    while start < len(packets):
        size, end = len(packets[start]), start + 1
        most = min(len(packets), start + min(MAX_SEGMENTS, max(1, MAX_BYTES // size)))
        while end < most and len(packets[end]) == size:
            end += 1
        if end < most and len(packets[end]) < size:
            end += 1
        yield packets[start:end]
        start = end


class SocketPath:
    """The UDP socket of a host, server reflexive or peer reflexive candidate, and the address at its other end."""

    congested = False

    def __init__(self, own: int | SharedSocket, address: tuple[str, int]) -> None:
        """``own``: a descriptor, or what all share. Of a descriptor, which is the event loop's, a duplicate is used."""
        self._shared = own if isinstance(own, SharedSocket) else None
        self._socket: SharedSocket | socket.socket
        if isinstance(own, SharedSocket):
            self._socket = own
        else:
            self._socket = socket.socket(fileno=os.dup(own))
            self._socket.setblocking(False)
        self._address = address
        self._segments = SEGMENTS

    def send(self, packets: Sequence[bytes]) -> int:
        """Send datagrams; how many of them were discarded."""
        if len(packets) == 1:
            return self._send_one(packets[0])
        if not self._segments:
            return sum(map(self._send_one, packets))
        return sum(map(self._send_run, runs(packets)))

    def _send_run(self, run: Sequence[bytes]) -> int:
        if len(run) == 1:
            return self._send_one(run[0])
        size = (socket.IPPROTO_UDP, UDP_SEGMENT, _SIZE.pack(len(run[0])))
        try:
            self._socket.sendmsg(run, (size,), 0, self._address)
        except OSError as error:
            if error.errno not in REFUSALS:
                return len(run)
            self._segments = False
            return sum(map(self._send_one, run))
        return 0

    def _send_one(self, packet: bytes) -> int:
        try:
            self._socket.sendto(packet, self._address)
        except OSError:
            return 1
        return 0

    def close(self) -> None:
        """Close the duplicate; the event loop's own socket stays open, and so does what all share."""
        if self._shared is None:
            self._socket.close()


class RelayPath:
    """A relayed candidate: aioice's transport to a TURN server."""

    def __init__(self, transport: TurnTransport, address: tuple[str, int]) -> None:
        self._transport, self._address = transport, address
        self._inner = getattr(transport, PRIVATE + "inner_protocol").transport
        opened = self._inner.get_extra_info("socket")
        if opened is not None and opened.type == socket.SOCK_STREAM and hasattr(socket, "TCP_NOTSENT_LOWAT"):
            # else the kernel alone takes megabytes, many seconds' worth, before anything is seen to wait here
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, RELAY_BYTES)

    @property
    def congested(self) -> bool:
        """Whether what is sent now would be late."""
        return bool(self._inner.get_write_buffer_size() > RELAY_BYTES)

    def send(self, packets: Sequence[bytes]) -> int:
        """Hand datagrams over; none is discarded here."""
        for packet in packets:
            self._transport.sendto(packet, self._address)
        return 0

    def close(self) -> None:
        """Nothing: the transport is the connection's."""


class NoPath:
    """No pair is nominated: nobody can be reached, for now or for good."""

    congested = False

    def send(self, packets: Sequence[bytes]) -> int:
        """All are discarded."""
        return len(packets)

    def close(self) -> None:
        """It holds nothing."""


NOWHERE: Final = NoPath()


def path_of(pair: CandidatePair | None) -> Path:
    """How to send over a pair."""
    if pair is None:
        return NOWHERE
    transport = pair.protocol.transport
    if isinstance(transport, TurnTransport):
        return RelayPath(transport, pair.remote_addr)
    if isinstance(transport, SharedTransport):
        return SocketPath(transport.shared, pair.remote_addr)
    return SocketPath(transport.get_extra_info("socket").fileno(), pair.remote_addr)


class Datagrams:
    """The way to one peer, whatever pair it is at the moment."""

    def __init__(self, connection: RestartableConnection) -> None:
        self._connection = connection
        self._pair: CandidatePair | None = None
        self._path: Path = NOWHERE

    def path(self) -> Path:
        """The way that is to be taken now."""
        pair = self._connection.nominated
        if pair is not self._pair:
            self._take(pair)
        return self._path

    def close(self) -> None:
        """Send nothing more."""
        self._take(None)

    def _take(self, pair: CandidatePair | None) -> None:
        self._path.close()
        self._pair, self._path = None, NOWHERE  # whatever happens next
        self._path, self._pair = path_of(pair), pair
