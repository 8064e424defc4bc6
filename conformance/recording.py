"""What went over the wire during a check, for the report: heads and trimmed bodies, with every secret masked."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httpx

BODY_CHARS: Final = 1200
"""Of a body, kept in the report: the head of an answer with its first section."""
MASK: Final = "***"
_SECRET_HEADERS: Final = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_SECRET_PARTS: Final = re.compile(r'(?i)(a=ice-pwd:|credential="?|[?&](?:token|access_token|key)=)[^"\s&;,]+')

Lines = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request and what came back."""

    method: str
    url: str
    request_headers: Lines
    request_body: str
    status: int | None
    """None where no reply came; ``error`` says why."""
    reply_headers: Lines
    reply_body: str
    elapsed_s: float
    error: str | None = None


class Recorder:
    """Collects exchanges; a check's are taken out when it ends."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = [secret for secret in secrets if secret]
        self._exchanges: list[Exchange] = []

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """What was recorded since the last ``take``."""
        return tuple(self._exchanges)

    def take(self) -> tuple[Exchange, ...]:
        """What was recorded since the last call."""
        taken, self._exchanges = self.exchanges, []
        return taken

    def cite(self, exchanges: Iterable[Exchange]) -> None:
        """Count earlier exchanges as this check's, too: it judges a reply that another check asked for."""
        self._exchanges += [exchange for exchange in exchanges if exchange not in self._exchanges]

    def add(
        self, request: httpx.Request, reply: httpx.Response | None, elapsed_s: float, error: str | None = None
    ) -> None:
        """Record one exchange; its request and reply must have been read."""
        self._exchanges.append(
            Exchange(
                method=request.method,
                url=self.mask(str(request.url)),
                request_headers=self._heads(request.headers),
                request_body=self._body(request.content),
                status=reply.status_code if reply is not None else None,
                reply_headers=self._heads(reply.headers) if reply is not None else (),
                reply_body=self._body(reply.content) if reply is not None else "",
                elapsed_s=round(elapsed_s, 3),
                error=error,
            )
        )

    def mask(self, text: str) -> str:
        """The text without tokens, ICE passwords and TURN credentials."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return _SECRET_PARTS.sub(lambda match: match[1] + MASK, text)

    def _heads(self, headers: httpx.Headers) -> Lines:
        return tuple(
            (name, MASK if name.lower() in _SECRET_HEADERS else self.mask(value))
            for name, value in ((raw.decode("latin-1"), text.decode("latin-1")) for raw, text in headers.raw)
        )

    def _body(self, body: bytes) -> str:
        text = self.mask(body.decode("utf-8", "backslashreplace"))
        return text if len(text) <= BODY_CHARS else f"{text[:BODY_CHARS]}… ({len(body)} bytes)"
