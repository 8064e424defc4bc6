"""The files that pages need, from the shipped assets: only named folders and types, never a listing.

With entity tags and byte ranges: Safari plays no video from a server without ranges.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from litestar import route
from litestar.params import FromPath
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Send

from whep_server.errors import NoSuchFile
from whep_server.web.bodies import HttpRequest
from whep_server.web.describe import OPERATIONS, Operation, describe
from whep_server.web.exchange import HeaderLines
from whep_server.web.on_air import Config
from whep_server.web.replies import READ

FOLDERS: Final = ("player", "speech", "avatars")
TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".webm": "video/webm",
    ".mp4": "video/mp4",
}
"""What is served at all, and as what: not guessed from the machine's mime database."""
CHUNK_BYTES: Final = 64 * 1024
RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
"""Longer numbers are of no file; Python refuses to read very long ones."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be served."""

    path: Path
    size: int
    etag: str


def find(assets: Path, name: str) -> Found:
    """The file under ``assets`` that a URL names. Errors: NoSuchFile."""
    root = assets.resolve()
    try:
        path = (root / name.lstrip("/")).resolve()
        inside = path.relative_to(root)
        if inside.parts[0] not in FOLDERS or path.suffix not in TYPES or not path.is_file():
            raise NoSuchFile("no such file")
        status = path.stat()
    except (OSError, ValueError, IndexError):  # ValueError: outside the folder, or a NUL in the name
        raise NoSuchFile("no such file") from None
    return Found(path, status.st_size, f'"{status.st_mtime_ns:x}-{status.st_size:x}"')


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one byte range asked for, as (first, end); None to send it all, which is always allowed (RFC 9110 14.2)."""
    match = RANGE.fullmatch(header or "")
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) + 1, size) if first and last else size
    return (start, end) if start < end else None


async def read_chunks(path: Path, start: int, end: int) -> AsyncIterator[bytes]:
    """Part of a file, read in a thread: a disk may take longer than the event loop may wait."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, start)
        left = end - start
        while left > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk
    finally:
        file.close()


class FileResponse(ASGIResponse):
    """A file or part of one."""

    _should_set_content_length = False
    source: tuple[Path, int, int]

    async def send_body(self, send: Send, receive: Receive) -> None:
        """Send it in chunks."""
        async for chunk in read_chunks(*self.source):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def file_response(
    request: HttpRequest, path: Path, size: int, part: tuple[int, int] | None, headers: HeaderLines
) -> FileResponse:
    """A file of ``size`` bytes, or the ``part`` of it that ``parse_range`` found."""
    start, end = part or (0, size)
    lines = [*headers, ("Content-Length", str(end - start))]
    if part:
        lines.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
    response = FileResponse(status_code=206 if part else 200, headers=lines, is_head_response=request.method == "HEAD")
    response.source = (path, start, end)
    return response


@route(
    "/assets/{name:path}",
    http_method=READ,
    status_code=200,
    opt=describe(Operation(OPERATIONS, reply="*/*", others=(206, 304))),
)
async def asset(name: FromPath[str], request: HttpRequest, config: Config) -> ASGIResponse:
    """One file. Errors: 404."""
    found = await asyncio.to_thread(find, config.assets, name)
    lines = [("ETag", found.etag), ("Cache-Control", "no-cache"), ("Accept-Ranges", "bytes")]
    if found.etag in {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}:
        return ASGIResponse(status_code=304, headers=lines)
    part = parse_range(request.headers.get("range"), found.size)
    if request.headers.get("if-range", found.etag) != found.etag:
        part = None
    lines.append(("Content-Type", TYPES[found.path.suffix]))
    return file_response(request, found.path, found.size, part, lines)


ROUTES = [asset]
