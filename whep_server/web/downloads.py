"""Files that are handed out whole; or in parts, without which Safari plays no video."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from litestar.response.base import ASGIResponse

from whep_server.errors import NoSuchFile, RangeUnsatisfiable
from whep_server.settings import Settings
from whep_server.signaling.tokens import Scope
from whep_server.web.auth import is_asked
from whep_server.web.bodies import HttpRequest
from whep_server.web.files import RANGE, file_response, parse_range

MP4: Final = "video/mp4"


def cache_control(settings: Settings) -> str:
    """For what viewers are shown: kept by no cache that is shared where a token is asked for."""
    return f"{'private' if is_asked(settings, Scope.WATCH) else 'public'}, max-age=3600"


def check_range(header: str | None, size: int) -> None:
    """Errors: RangeUnsatisfiable where a range is asked for of which there is nothing."""
    match = RANGE.fullmatch(header or "")
    if match is None or match.group(0) == "bytes=-":
        return  # not ours to understand: all of it is sent (RFC 9110 section 14.2)
    first, last = match.groups()
    if (int(first) if first else size - int(last)) >= size:
        raise RangeUnsatisfiable(f"the file has {size} bytes", size=size)


async def send_file(
    request: HttpRequest, path: Path, headers: Mapping[str, str], media_type: str = MP4
) -> ASGIResponse:
    """A file or the part of it that is asked for. Errors: NoSuchFile, RangeUnsatisfiable."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size
    except OSError:
        raise NoSuchFile("File not found") from None
    asked = request.headers.get("range")
    check_range(asked, size)
    lines = [*headers.items(), ("Content-Type", media_type), ("Accept-Ranges", "bytes")]
    return file_response(request, path, size, parse_range(asked, size), lines)
