"""HTTP/1.1 from bare bytes: sends whatever it is given over a kept connection, and reads what comes back.

Ordinary clients refuse to send most of what is tested with this.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

BODILESS = {204, 304}


@dataclass(frozen=True, slots=True)
class Answer:
    """One response."""

    status: int
    headers: dict[str, str]
    """Names in lower case; of several lines of one name the last."""
    body: bytes
    kept: bool
    """Whether another request may be sent over the connection."""


@dataclass(slots=True)
class RawConnection:
    """One TCP connection to a server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        """Write all of it; a server that closes meanwhile is no error: it may have answered."""
        self.writer.write(data)
        with suppress(ConnectionError):
            await self.writer.drain()

    async def answer(self, *, head: bool = False) -> Answer:
        """The next final response; ``head`` says that it answers HEAD and has no body.

        Of an event stream only the headers are read. Errors: ConnectionError where the connection ends before it.
        """
        status = 100
        while status < 200:
            try:
                raw = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError as error:
                raise ConnectionResetError("no answer") from error
            first, *lines = raw.decode("latin-1").split("\r\n")
            status = int(first.split(" ")[1])
        pairs = (line.partition(":") for line in lines if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        stream = headers.get("content-type", "").startswith("text/event-stream")
        body = b"" if head or stream or status in BODILESS else await self._body(headers)
        kept = not stream and headers.get("connection", "").lower() != "close"
        return Answer(status, headers, body, kept)

    async def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding") == "chunked":
            return b"".join([piece async for piece in self._chunks()])
        if "content-length" in headers:
            return await self.reader.readexactly(int(headers["content-length"]))
        return await self.reader.read()

    async def _chunks(self) -> AsyncIterator[bytes]:
        while size := int(await self.reader.readuntil(b"\r\n"), 16):
            yield (await self.reader.readexactly(size + 2))[:-2]
        await self.reader.readuntil(b"\r\n")


@asynccontextmanager
async def connected(host: str, port: int) -> AsyncIterator[RawConnection]:
    """A connection that is closed when the block is left."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        yield RawConnection(reader, writer)
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
