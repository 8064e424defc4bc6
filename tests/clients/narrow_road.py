"""A way of limited rate from the server to one viewer, on loopback: a relay with a queue between the two.

The viewer offers no candidates and is answered with the relay's, so that nothing goes past it.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

Address = tuple[str, int]
HEADERS_BYTES = 28
"""IP and UDP."""
CANDIDATE = re.compile(r"a=candidate:\S+ \d+ \S+ \d+ (\S+) (\d+) ")


class _End(asyncio.DatagramProtocol):
    """One socket of the relay."""

    def __init__(self) -> None:
        self.transport: asyncio.DatagramTransport
        self.peer: Address | None = None
        """Where it last heard from, or is told to send to."""
        self.other: _End

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def send(self, data: bytes) -> None:
        if self.peer is not None and not self.transport.is_closing():
            self.transport.sendto(data, self.peer)


class _ToServer(_End):
    """Hears the viewer; what it hears goes on at once."""

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.peer = addr
        self.other.send(data)


class _ToViewer(_End):
    """Hears the server; what it hears goes on as fast as the road allows."""

    def __init__(self, road: "NarrowRoad") -> None:
        super().__init__()
        self.road = road

    def datagram_received(self, data: bytes, addr: Address) -> None:
        loop = asyncio.get_running_loop()
        leaves_s = self.road.leaves_s(len(data) + HEADERS_BYTES, loop.time())
        if leaves_s is not None:
            loop.call_at(leaves_s, self.other.send, data)


@dataclass
class NarrowRoad:
    """Made by ``narrow_road``."""

    rate_bps: float | None
    """None: no limit. May be changed on the way."""
    queue_s: float = 0.5
    """What would wait longer is dropped."""
    dropped: int = 0
    _free_s: float = 0.0
    _near: _ToServer = field(default_factory=_ToServer)

    def __post_init__(self) -> None:
        self._far = _ToViewer(self)
        self._near.other, self._far.other = self._far, self._near

    def leaves_s(self, size: int, now_s: float) -> float | None:
        """When a packet of that size has passed; None where it is dropped."""
        begins_s = max(self._free_s, now_s)
        if self.rate_bps is not None and begins_s - now_s > self.queue_s:
            self.dropped += 1
            return None
        self._free_s = begins_s + (8 * size / self.rate_bps if self.rate_bps is not None else 0.0)
        return self._free_s

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        for end in (self._near, self._far):
            await loop.create_datagram_endpoint(lambda end=end: end, local_addr=("127.0.0.1", 0))  # type: ignore[misc]

    def close(self) -> None:
        self._near.transport.close()
        self._far.transport.close()

    def offer(self, sdp: str) -> str:
        """The viewer's offer without its addresses."""
        lines = sdp.splitlines(keepends=True)
        return "".join(line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates")))

    def answer(self, sdp: str) -> str:
        """The server's answer with the relay's address in place of its own."""
        found = CANDIDATE.search(sdp)
        assert found is not None
        self._far.peer = found[1], int(found[2])
        host, port = self._near.transport.get_extra_info("sockname")
        return CANDIDATE.sub(lambda each: each[0].replace(f"{each[1]} {each[2]} ", f"{host} {port} "), sdp)


@asynccontextmanager
async def narrow_road(rate_bps: float | None, queue_s: float = 0.5) -> AsyncIterator[NarrowRoad]:
    """A road to one viewer."""
    road = NarrowRoad(rate_bps, queue_s)
    await road.open()
    try:
        yield road
    finally:
        road.close()
