"""Requests that nobody should send, from a seed: nearly right offers and fragments, odd headers, paths and framing."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from tests.strategies import CANDIDATES, GARBAGE, HUGE, fragment_texts, offer_texts

STREAM: Final = "demo"
TYPES: Final = (
    "application/sdp",
    "application/sdp; charset=utf-8",
    "Application/SDP",
    "application/sdpx",
    "text/plain",
    "",
)
FRAGMENT_TYPES: Final = ("application/trickle-ice-sdpfrag", "application/sdp", "application/json", "")
MATCHES: Final = ("*", '"*"', '"stale"', 'W/"x"', "stale", '"a", "b"', '"', "")
TOKENS: Final = ("Bearer undefined", "Bearer", "secret", "Basic OnM=", "Bearer " + "x" * 3000, "\x7f\xff")
PATHS: Final = (
    "/", "//", "/whep", "/whep/", "/whep/nobody", "/whep/demo/%00", "/whep/demo/..%2f..%2fetc", "/whip/demo/a/b/c",
    "/whep/%ff%fe", "/whep/demo/" + "x" * 4096, "/whep/demo?" + "token=" * 100, "/assets/../pyproject.toml",
    "/assets/%2e%2e/%2e%2e/etc/passwd", "/player/%0d%0aX:%20y", "/streams/demo/speech/x", "/publish/nobody",
)  # fmt: skip
METHODS: Final = ("GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT", "TRACE", "SDP", "get")
FRAMING: Final = (
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,  # TLS
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /whep/demo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    b"POST /whep/demo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST /whep/demo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\nab\r\n",
    b"POST /whep/demo HTTP/1.1\r\nHost : x\r\n\r\n",
    b"\r\n\r\n\r\nSDP\r\n\r\n",
    b"\x00" * 64 + b"\r\n\r\n",
)
"""What is not HTTP: an error and the end of the connection, or the end alone."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One request."""

    data: bytes
    method: str = ""
    broken_off: bool = False
    """Whether the connection is to be cut after it: nothing is answered."""
    framed: bool = True
    """Whether it is HTTP, so that an answer must come."""


@dataclass
class Garbage:
    """A source of requests; the same for the same seed and the same sessions."""

    seed: int
    sessions: list[str] = field(default_factory=list)
    """Paths of sessions that were opened by what was sent; whoever reads the answers adds to it."""

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._kinds: list[tuple[Callable[[], Shot], int]] = [
            (self._offer, 36),
            (self._fragment, 22),
            (self._session_request, 15),
            (self._odd_path, 8),
            (self._other_body, 8),
            (self._events, 4),
            (self._broken_off, 5),
            (self._not_http, 2),
        ]

    def shot(self) -> Shot:
        """The next request."""
        kinds, weights = zip(*self._kinds, strict=True)
        return self._random.choices(kinds, weights)[0]()

    def spoiled_offer(self) -> bytes:
        """An offer of a client's, nearly."""
        return self._spoiled(self._random.choice(offer_texts()))

    # --- kinds

    def _offer(self) -> Shot:
        text = self.spoiled_offer()
        protocol = self._random.choice(("whep", "whep", "whip"))
        headers = {"Content-Type": self._mostly(TYPES), "Authorization": self._rarely(TOKENS)}
        return self._request("POST", f"/{protocol}/{STREAM}", text, headers)

    def _fragment(self) -> Shot:
        text = self._spoiled(self._random.choice(fragment_texts()))
        headers = {"Content-Type": self._mostly(FRAGMENT_TYPES), "If-Match": self._rarely(MATCHES)}
        return self._request("PATCH", self._session(), text, headers)

    def _session_request(self) -> Shot:
        headers = {"If-Match": self._rarely(MATCHES), "Origin": self._rarely(("null", "https://a.example", "x" * 500))}
        return self._request(self._random.choice(METHODS), self._session(), b"", headers)

    def _odd_path(self) -> Shot:
        path = self._random.choice(PATHS)
        return self._request(self._random.choice(METHODS), path, self._noise(), {"Content-Type": self._mostly(TYPES)})

    def _other_body(self) -> Shot:
        path = self._random.choice(("/whep/demo", "/whip/demo", "/streams/demo/speech", "/streams"))
        kinds = (*TYPES, "multipart/form-data; boundary=x", "multipart/form-data", "application/json")
        return self._request("POST", path, self._noise(), {"Content-Type": self._random.choice(kinds)})

    def _events(self) -> Shot:
        body = self._random.choice((b"", b"[]", b'["active"]', b'["nope"]', b"{", b"[1]", b'"active"', b"\xff"))
        method = self._random.choice(("POST", "POST", "GET", "OPTIONS", "DELETE"))
        return self._request(method, f"{self._session()}/events", body, {"Content-Type": "application/json"})

    def _broken_off(self) -> Shot:
        whole = self._offer().data
        return Shot(whole[: self._random.randrange(1, len(whole))], broken_off=True)

    def _not_http(self) -> Shot:
        return Shot(self._random.choice(FRAMING), framed=False)

    # --- parts

    def _session(self) -> str:
        if self.sessions and self._random.random() < 0.7:
            return self._random.choice(self.sessions[-20:])
        return f"/{self._random.choice(('whep', 'whip'))}/{STREAM}/{self._random.getrandbits(192):048x}"

    def _mostly(self, values: tuple[str, ...]) -> str | None:
        """The first value in four of five cases."""
        return values[0] if self._random.random() < 0.8 else self._random.choice((*values, None))

    def _rarely(self, values: tuple[str, ...]) -> str | None:
        return self._random.choice(values) if self._random.random() < 0.2 else None

    def _noise(self) -> bytes:
        size = self._random.choice((0, 1, 100, 5000))
        return self._random.choice((self._random.randbytes(size), b"a=x\r\n" * (size // 5), b"v=0\r\n" * (size // 5)))

    def _spoiled(self, text: str) -> bytes:
        """A text with up to four things done to its lines; one in four is left as it is."""
        lines = text.splitlines()
        for _ in range(self._random.choice((0, 1, 2, 4))):
            self._spoil(lines)
        return self._random.choice(("\r\n", "\r\n", "\n")).join([*lines, ""]).encode("utf-8", "surrogateescape")

    def _spoil(self, lines: list[str]) -> None:
        at = self._random.randrange(len(lines))
        match self._random.randrange(7):
            case 0 if len(lines) > 1:
                del lines[at]
            case 1:
                lines.insert(at, self._random.choice(lines))
            case 2:
                lines[at] = lines[at][: self._random.randrange(len(lines[at]) + 1)]
            case 3:
                lines[at] += self._random.choice(GARBAGE)
            case 4:
                words = lines[at].split(" ")
                words[self._random.randrange(len(words))] = self._random.choice(HUGE)
                lines[at] = " ".join(words)
            case 5:
                lines.insert(at, f"a=candidate:{self._random.choice(CANDIDATES)}")
            case _:
                lines[at] = lines[at] * self._random.choice((2, 50))

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str | None]) -> Shot:
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        chunked = self._random.random() < 0.15
        lines.append("Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        framed = method in METHODS[:7] and "\x7f" not in (headers.get("Authorization") or "")
        return Shot(head + (self._chunked(body) if chunked else body), method, framed=framed)

    def _chunked(self, body: bytes) -> bytes:
        step = self._random.choice((1, 7, 1000)) if len(body) < 300 else 1000
        pieces = [body[at : at + step] for at in range(0, len(body), step)]
        return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
