"""HTTP as the checks use it: polite, bounded in time, recorded, with the bearer token where one is configured.

Redirects are not followed here (whether one came is a question of its own), proxies of the environment are not used.
"""

import asyncio
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

import httpx

from conformance import __version__
from conformance.live_limits import LiveLimits
from conformance.recording import Recorder

USER_AGENT: Final = f"whip-whep-conformance/{__version__}"
BUSY: Final = frozenset({429, 503})
NO_REPLY: Final = (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.WriteTimeout)
"""The server was there and did not answer: its fault, where nobody being there is not."""
LONGEST_WAIT_S: Final = 10.0
"""A server that asks for more patience gets none."""
TRIES: Final = 4


@dataclass(frozen=True, slots=True)
class Limits:
    """Times, in seconds, that checks judge by; tests of the tool make them short."""

    request_s: float = 15.0
    """A request without a reply for so long is given up."""
    slow_reply_s: float = 5.0
    """FFmpeg gives a handshake that long."""
    late_reply_s: float = 8.0
    """OBS gives an HTTP request that long."""
    abandoned_s: float = 60.0
    """How long an abandoned session is watched."""
    poll_s: float = 1.0
    """Between two looks at something that is to change."""
    live: LiveLimits = field(default_factory=LiveLimits)


def retry_after_s(reply: httpx.Response) -> int | None:
    """``Retry-After`` in seconds; None where it is missing or a date."""
    value = reply.headers.get("retry-after", "").strip()
    return int(value) if value.isascii() and value.isdigit() else None


class Wire:
    """An HTTP client that waits between requests, obeys ``Retry-After`` and records what it does."""

    def __init__(
        self,
        *,
        token: str | None = None,
        pause_s: float = 0.0,
        limits: Limits | None = None,
        verify: bool = True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.token = token
        self.limits = limits or Limits()
        self.recorder = Recorder([token] if token else [])
        self.client = httpx.AsyncClient(
            headers={"User-Agent": USER_AGENT},
            timeout=self.limits.request_s,
            verify=verify,
            transport=transport,
            trust_env=False,
        )
        self.refusals: list[httpx.Response] = []
        """Every 4xx so far; some checks judge them all."""
        self._pause_s = pause_s

    async def __aenter__(self) -> Self:
        await self.client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.client.__aexit__(kind, error, trace)

    def twin(self) -> Self:
        """The same client with a record of its own, for requests that are made at the same time."""
        twin = copy(self)
        twin.recorder = Recorder([self.token] if self.token else [])
        return twin

    async def request(
        self,
        method: str,
        url: httpx.URL | str,
        *,
        headers: Mapping[str, str] | None = None,
        content: str | bytes = b"",
        auth: bool = True,
        patient: bool = True,
    ) -> httpx.Response:
        """One request, read to its end. ``patient`` tries again where the server says it is busy and for how long.

        Errors: httpx.TransportError.
        """
        for _ in range(TRIES if patient else 1):
            await asyncio.sleep(self._pause_s)
            reply = await self._send(self._build(method, url, headers or {}, content, auth))
            wait_s = retry_after_s(reply)
            if reply.status_code not in BUSY or wait_s is None or wait_s > LONGEST_WAIT_S or not patient:
                break
            await asyncio.sleep(wait_s)
        return reply

    def _build(
        self, method: str, url: httpx.URL | str, headers: Mapping[str, str], content: str | bytes, auth: bool
    ) -> httpx.Request:
        given = httpx.Headers(headers)
        if auth and self.token and "authorization" not in given:
            given["Authorization"] = f"Bearer {self.token}"
        return self.client.build_request(method, url, headers=given, content=content)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.limits.request_s):
                reply = await self.client.send(request)
        except (TimeoutError, httpx.TransportError) as error:
            what = str(error) or type(error).__name__
            self.recorder.add(request, None, time.monotonic() - began, what)
            if isinstance(error, TimeoutError):
                raise httpx.ReadTimeout(f"no reply in {self.limits.request_s:g} s", request=request) from None
            raise
        self.recorder.add(request, reply, time.monotonic() - began)
        if reply.is_client_error:
            self.refusals.append(reply)
        return reply
