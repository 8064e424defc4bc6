"""Request bodies, read in pieces: counted, under a stall timeout, never whole where that can be avoided.

Litestar's own readers hold a whole body in memory and wait for ever; so bodies are read here, from the ASGI messages.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Final

from litestar import Request, WebSocket
from litestar.datastructures import State
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send
from multipart import (  # type: ignore[import-untyped]  # has no py.typed
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from whep_server.errors import BadRequest, TooLarge, TooSlow, UnsupportedType, UploadBroken

HttpRequest = Request[object, object, State]
"""A request as every handler here gets it."""
Socket = WebSocket[object, object, State]
"""A WebSocket likewise."""

LINGER_S: Final = 2.0
LINGER_BYTES: Final = 8 * 1024 * 1024
"""How long, and how much of, an unread body is read and thrown away after an early refusal. Closing at once would make
the kernel reset the connection, and most clients then never see the refusal."""
PIECE_BYTES: Final = 256 * 1024


class Upload:
    """A request's body, to be read once.

    Errors while reading: TooLarge, TooSlow, UploadBroken.
    """

    def __init__(self, request: HttpRequest, *, limit: int, stall_s: float) -> None:
        """``limit`` in bytes; ``stall_s`` is the longest wait for a piece. Errors: TooLarge by Content-Length."""
        self._receive = request.receive
        self._limit = limit
        self._stall_s = stall_s
        self._read = 0
        self.complete = False
        """Whether nothing more of it can come."""
        request.scope["state"]["upload"] = self
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > limit:
            raise TooLarge(f"the body has {announced} bytes, the limit is {limit}")

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, in pieces of at most 256 KiB."""
        while not self.complete:
            try:
                async with asyncio.timeout(self._stall_s):
                    message = await self._receive()
            except TimeoutError:
                raise TooSlow(f"nothing more of the body came for {self._stall_s:g} s") from None
            if message["type"] != "http.request":
                self.complete = True
                raise UploadBroken("the connection ended before the body did")
            body = message["body"]
            self.complete = not message["more_body"]
            self._read += len(body)
            if self._read > self._limit:
                raise TooLarge(f"the body has more than {self._limit} bytes")
            for start in range(0, len(body), PIECE_BYTES):
                yield body[start : start + PIECE_BYTES]

    async def read(self) -> bytes:
        """The whole body."""
        return b"".join([piece async for piece in self.pieces()])

    async def throw_away(self) -> None:
        """Read and forget what is still coming, within bounds."""
        dropped = 0
        try:
            async with asyncio.timeout(LINGER_S):
                while not self.complete and dropped < LINGER_BYTES:
                    message = await self._receive()
                    self.complete = message["type"] != "http.request" or not message["more_body"]
                    dropped += len(message["body"]) if message["type"] == "http.request" else 0
        except TimeoutError:
            return


class EarlyResponse(ASGIResponse):
    """A response sent while the request is still coming: the rest is thrown away before the connection is closed."""

    upload: Upload

    async def send_body(self, send: Send, receive: Receive) -> None:
        """The whole body at once, then linger, then the end."""
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        await self.upload.throw_away()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def read_text(request: HttpRequest, *, limit: int, stall_s: float) -> str:
    """A short text body. Errors: BadRequest where it is not UTF-8."""
    try:
        return (await Upload(request, limit=limit, stall_s=stall_s).read()).decode()
    except UnicodeDecodeError:
        raise BadRequest("the body is not UTF-8") from None


def media_type(content_type: str | None) -> str:
    """The media type alone, lower case: ``application/sdp; charset=utf-8`` is ``application/sdp``."""
    return (content_type or "").partition(";")[0].strip().lower()


def require_type(content_type: str | None, expected: str) -> None:
    """Errors: UnsupportedType where the media type is another one; parameters do not count."""
    if media_type(content_type) != expected:
        raise UnsupportedType(f"the body must be {expected}")


def file_pieces(upload: Upload, content_type: str | None) -> AsyncGenerator[bytes, None]:
    """The bytes of an uploaded file: the body itself, or the one file of a ``multipart/form-data`` body."""
    if media_type(content_type) != "multipart/form-data":
        return upload.pieces()
    return _multipart_file(multipart_events(upload, boundary_of(content_type), 16, "not multipart/form-data"))


def boundary_of(content_type: str | None) -> str:
    """What stands between the parts of a multipart body. Errors: BadRequest without it."""
    boundary = str(parse_options_header(content_type)[1].get("boundary", ""))
    if not boundary:
        raise BadRequest("multipart/form-data without a boundary")
    return boundary


MultipartEvents = AsyncGenerator[MultipartSegment | bytearray | None, None]
"""What a multipart body holds: the head of each part, its bytes in pieces, None where it ends."""


async def multipart_events(upload: Upload, boundary: str, most_parts: int, fault: str) -> MultipartEvents:
    """A multipart body as it arrives. Errors: those of ``upload``; BadRequest, which begins with ``fault``."""
    try:
        with PushMultipartParser(boundary, max_segment_count=most_parts) as parser:
            async for piece in upload.pieces():
                for event in parser.parse(piece) if piece else ():
                    yield event
    except MultipartError as error:
        raise BadRequest(f"{fault}: {error}") from error


async def _multipart_file(events: MultipartEvents) -> AsyncGenerator[bytes, None]:
    """The bytes of the first file part; other fields are passed over. Errors: BadRequest without exactly one file."""
    files = 0
    inside = False
    async with aclosing(events):
        async for event in events:
            if isinstance(event, MultipartSegment):
                inside = event.filename is not None or event.name == "file"
                files += inside
                if files > 1:
                    raise BadRequest("more than one file in the form")
            elif event and inside:
                yield bytes(event)
    if not files:
        raise BadRequest("no file in the form")
