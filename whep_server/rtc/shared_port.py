"""One UDP port for all sessions, viewers and publishers alike: one socket for each address that is offered.

aioice opens sockets for each connection. Here an ICE session has an ``End`` at each shared socket instead: to aioice it
is the protocol of a host candidate, whose transport sends over the shared socket. One socket for each address, and not
one for all of them, so that an answer leaves from the address that was asked; else the peer would take it for somebody
else's (RFC 8445 section 7.2.5.2.1).

Whose a datagram is (RFC 7983; ``demultiplex``):

    STUN request        the ICE session's whose ufrag it names; whether it knows the password as well, aioice checks
    STUN response       theirs who sent the request with this transaction id, 96 random bits
    DTLS, SRTP          the peer connection's to which its remote address belongs

An address belongs to nobody until a peer has proven itself from there: with a request that has the password's
integrity, or by a response that has it. So a viewer that moves is followed at once. Who knows a ufrag alone gets an
error and no address. Requests can be sent under a false address: so the address of a connection that lives is
given to another one only for a response, which proves that the peer hears what is sent there. When a connection's last
ICE session ends, its addresses are forgotten.

Relied on, read at aioice 0.13.0: ``StunProtocol`` with ``transactions``, ``local_candidate``, ``receiver``; it sends a
success response to nobody but to who knew the password, and gives ``request`` no response without integrity where it
was given a key.
"""

import asyncio
import logging
import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import aioice
from aioice import stun
from aioice.ice import StunProtocol

from whep_server.rtc.demultiplex import Kind, kind_of, transaction_of, ufrag_of

logger = logging.getLogger(__name__)

Address = tuple[str, int]
Deliver = Callable[[bytes], None]
"""Where a connection takes datagrams that are not STUN; the same one for all of its ICE sessions."""
Ancillary = tuple[int, int, bytes]

SLICE_S: Final = 0.003
"""What is there is read for so long at a time: the event loop has other work, too."""
DATAGRAM_BYTES: Final = 65_536
BUFFER_BYTES: Final = 4 * 1024 * 1024
"""Asked of the kernel for either direction; without privileges it gives net.core.rmem_max and wmem_max at most."""
FORCED: Final = ((socket.SO_RCVBUF, 33), (socket.SO_SNDBUF, 32))
"""Linux's options that need privileges and know no maximum (SO_RCVBUFFORCE, SO_SNDBUFFORCE), by the usual ones."""
WAITING_BYTES: Final = 2 * 1024 * 1024
"""What may wait for room in the socket: 17 ms at 1 Gb/s. All viewers' pictures leave through the one buffer, and a
keyframe for fifty of them is more than kernels grant; with a socket each it would have waited behind that."""
MOST_ADDRESSES: Final = 32
"""Of one connection; beyond it, the one that was proven longest ago is forgotten."""


class PortTaken(OSError):
    """The UDP port is somebody else's."""


def bound(host: str, port: int) -> socket.socket:
    """A socket on one address. Errors: OSError."""
    opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        if opened.family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for usual, forced in FORCED:
            opened.setsockopt(socket.SOL_SOCKET, usual, BUFFER_BYTES)
            with suppress(OSError):
                opened.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)
        opened.bind((host, port))
    except OSError:
        opened.close()
        raise
    return opened


@dataclass(slots=True)
class _Lodger:
    """A connection that has ICE sessions here."""

    ends: int = 0
    addresses: dict[Address, None] = field(default_factory=dict)
    """Those that are its peer's, the one that was proven last at the end."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """What the socket had no room for."""

    buffers: Sequence[bytes]
    ancillary: Sequence[Ancillary]
    address: Address
    octets: int


class SharedSocket:
    """The port on one address."""

    def __init__(self, opened: socket.socket, strays: Counter[str] | None = None) -> None:
        """``opened`` is its own from now on. ``strays`` counts datagrams that are nobody's, by kind."""
        self._socket = opened
        self._strays: Counter[str] = Counter() if strays is None else strays
        self.address: Address = opened.getsockname()[:2]
        self._buffer = bytearray(DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)
        self._by_ufrag: dict[bytes, End] = {}
        self._by_address: dict[Address, Deliver] = {}
        self._by_transaction: dict[bytes, End] = {}
        self._lodgers: dict[Deliver, _Lodger] = {}
        self._waiting: deque[_Waiting] = deque()
        self._waiting_bytes = 0
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(opened.fileno(), self._read)

    def close(self) -> None:
        """Send and receive nothing more."""
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._waiting.clear()
        self._socket.close()

    # --- who is here

    def enter(self, end: "End") -> None:
        """An ICE session can be reached from now on. Errors: ValueError where its ufrag is taken."""
        if end.ufrag in self._by_ufrag:
            raise ValueError("the ufrag is another session's")
        self._by_ufrag[end.ufrag] = end
        self._lodgers.setdefault(end.deliver, _Lodger()).ends += 1

    def leave(self, end: "End") -> None:
        """Its ICE session has ended; with a connection's last one, all that is known of its peer is forgotten."""
        del self._by_ufrag[end.ufrag]
        lodger = self._lodgers[end.deliver]
        lodger.ends -= 1
        if not lodger.ends:
            del self._lodgers[end.deliver]
            for address in lodger.addresses:
                del self._by_address[address]

    def asked(self, address: Address, deliver: Deliver) -> None:
        """A request with the password's integrity has come from there, or seems to."""
        if self._by_address.get(address, deliver) == deliver:
            self.proven(address, deliver)

    def proven(self, address: Address, deliver: Deliver) -> None:
        """The peer was asked at this address, and has answered with its password's integrity."""
        lodger = self._lodgers.get(deliver)
        if lodger is None:
            return
        before = self._by_address.get(address)
        if before is not None:
            del self._lodgers[before].addresses[address]
        self._by_address[address] = deliver
        lodger.addresses[address] = None
        if len(lodger.addresses) > MOST_ADDRESSES:
            oldest = next(iter(lodger.addresses))
            del lodger.addresses[oldest], self._by_address[oldest]

    def expect(self, transaction: bytes, end: "End") -> None:
        """A response will be for it."""
        self._by_transaction[transaction] = end

    def expect_no_more(self, transaction: bytes) -> None:
        """Whoever waited for a response has one, or waits no longer."""
        del self._by_transaction[transaction]

    # --- in

    def _read(self) -> None:
        until_s = time.monotonic() + SLICE_S
        while True:
            try:
                size, address = self._socket.recvfrom_into(self._buffer)
            except OSError:  # there is no more; or what ICMP tells, which says nothing about other peers
                return
            self._take(bytes(self._view[:size]), (address[0], address[1]))
            if time.monotonic() >= until_s:
                return

    def _take(self, datagram: bytes, address: Address) -> None:
        kind = kind_of(datagram)
        if kind is Kind.MEDIA:
            deliver = self._by_address.get(address)
            if deliver is not None:
                deliver(datagram)
                return
        else:
            end = self._end_of(kind, datagram)
            if end is not None:
                end.take_stun(datagram, address)
                return
        self._strays[kind.name.lower()] += 1

    def _end_of(self, kind: Kind, message: bytes) -> "End | None":
        """Whom a STUN message is for."""
        if kind is Kind.REQUEST:
            ufrag = ufrag_of(message)
            return None if ufrag is None else self._by_ufrag.get(ufrag)
        return self._by_transaction.get(transaction_of(message)) if kind is Kind.STUN else None

    # --- out: as much of ``socket.socket`` as ``datagrams`` uses

    def sendto(self, datagram: bytes, address: Address) -> None:
        """Send a datagram, as soon as there is room. Errors: OSError, BlockingIOError where too much waits for that."""
        if not self._waiting:
            try:
                self._socket.sendto(datagram, address)
            except BlockingIOError:
                pass
            else:
                return
        self._keep((datagram,), (), address)

    def sendmsg(self, buffers: Sequence[bytes], ancillary: Sequence[Ancillary], flags: int, address: Address) -> None:
        """Send buffers in one call, as soon as there is room. Errors: as above."""
        if not self._waiting:
            try:
                self._socket.sendmsg(buffers, ancillary, flags, address)
            except BlockingIOError:
                pass
            else:
                return
        self._keep(buffers, ancillary, address)

    def _keep(self, buffers: Sequence[bytes], ancillary: Sequence[Ancillary], address: Address) -> None:
        octets = sum(map(len, buffers))
        if self._waiting_bytes + octets > WAITING_BYTES:
            raise BlockingIOError("too much waits already")
        if not self._waiting:
            self._loop.add_writer(self._socket.fileno(), self._flush)
        self._waiting.append(_Waiting(buffers, ancillary, address, octets))
        self._waiting_bytes += octets

    def _flush(self) -> None:
        until_s = time.monotonic() + SLICE_S
        while self._waiting and time.monotonic() < until_s:
            first = self._waiting[0]
            try:
                self._socket.sendmsg(first.buffers, first.ancillary, 0, first.address)
            except BlockingIOError:
                return
            except OSError as error:  # of one peer's address
                logger.debug("datagrams to %s were lost: %s", first.address, error)
            self._waiting.popleft()
            self._waiting_bytes -= first.octets
        if not self._waiting:
            self._loop.remove_writer(self._socket.fileno())


class SharedTransport(asyncio.DatagramTransport):
    """What an ``End`` sends through."""

    def __init__(self, shared: SharedSocket, end: "End") -> None:
        super().__init__()
        self.shared = shared
        self._end = end
        self._closing = False

    def sendto(self, data: bytes | bytearray | memoryview, addr: object = None) -> None:
        """Send a datagram; lost where there is no room, as on any full road."""
        assert isinstance(addr, tuple), "aioice always names an address"
        if not self._closing:
            with suppress(OSError):
                self.shared.sendto(bytes(data), addr)

    def get_extra_info(self, name: str, default: object = None) -> object:
        """The address; the socket is not one session's."""
        return self.shared.address if name == "sockname" else default

    def is_closing(self) -> bool:
        """Whether it has ended."""
        return self._closing

    def close(self) -> None:
        """Let the ICE session end here; the socket stays open."""
        if not self._closing:
            self._closing = True
            self.shared.leave(self._end)
            asyncio.get_running_loop().call_soon(self._end.connection_lost, None)

    def abort(self) -> None:
        """The same: nothing waits here."""
        self.close()


class End(StunProtocol):
    """One ICE session's end at a shared socket."""

    def __init__(self, receiver: aioice.Connection, deliver: Deliver, shared: SharedSocket) -> None:
        """Errors: ValueError where its ufrag is taken."""
        super().__init__(receiver)
        self.ufrag = receiver.local_username.encode()
        self.deliver = deliver
        self._shared = shared
        shared.enter(self)
        self.connection_made(SharedTransport(shared, self))

    def take_stun(self, datagram: bytes, address: Address) -> None:
        """A STUN message that is for this ICE session, if it is one at all."""
        try:
            message = stun.parse_message(datagram)
        except (ValueError, struct.error):
            return
        if message.message_class is stun.Class.REQUEST:
            self.receiver.request_received(message, address, self)
        elif message.message_class is not stun.Class.INDICATION and message.transaction_id in self.transactions:
            self.transactions[message.transaction_id].response_received(message, address)

    def send_stun(self, message: stun.Message, addr: Address) -> None:
        """Send a message. A success response shows that who asked knew the password."""
        if message.message_class is stun.Class.RESPONSE:
            self._shared.asked(addr, self.deliver)
        super().send_stun(message, addr)

    async def request(
        self,
        request: stun.Message,
        addr: Address,
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, Address]:
        """Ask, and wait for the response. Errors: stun.TransactionError."""
        transaction = request.transaction_id
        self._shared.expect(transaction, self)
        try:
            response, source = await super().request(request, addr, integrity_key, retransmissions)
        finally:
            self._shared.expect_no_more(transaction)
        if integrity_key is not None and source == addr:
            self._shared.proven(source, self.deliver)
        return response, source
