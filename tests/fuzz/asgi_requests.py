"""Whole requests through the application: any bytes become a request, and its answer is checked.

The live layer is ``tests/fake_live.py``'s, but reads offers and fragments with the real parsers; no sockets, no aiortc.
The bytes: ``METHOD PATH`` in the first line, ``Name: value`` in the next ones, an empty line, the body. Byte 0x1e cuts
the body into pieces as they would arrive; 0x1f in it means that the connection breaks off there. ``SESSION`` in the
path is a WebRTC session of the original server's kind.
"""

import asyncio
import json
import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, cast
from urllib.parse import unquote

from litestar import Litestar
from litestar.types import HTTPScope, Message

from tests.fake_live import FakeRegistry, FakeSession, FakeStream
from tests.fake_pcm import FakePcmVoice
from tests.invariants import plan_for_player
from tests.offers import peer_answer
from whep_server.app import create_app
from whep_server.compat.lifetimes import CompatSession, Kind
from whep_server.compat.office import Office
from whep_server.compat.origins import is_original
from whep_server.errors import AlreadyPublishing
from whep_server.live.session import Restarted
from whep_server.settings import BargeIn, Settings
from whep_server.signaling.ingest import plan_ingest
from whep_server.signaling.negotiation import Plan, dress_answer
from whep_server.signaling.sdp import parse_offer
from whep_server.signaling.sdpfrag import Credentials, LocalIce, parse_fragment

DEADLINE_S: Final = 10.0
"""An answer takes a millisecond. A body that stops coming is given up after ``STALL_S``."""
STALL_S: Final = 0.05
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE", "OPTIONS", "PUT"})
PIECE: Final = b"\x1e"
BROKEN_OFF: Final = b"\x1f"
KNOWN: Final = Credentials("abcd", "p" * 22)


@dataclass
class ReadSession(FakeSession):
    """A session that reads what it is sent."""

    async def patch(self, body: str) -> Restarted | None:
        fragment = parse_fragment(body.encode())
        remote = fragment.restart_from(KNOWN)
        return None if remote is None else Restarted(LocalIce(remote, ()).to_fragment("audio", "0", ("0",)), self.etag)


@dataclass
class ReadStream(FakeStream):
    """A stream that plans for offers. It always has one session of each kind, whose id is known."""

    def renew(self) -> None:
        """As if nothing had been asked yet."""
        self.sessions = {"session": ReadSession(self, "session")}
        self.publishers = {"session": ReadSession(self, "session")}
        self.spoken.clear()
        self.pcm = FakePcmVoice()
        for listener in self.listeners:
            listener.waiting.put_nowait(None)

    def _answered(self, plan: Plan) -> FakeSession:
        answer = dress_answer(peer_answer(plan), plan, 0x1F)
        return ReadSession(self, "another", answer=answer)

    async def open_viewer(self, offer: str) -> FakeSession:
        return self._answered(plan_for_player(parse_offer(offer)))

    async def open_publisher(self, offer: str, *, interrupts: BargeIn | None = None) -> FakeSession:
        plan = plan_ingest(parse_offer(offer))
        if len(offer) % 2:
            raise AlreadyPublishing("a publisher has this stream")
        return self._answered(plan)


@dataclass(frozen=True)
class Request:
    """One request, as ASGI has it."""

    scope: HTTPScope
    pieces: list[bytes]
    broken_off: bool

    @classmethod
    def read(cls, data: bytes) -> "Request":
        """Any bytes are one."""
        head, _, body = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        method, _, target = first.decode("latin-1").partition(" ")
        path, _, query = target.partition("?")
        headers = [line.partition(b":") for line in lines]
        pieces, broken, _ = body.partition(BROKEN_OFF)
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "scheme": "http",
            "method": method if method in METHODS else "POST",
            "path": unquote("/" + path.lstrip("/")),
            "raw_path": ("/" + path.lstrip("/")).encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": [(name.strip().lower(), value.strip()) for name, colon, value in headers if colon],
            "client": ("127.0.0.1", 4711),
            "server": ("127.0.0.1", 80),
            "state": {},
            "extensions": {},
        }
        return cls(cast(HTTPScope, scope), pieces.split(PIECE), bool(broken))


@dataclass
class Exchange:
    """What was sent back for one request."""

    request: Request
    sent: list[Message] = field(default_factory=list)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._coming = deque(self.request.pieces)

    async def receive(self) -> Message:
        """The next piece of the body; after the last one, nothing until the answer has begun: then a goodbye."""
        if self._coming:
            body = self._coming.popleft()
            more = bool(self._coming) or self.request.broken_off
            return {"type": "http.request", "body": body, "more_body": more}
        if not self.request.broken_off:
            await self.answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)
        self.answered.set()

    def check(self) -> None:
        """Errors: AssertionError where this is no answer that a peer may get."""
        start, *rest = self.sent
        assert start["type"] == "http.response.start" and rest and all(m["type"] == "http.response.body" for m in rest)
        status, headers = start["status"], {name.decode().lower(): value.decode() for name, value in start["headers"]}
        body = b"".join(message.get("body", b"") for message in rest)
        original = is_original(self.request.scope["path"])
        assert status < 500 or (status == 503 and int(headers["retry-after"]) > 0) or original, status
        self.check_origin(headers)
        assert all("\n" not in value and "\r" not in value for value in headers.values())
        assert status != 406 and not 300 <= status < 400
        if status == 201 and headers.get("content-type") == "application/sdp":
            assert headers["location"].startswith("/") and headers["etag"] and body.startswith(b"v=0\r\n")
        if status == 405:
            assert headers["allow"]
        if status >= 400 and self.request.scope["method"] != "HEAD":
            problem = json.loads(body)
            assert problem.keys() == {"detail"} if original else problem["status"] == status
            assert original or problem["error"] == problem["detail"]
            assert b"v=0\\r\\n" not in body

    def check_origin(self, headers: Mapping[str, str]) -> None:
        """Everybody may ask, nobody with credentials; nothing is taken for what it is not."""
        assert headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-credentials" not in headers
        assert headers["x-content-type-options"] == "nosniff"


class Faults(logging.Handler):
    """The exceptions that were answered with 500."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        if record.exc_info and record.exc_info[1]:
            self.seen.append(record.exc_info[1])


async def exchange(app: Litestar, request: Request, faults: Faults) -> None:
    """Send one request; check its answer. Errors: what went wrong inside; AssertionError; TimeoutError if it hangs."""
    faults.seen.clear()
    sent = Exchange(request)
    async with asyncio.timeout(DEADLINE_S):
        await app(request.scope, sent.receive, sent.send)
    if faults.seen:
        raise faults.seen[0]
    sent.check()


@dataclass
class Running:
    """The application's life, in one task of a loop that runs only now and then."""

    app: Litestar
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None

    async def _live(self) -> None:
        async with self.app.lifespan():
            self.begun.set()
            await self.over.wait()

    async def begin(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self._live())
        await self.begun.wait()

    async def end(self) -> None:
        assert self.task is not None
        self.over.set()
        await self.task


@dataclass
class Original:
    """One WebRTC session of the original server's kind, made again when it was deleted."""

    office: Office
    registry: FakeRegistry
    session: CompatSession | None = None

    async def renew(self) -> CompatSession:
        """As if nothing had been asked of it yet."""
        if self.session is None or self.session not in self.office.sessions.all(Kind.WEBRTC):
            config: dict[str, int | float] = {"fps": 10, "playback_fps": 10, "batch_size": 2, "chunk_duration": 2}
            self.session = await self.office.sessions.create(Kind.WEBRTC, "nova", None, config, fps=10)
            self.session.stream = ReadStream(self.session.id, listed=False)
        self.session.stream.renew()
        await asyncio.sleep(0)  # what was said is over
        return self.session


@contextmanager
def sending() -> Iterator[Callable[[bytes], None]]:
    """A function that sends a request, made of any bytes, to a running application."""
    registry = FakeRegistry()
    stream = ReadStream("demo")
    loggers = [logging.getLogger(name) for name in ("whep_server.web.problems", "whep_server.compat.dialect")]
    faults = Faults()

    with asyncio.Runner() as runner, TemporaryDirectory() as cache:
        settings = Settings(
            upload_stall_s=STALL_S,
            max_sdp_bytes=4096,
            max_upload_bytes=4096,
            offers_per_s=0,
            requests_per_s=0,
            cache=Path(cache),
            tts_url="http://127.0.0.1:9/v1",  # where nobody listens: no process is to be started for each text
        )
        running = Running(create_app(settings, registry.open))

        def send(data: bytes) -> None:
            stream.renew()
            session = runner.run(original.renew())
            registry.by_name = {"demo": stream, session.id: session.stream}
            path, end, rest = data.partition(b"\n")
            runner.run(
                exchange(running.app, Request.read(path.replace(b"SESSION", session.id.encode()) + end + rest), faults)
            )

        runner.run(running.begin())
        original = Original(running.app.dependencies["compat"].dependency(), registry)
        for logger in loggers:
            logger.addHandler(faults)
        try:
            yield send
        finally:
            for logger in loggers:
                logger.removeHandler(faults)
            runner.run(running.end())
