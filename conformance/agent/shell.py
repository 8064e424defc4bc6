"""The sockets and the clock around a connection: the only file of the agent that touches the event loop."""

import asyncio
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

from conformance.agent.ice_agent import IceAgent
from conformance.agent.media_connection import Connection
from conformance.agent.stun import Address

TICK_S: Final = 0.01
MAPPED: Final = "::ffff:"
"""How an IPv6 socket writes an IPv4 address (RFC 4291 section 2.5.5.2)."""


RECEIVE_BYTES: Final = 4 << 20
"""Of a socket's buffer, as far as the system allows: seconds of media, should the machine be busy otherwise."""
UDP_TABLES: Final = (Path("/proc/net/udp"), Path("/proc/net/udp6"))
"""Linux tells here of each socket, by its inode, how many datagrams it dropped."""


class Shell:
    """Carries a connection's datagrams and tells it the time, from its first socket until ``close``."""

    def __init__(
        self,
        connection: Connection,
        address: str | None = None,
        *,
        accepts: Callable[[bytes, Address], bool] = lambda datagram, source: True,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        self.connection = connection
        self._accepts = accepts
        """Whether a datagram is looked at."""
        self._after = after
        """Called after every step of the connection."""
        self.loop = asyncio.get_running_loop()
        self._address = address
        """Where sockets are bound; None for every address of the machine, of both families where it has them."""
        self._transports: dict[int, asyncio.DatagramTransport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.fault: Exception | None = None
        """An error of our own, which ``wait_for`` raises."""

    async def open_path(self, ice: IceAgent) -> int:
        """A new socket for an ICE agent. The port it got."""
        path = len(self.connection.paths)
        self.connection.paths[path] = ice
        endpoint = open_socket(self._address)
        transport, _ = await self.loop.create_datagram_endpoint(lambda: _Socket(self, path), sock=endpoint)
        self._transports[path] = transport
        if self._timer is None:
            self._tick()
        return int(transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Close the sockets and stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
        for transport in self._transports.values():
            transport.close()

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; False where it does not in time."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self.fault is not None:
                        raise self.fault
                    await asyncio.sleep(TICK_S)
                return True
        return condition()

    def now(self) -> float:
        """The clock that all times of the connection are on."""
        return self.loop.time()

    def dropped(self) -> int:
        """Datagrams that the kernel threw away since we were too slow to read them; 0 where it does not say."""
        sockets = [transport.get_extra_info("socket") for transport in self._transports.values()]
        inodes = {str(os.fstat(opened.fileno()).st_ino) for opened in sockets if opened.fileno() >= 0}
        rows = [line.split() for table in UDP_TABLES if table.exists() for line in table.read_text().splitlines()[1:]]
        return sum(int(row[12]) for row in rows if len(row) > 12 and row[9] in inodes)

    def step(self) -> None:
        """Do what is due now, without waiting for the next tick."""
        self._guarded(lambda: self.connection.tick(self.now(), time.time()))

    def flush(self) -> None:
        """Send what the connection has to send."""
        while self.connection.outgoing:
            path, datagram, address = self.connection.outgoing.popleft()
            transport = self._transports.get(path)
            if transport is not None and not transport.is_closing():
                mapped = transport.get_extra_info("socket").family == socket.AF_INET6 and ":" not in address[0]
                transport.sendto(datagram, (f"{MAPPED}{address[0]}", address[1]) if mapped else address)

    def received(self, path: int, datagram: bytes, source: Address) -> None:
        """A datagram came in."""
        if self._accepts(datagram, source):
            self._guarded(lambda: self.connection.receive(path, datagram, source, self.now()))

    def _tick(self) -> None:
        self.step()
        if self.fault is None:
            self._timer = self.loop.call_later(TICK_S, self._tick)

    def _guarded(self, step: Callable[[], None]) -> None:
        """One step of the connection. A callback's error would only be logged; here it reaches who waits."""
        try:
            step()
            self._after()
        except Exception as error:  # noqa: BLE001  # the boundary between the loop's callbacks and the waiting check
            self.fault = error
        self.flush()


def open_socket(address: str | None) -> socket.socket:
    """A UDP socket on an IPv4 address, or on every address: IPv6 with IPv4 mapped into it, where there is IPv6."""
    if address is None and socket.has_dualstack_ipv6():
        opened = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind(("::", 0))
    else:
        opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        opened.bind((address or "0.0.0.0", 0))
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    return opened


class _Socket(asyncio.DatagramProtocol):
    """One path's socket."""

    def __init__(self, shell: Shell, path: int) -> None:
        self._shell = shell
        self._path = path

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        host, port = cast("tuple[str, int]", addr[:2])
        self._shell.received(self._path, data, (host.removeprefix(MAPPED), port))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the check that caused it times out like any other."""
