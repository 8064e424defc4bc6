"""Which UDP ports sessions take, and under which addresses they are offered.

``EachItsOwn``: every ICE session opens sockets of its own, on ports that the operating system chooses, or of a range.
``SharedPort``: all sessions are on one port, see ``shared_port``. Either way aioice is given protocols whose local
candidates say where they are reached; ``candidates`` puts the public addresses of a one-to-one NAT before them.

Relied on, read at aioice 0.13.0: ``StunProtocol`` as the protocol of a UDP socket, its ``transport``,
``turn.UDP_SOCKET_BUFFER_SIZE``.
"""

import asyncio
import ipaddress
import logging
import random
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import EADDRINUSE, EADDRNOTAVAIL
from typing import Final, Protocol

import aioice
import aioice.ice
from aioice import Candidate
from aioice.candidate import candidate_foundation, candidate_priority
from aioice.ice import StunProtocol
from aioice.turn import UDP_SOCKET_BUFFER_SIZE

from whep_server.rtc import addresses as addressing
from whep_server.rtc.gathering import Patience
from whep_server.rtc.own_transport import OwnTransport
from whep_server.rtc.shared_port import Deliver, End, PortTaken, SharedSocket, bound
from whep_server.rtc.stun_guard import GuardedProtocol
from whep_server.settings import Settings

logger = logging.getLogger(__name__)

TRIES_AT_ONCE: Final = 500
"""Ports of a range that are tried before the event loop gets a turn: 2 ms."""
FIRST_PREFERENCE: Final = 65_535
"""The highest local preference (RFC 8445 section 5.1.2.1)."""


class Ports(Protocol):
    """Where sessions get their UDP ports."""

    @property
    def public(self) -> Sequence[str]:
        """Addresses under which a one-to-one NAT shows this machine to others."""
        ...

    @property
    def loopback(self) -> bool:
        """Whether peers on this machine's loopback are served; a stranger's candidate must not lead there."""
        ...

    @property
    def patience(self) -> Patience:
        """What all sessions know of STUN and TURN servers that are silent."""
        ...

    def open(self, owner: aioice.Connection, deliver: Deliver, hosts: Sequence[str]) -> AsyncIterator[StunProtocol]:
        """A protocol on each of our addresses that has room, with its candidate; each is the owner's to close.

        ``deliver`` takes what is not STUN, where the owner is not asked to.
        """
        ...


def host_candidate(host: str, port: int, preference: int = FIRST_PREFERENCE) -> Candidate:
    """A host candidate (RFC 8445 section 5.1.1.1) of RTP's component."""
    return Candidate(
        foundation=candidate_foundation("host", "udp", host),
        component=1,
        transport="udp",
        priority=candidate_priority(1, "host", preference),
        host=host,
        port=port,
        type="host",
    )


def candidates(protocols: Iterable[StunProtocol], public: Sequence[str]) -> list[Candidate]:
    """What is offered: under public addresses first, then where it really is, which viewers in the same network take.

    A NAT that maps one to one keeps the port. Which of our own addresses is behind it, ICE finds out.
    """
    own = sorted((protocol.local_candidate for protocol in protocols), key=lambda each: each.host not in public)
    ours = {each.host for each in own}
    mapped: dict[tuple[str, int], Candidate] = {}
    for address in (each for each in public if each not in ours):
        version = ipaddress.ip_address(address).version
        for each in own:
            if ipaddress.ip_address(each.host).version == version and each.host not in public:
                mapped.setdefault((address, each.port), host_candidate(address, each.port))
    if public:
        for each in own:
            if each.host not in public:
                each.priority = candidate_priority(1, "host", FIRST_PREFERENCE - 1)
    return [*mapped.values(), *own]


class EachItsOwn:
    """Sockets for every ICE session."""

    def __init__(
        self,
        numbers: range = range(1),
        public: Sequence[str] = (),
        silences: Counter[str] | None = None,
        *,
        loopback: bool = True,
    ) -> None:
        """``numbers``: ports to choose from; 0 leaves it to the operating system. ``silences``: see ``Patience``."""
        self.public, self.patience, self.loopback = public, Patience(silences), loopback
        self._numbers = numbers
        self._next = random.randrange(len(numbers))

    async def open(
        self, owner: aioice.Connection, deliver: Deliver, hosts: Sequence[str]
    ) -> AsyncIterator[StunProtocol]:
        """See ``Ports``. aioice hands on what is not STUN."""
        loop = asyncio.get_running_loop()
        for host in hosts:
            try:
                opened = await self._bound(host)
            except OSError as error:
                logger.info("no UDP port on %s: %s", host, error.strerror)
                continue
            address = opened.getsockname()[:2]
            transport, protocol = await loop.create_datagram_endpoint(lambda: GuardedProtocol(owner), sock=opened)
            protocol.transport = OwnTransport(transport, opened)
            protocol.local_candidate = host_candidate(*address)
            yield protocol

    async def _bound(self, host: str) -> socket.socket:
        """A socket on the next port of the range that is free there. Errors: OSError where none is."""
        opened = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            opened.setblocking(False)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, UDP_SOCKET_BUFFER_SIZE)
            for tried in range(1, len(self._numbers) + 1):
                number = self._numbers[self._next]
                self._next = (self._next + 1) % len(self._numbers)
                try:
                    opened.bind((host, number))
                except OSError as error:
                    if error.errno != EADDRINUSE or tried == len(self._numbers):
                        raise
                    if tried % TRIES_AT_ONCE == 0:
                        await asyncio.sleep(0)
                else:
                    return opened
            raise AssertionError("the last one is bound or raises")
        except BaseException:
            opened.close()
            raise


ANY: Final = EachItsOwn()
"""Whatever is free, on all addresses that are offered."""


class SharedPort:
    """One port for all, on each address that is offered; one that comes later is taken when it is first offered."""

    def __init__(
        self,
        number: int,
        public: Sequence[str] = (),
        strays: Counter[str] | None = None,
        silences: Counter[str] | None = None,
        *,
        loopback: bool = True,
    ) -> None:
        """``strays``: see ``SharedSocket``. ``silences``: see ``Patience``."""
        self.public, self.patience, self.loopback = public, Patience(silences), loopback
        self._number, self._strays = number, strays
        self._sockets: dict[str, SharedSocket] = {}

    def take(self, hosts: Iterable[str]) -> None:
        """Take the port on those addresses that can be bound to. Errors: PortTaken."""
        for host in hosts:
            with addresses_that_are_gone(host):
                self._shared(host)

    def _shared(self, host: str) -> SharedSocket:
        """The port on an address. Errors: OSError."""
        if host not in self._sockets:
            self._sockets[host] = SharedSocket(taken(host, self._number), self._strays)
        return self._sockets[host]

    async def open(
        self, owner: aioice.Connection, deliver: Deliver, hosts: Sequence[str]
    ) -> AsyncIterator[StunProtocol]:
        """See ``Ports``."""
        for host in hosts:
            try:
                shared = self._shared(host)
                end = End(owner, deliver, shared)
            except (OSError, ValueError) as error:
                logger.info("no session on %s: %s", host, error)
                continue
            end.local_candidate = host_candidate(host, shared.address[1])
            yield end

    def close(self) -> None:
        """Give the port back; all sessions have ended."""
        for shared in self._sockets.values():
            shared.close()


@contextmanager
def addresses_that_are_gone(host: str) -> Iterator[None]:
    """Pass over an address that is on its way out or in: IPv6 takes its time over that."""
    try:
        yield
    except PortTaken:
        raise
    except OSError as error:
        logger.info("no media port on %s: %s", host, error.strerror)


def taken(host: str, number: int) -> socket.socket:
    """The port on one address. Errors: PortTaken, in words for the operator; OSError where it is no address of ours."""
    try:
        return bound(host, number)
    except OSError as error:
        if error.errno == EADDRNOTAVAIL:
            raise
        raise PortTaken(
            f"cannot take UDP port {number} of {host} for media: {error.strerror}\n"
            f"another one: whep-avatar serve --udp-port; 0 gives every session ports of its own"
        ) from error


def check_port(settings: Settings) -> None:
    """Whether a server could take its media port now. Errors: PortTaken, in words for the operator."""
    number = addressing.media_port(settings)
    if number:
        for host in addressing.offered(settings, aioice.ice.get_host_addresses):
            with addresses_that_are_gone(host):
                taken(host, number).close()


@contextmanager
def open_ports(
    settings: Settings, strays: Counter[str] | None = None, silences: Counter[str] | None = None
) -> Iterator[Ports]:
    """The ports of a server, inside ``ice_policy``; what is counted as in ``SharedPort``. Errors: PortTaken."""
    number, loopback = addressing.media_port(settings), addressing.serves_loopback(settings)
    if not number:
        yield EachItsOwn(settings.udp_ports, settings.public_ip, silences, loopback=loopback)
        return
    shared = SharedPort(number, settings.public_ip, strays, silences, loopback=loopback)
    try:
        shared.take(aioice.ice.get_host_addresses(True, True))
        yield shared
    finally:
        shared.close()
