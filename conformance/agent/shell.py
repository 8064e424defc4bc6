"""The sockets and the clock around a connection: the only file of the agent that touches the event loop."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

from conformance.agent.ice_agent import IceAgent
from conformance.agent.media_connection import Connection
from conformance.agent.stun import Address

TICK_S: Final = 0.01


class Shell:
    """Carries a connection's datagrams and tells it the time, from its first socket until ``close``."""

    def __init__(
        self,
        connection: Connection,
        address: str,
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
        """Where sockets are bound: a family's wildcard."""
        self._transports: dict[int, asyncio.DatagramTransport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.fault: Exception | None = None
        """An error of our own, which ``wait_for`` raises."""

    async def open_path(self, ice: IceAgent) -> int:
        """A new socket for an ICE agent. The port it got."""
        path = len(self.connection.paths)
        self.connection.paths[path] = ice
        transport, _ = await self.loop.create_datagram_endpoint(
            lambda: _Socket(self, path), local_addr=(self._address, 0)
        )
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

    def step(self) -> None:
        """Do what is due now, without waiting for the next tick."""
        self._guarded(lambda: self.connection.tick(self.now(), time.time()))

    def flush(self) -> None:
        """Send what the connection has to send."""
        while self.connection.outgoing:
            path, datagram, address = self.connection.outgoing.popleft()
            transport = self._transports.get(path)
            if transport is not None and not transport.is_closing():
                transport.sendto(datagram, address)

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


class _Socket(asyncio.DatagramProtocol):
    """One path's socket."""

    def __init__(self, shell: Shell, path: int) -> None:
        self._shell = shell
        self._path = path

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        host, port = cast("tuple[str, int]", addr[:2])
        self._shell.received(self._path, data, (host.removeprefix("::ffff:"), port))

    def error_received(self, exc: Exception) -> None:
        """An ICMP error: the check that caused it times out like any other."""
