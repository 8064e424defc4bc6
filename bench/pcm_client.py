"""Who makes speech while it is spoken: a client of ``WS /streams/{stream}/pcm`` that notes when it sent and heard what.

Samples leave in real time, piece by piece, as they would from a synthesiser that is just quick enough; or all at once,
as far as the server gives credit. What the server tells is kept with its time.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.processes import BenchFailed

SUBPROTOCOL: Final = "whep-avatar.pcm.v1"
PIECE_S: Final = 0.02
BURST_BYTES: Final = 16 * 1024
ANSWER_S: Final = 60.0
OVER: Final = frozenset({"finished", "interrupted", "failed", "cancelled"})
"""The last event of an utterance."""


@dataclass(frozen=True, slots=True)
class Told:
    """One event. Units: seconds on the monotonic clock, when it was read."""

    at_s: float
    kind: str
    data: dict[str, object]

    @property
    def utterance(self) -> str:
        """The one it speaks of."""
        return str(self.data.get("utterance", ""))


@dataclass(slots=True)
class PcmClient:
    """A connection. One utterance at a time."""

    socket: ClientConnection
    told: list[Told] = field(default_factory=list)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _credit: int | None = None
    """Bytes that may still be sent; None: nobody has said."""
    _sent: int = 0
    """Bytes of this utterance."""
    _seen: int = 0
    """Events before this utterance."""
    _closed: bool = False

    async def listen(self) -> None:
        """A task: keep what is told, until the end."""
        try:
            async for message in self.socket:
                data = msgspec.json.decode(message, type=dict[str, object])
                async with self._news:
                    self.told.append(Told(time.monotonic(), str(data["type"]), data))
                    if data["type"] == "begun":
                        self._credit = int(str(data["credit"])) - self._sent
                    elif data["type"] == "credit" and self._credit is not None:
                        self._credit += int(str(data["bytes"]))
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        finally:
            self._closed = True
            async with self._news:
                self._news.notify_all()

    async def begin(self, sample_rate: int) -> None:
        """Open an utterance of one channel."""
        self._seen, self._credit, self._sent = len(self.told), None, 0
        await self._say({"type": "begin", "sample_rate": sample_rate, "channels": 1})

    async def send(self, pcm: bytes, sample_rate: int, *, real_time: bool) -> float:
        """Send samples of 16 bit; when the first of them left (monotonic clock).

        Errors: BenchFailed where the server takes no more.
        """
        size = int(sample_rate * PIECE_S) * 2 if real_time else BURST_BYTES
        first_s = time.monotonic()
        for number, start in enumerate(range(0, len(pcm), size)):
            if real_time:
                await asyncio.sleep(max(0.0, first_s + number * PIECE_S - time.monotonic()))
            piece = pcm[start : start + size]
            await self._until_credit(len(piece))
            if self.is_over():
                break
            await self.socket.send(piece)
        return first_s

    async def commit(self) -> None:
        """It is whole."""
        await self._say({"type": "commit"})

    async def cancel(self) -> float:
        """Fall silent; when that was asked for."""
        asked_s = time.monotonic()
        await self._say({"type": "cancel"})
        return asked_s

    def is_over(self) -> bool:
        """Whether the utterance has had its last event."""
        return any(each.kind in OVER for each in self.told[self._seen :])

    async def until(self, *kinds: str) -> Told:
        """The first event of one of these kinds since the utterance began. Errors: BenchFailed."""
        found: list[Told] = []

        def ready() -> bool:
            found[:] = [each for each in self.told[self._seen :] if each.kind in kinds]
            return bool(found) or self._closed

        await self._wait(ready, f"an event of {', '.join(kinds)}")
        if not found:
            raise BenchFailed(f"the connection ended before {', '.join(kinds)}; told were {self.told[self._seen :]}")
        return found[0]

    async def _until_credit(self, size: int) -> None:
        def ready() -> bool:
            return self._credit is None or self._credit >= size or self.is_over() or self._closed

        await self._wait(ready, f"credit for {size} bytes")
        if self._closed:
            raise BenchFailed(f"the connection ended; told were {self.told[self._seen :]}")
        self._sent += size
        if self._credit is not None:
            self._credit -= size

    async def _wait(self, ready: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(ANSWER_S), self._news:
                await self._news.wait_for(ready)
        except TimeoutError:
            raise BenchFailed(f"waited in vain for {what}; told were {self.told[self._seen :]}") from None

    async def _say(self, message: dict[str, object]) -> None:
        await self.socket.send(msgspec.json.encode(message).decode())


@asynccontextmanager
async def pcm_client(base: str, stream: str) -> AsyncIterator[PcmClient]:
    """A connection that is open; leaving closes it. Errors: BenchFailed, OSError."""
    address = f"ws{base.removeprefix('http')}/streams/{stream}/pcm"
    async with (
        connect(address, proxy=None, compression=None, subprotocols=[SUBPROTOCOL], max_size=None) as socket,  # type: ignore[list-item]  # a NewType of str
        asyncio.TaskGroup() as group,
    ):
        client = PcmClient(socket)
        listening = group.create_task(client.listen())
        try:
            yield client
        finally:
            await socket.close()
            listening.cancel()
