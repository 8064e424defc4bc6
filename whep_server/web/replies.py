"""Replies that several routes make."""

from typing import Final

import msgspec
from litestar import HttpMethod
from litestar.response.base import ASGIResponse

from whep_server.web.bodies import HttpRequest
from whep_server.web.exchange import HeaderLines

READ: Final = [HttpMethod.GET, HttpMethod.HEAD]
"""What can be read can be looked at (RFC 9110 section 9.3.2)."""


def reply(
    request: HttpRequest, body: bytes, media_type: str, status: int = 200, headers: HeaderLines | None = None
) -> ASGIResponse:
    """A reply with content; for HEAD the same headers without it."""
    head = request.method == "HEAD"
    lines = [*(headers or []), ("Content-Type", media_type), ("Content-Length", str(len(body)))]
    return ASGIResponse(body=b"" if head else body, status_code=status, headers=lines, is_head_response=head)


def json_reply(
    request: HttpRequest, content: object, status: int = 200, headers: HeaderLines | None = None
) -> ASGIResponse:
    """A reply of JSON; never cached, as it tells what is so now."""
    lines = [*(headers or []), ("Cache-Control", "no-store")]
    return reply(request, msgspec.json.encode(content), "application/json", status, lines)
