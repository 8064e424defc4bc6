"""The mock's signalling: WHIP or WHEP to the letter, or as leniently as most servers are.

Paths: ``/live`` is the endpoint, ``/idle`` a stream without a publisher, ``/moved`` redirects to ``/live``. A session
is ``/live/s/{id}``; WHEP sessions have ``…/events`` (server-sent events) and ``…/layer`` below it.
"""

import json
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from conformance import ProtocolName
from conformance.canned import SDP, SDPFRAG
from conformance.description import Description, MalformedDescription, parse, parse_fragment
from conformance.mock import answers
from conformance.mock.http import Lines, Reply, Request
from conformance.mock.media import MediaSide, Opener, canned_side
from conformance.mock.mock_events import EventStreams, events_reply

MAX_BODY: Final = 128 * 1024
FRAGMENT_LINES: Final = ("a=candidate:", "a=end-of-candidates", "a=ice-ufrag:", "a=ice-pwd:", "m=", "a=mid:")
CORS: Final[Lines] = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Expose-Headers", "Location, ETag, Link, Accept-Patch, Accept-Post, Retry-After, WWW-Authenticate"),
    ("Server", "mock"),
)
PREFLIGHT: Final[Lines] = (
    ("Access-Control-Allow-Methods", "POST, PATCH, DELETE, OPTIONS, GET, HEAD"),
    ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, ETag, Accept"),
)
ICE_SERVERS: Final = (
    '<stun:stun.example.org>; rel="ice-server"',
    '<turn:turn.example.org?transport=udp>; rel="ice-server"; username="u"; credential="c"; credential-type="password"',
)
EXTENSION: Final = "urn:ietf:params:whep:ext:core:"


@dataclass(frozen=True, slots=True)
class Setup:
    """How the mock is configured."""

    protocol: ProtocolName
    token: str | None = None
    strict: bool = False
    """428 without If-Match, and a token on session requests too."""
    abandoned_s: float = 30.0
    """A session that has not connected by then ends. Judged when it is asked for; live sides end by themselves."""
    most_sessions: int = 10
    """At once; more are refused with 503."""


@dataclass(slots=True)
class MockSession:
    """One session."""

    id: str
    offer: Description
    side: MediaSide
    began: float
    etag: str = field(default_factory=lambda: f'"{secrets.token_urlsafe(12)}"')
    remote: tuple[str | None, str | None] = (None, None)
    """The peer's ufrag and pwd."""
    events: EventStreams = field(default_factory=EventStreams)


class Problem(Exception):
    """An error reply."""

    def __init__(self, status: int, detail: str, headers: Lines = ()) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, headers


class MockServer:
    """A whole server. ``handle`` is what mutants wrap."""

    def __init__(self, setup: Setup, opener: Opener = canned_side) -> None:
        self.setup = setup
        self.sessions: dict[str, MockSession] = {}
        self._hung_up: deque[str] = deque(maxlen=100)
        """Sessions whose peers closed their connection; a page that is left does so, and its DELETE may come after."""
        self._opener = opener

    async def handle(self, request: Request) -> Reply:
        """Answer one request; CORS headers are on every reply."""
        try:
            reply = await self._route(request)
        except Problem as problem:
            reply = problem_reply(problem)
        except answers.Refused as refused:
            reply = problem_reply(Problem(refused.status, refused.detail))
        return Reply(reply.status, (*reply.headers, *CORS), reply.body, reply.stream)

    async def close(self, session: MockSession) -> None:
        """End a session and everything below it."""
        self.sessions.pop(session.id, None)
        session.events.end()
        await session.side.close()

    async def _route(self, request: Request) -> Reply:
        parts = request.path.strip("/").split("/")
        match parts:
            case ["live"] | ["idle"] | ["moved"]:
                return await self._endpoint(request, parts[0])
            case ["live", "s", name]:
                return await self._session(request, name)
            case ["live", "s", name, "layer"] if self.setup.protocol == "whep":
                return await self._layer(request, name)
            case ["live", "s", name, "events", *rest] if self.setup.protocol == "whep" and len(rest) <= 1:
                if request.method == "OPTIONS":
                    return options(request, "POST, GET, DELETE, OPTIONS")
                return events_reply(request, self._find(name).events, rest[0] if rest else None)
        raise Problem(404, "nothing here")

    # --- endpoint

    async def _endpoint(self, request: Request, stream: str) -> Reply:
        match request.method:
            case "OPTIONS":
                return options(request, "POST, OPTIONS, GET, HEAD", ("Accept-Post", SDP))
            case "GET" | "HEAD":
                return Reply(200, (("Content-Type", SDP),))
            case "POST":
                self._authorize(request)
                if stream == "moved":
                    return Reply(307, (("Location", "/live"),))
                if stream == "idle" and self.setup.protocol == "whep":
                    raise Problem(409, "nobody publishes", (("Retry-After", "2"),))
                return await self._create(request)
        raise Problem(405, "no such method here", (("Allow", "POST, OPTIONS, GET, HEAD"),))

    async def _create(self, request: Request) -> Reply:
        offer = read_offer(request)
        self.expire()
        if len(self.sessions) >= self.setup.most_sessions:
            raise Problem(503, "too many sessions", (("Retry-After", "1"),))
        answers.choose(offer, self.setup.protocol)
        session = MockSession(secrets.token_urlsafe(18), offer, await self._opener(offer, self.setup.protocol), now())
        try:
            body = answers.answer(offer, self.setup.protocol, session.side)
        except answers.Refused:
            await session.side.close()
            raise
        session.remote = (offer.transport("ice-ufrag"), offer.transport("ice-pwd"))
        self.sessions[session.id] = session
        return Reply(201, self._created_headers(session), body.encode())

    def _created_headers(self, session: MockSession) -> Lines:
        path = f"/live/s/{session.id}"
        links = list(ICE_SERVERS)
        if self.setup.protocol == "whep":
            kinds = "active,inactive,layers"
            links += [f'<{path}/events>; rel="{EXTENSION}server-sent-events"; events="{kinds}"']
            links += [f'<{path}/layer>; rel="{EXTENSION}layer"']
        return (
            ("Content-Type", SDP),
            ("Location", path),
            ("ETag", session.etag),
            ("Accept-Patch", SDPFRAG),
            *(("Link", link) for link in links),
        )

    # --- session

    async def _session(self, request: Request, name: str) -> Reply:
        if request.method == "OPTIONS":
            return options(request, "PATCH, DELETE, OPTIONS, GET, HEAD")
        actions: dict[str, Callable[[Request, MockSession], Awaitable[Reply]]] = {
            "GET": self._show,
            "HEAD": self._show,
            "PATCH": self._patch,
            "DELETE": self._delete,
        }
        action = actions.get(request.method)
        if action is None:
            raise Problem(405, "no such method here", (("Allow", "PATCH, DELETE, OPTIONS, GET, HEAD"),))
        self.expire()
        if request.method == "DELETE" and name in self._hung_up:
            self._hung_up.remove(name)
            return Reply(200)
        session = self._find(name)
        if self.setup.strict or request.header("authorization") is not None:
            self._authorize(request)
        return await action(request, session)

    async def _show(self, request: Request, session: MockSession) -> Reply:
        return Reply(200, (("Content-Type", SDP),))

    async def _delete(self, request: Request, session: MockSession) -> Reply:
        await self.close(session)
        return Reply(200)

    async def _patch(self, request: Request, session: MockSession) -> Reply:
        if request.media_type == SDP:
            raise Problem(422, "no answer is awaited")
        if request.media_type != SDPFRAG:
            raise Problem(415, f"a fragment is {SDPFRAG}", (("Accept-Patch", SDPFRAG),))
        fragment = read_fragment(request)
        remote = (fragment.transport("ice-ufrag"), fragment.transport("ice-pwd"))
        restart = remote != (None, None) and remote != session.remote
        check_if_match(request.header("if-match"), session.etag, self.setup.strict)
        if restart and None in remote:
            raise Problem(400, "a restart needs ufrag and pwd")
        if not restart:
            await session.side.trickle(fragment)
            return Reply(204)
        await session.side.restart(fragment)
        session.remote = remote
        session.etag = f'"{secrets.token_urlsafe(12)}"'
        body = answers.restart_fragment(session.offer, session.side).encode()
        return Reply(200, (("Content-Type", SDPFRAG), ("ETag", session.etag)), body)

    async def _layer(self, request: Request, name: str) -> Reply:
        if request.method == "OPTIONS":
            return options(request, "POST, DELETE, OPTIONS")
        self._find(name)
        if request.method not in ("POST", "DELETE"):
            raise Problem(405, "no such method here", (("Allow", "POST, DELETE, OPTIONS"),))
        try:
            wanted = json.loads(request.body or b"{}")
        except ValueError:
            raise Problem(400, "not JSON") from None
        if not isinstance(wanted, dict):
            raise Problem(400, "not a JSON object")
        return Reply(200)

    # --- shared

    def _find(self, name: str) -> MockSession:
        self.expire()
        if name not in self.sessions:
            raise Problem(404, "no such session")
        return self.sessions[name]

    def expire(self) -> None:
        """Forget sessions that never connected, or whose media side has ended."""
        for session in list(self.sessions.values()):
            abandoned = not session.side.connected and now() - session.began > self.setup.abandoned_s
            if abandoned or session.side.ended:
                session.events.end()
                del self.sessions[session.id]
                if not abandoned:
                    self._hung_up.append(session.id)

    def _authorize(self, request: Request) -> None:
        if self.setup.token is None:
            return
        scheme, _, token = (request.header("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not secrets.compare_digest(token.strip().encode(), self.setup.token.encode()):
            raise Problem(401, "a bearer token is needed", (("WWW-Authenticate", "Bearer"),))


def now() -> float:
    """Monotonic seconds."""
    return time.monotonic()


def problem_reply(problem: Problem) -> Reply:
    """RFC 9457."""
    body = json.dumps({"type": "about:blank", "title": "refused", "status": problem.status, "detail": problem.detail})
    return Reply(problem.status, (("Content-Type", "application/problem+json"), *problem.headers), body.encode())


def options(request: Request, methods: str, *further: tuple[str, str]) -> Reply:
    """The answer to OPTIONS: a preflight gets no Link (RFC 9725 section 4.6)."""
    preflight = request.header("origin") and request.header("access-control-request-method")
    links = () if preflight else tuple(("Link", link) for link in ICE_SERVERS)
    return Reply(204, (("Allow", methods), *further, *PREFLIGHT, *links))


def read_text(request: Request) -> str:
    """Errors: Problem."""
    if len(request.body) > MAX_BODY:
        raise Problem(413, "too long")
    try:
        text = request.body.decode()
    except UnicodeDecodeError:
        raise Problem(400, "not UTF-8") from None
    if "\0" in text:
        raise Problem(400, "a NUL")
    return text


def read_offer(request: Request) -> Description:
    """Errors: Problem."""
    if request.media_type != SDP:
        raise Problem(415, f"an offer is {SDP}", (("Accept-Post", SDP),))
    text = read_text(request)
    try:
        offer = parse(text)
    except MalformedDescription as error:
        raise Problem(400, f"malformed: {error}") from None
    if not text.endswith("\n") or not offer.sections:
        raise Problem(400, "malformed: cut off")
    return offer


def read_fragment(request: Request) -> Description:
    """Errors: Problem."""
    text = read_text(request)
    if not any(line.startswith(FRAGMENT_LINES) for line in text.splitlines()):
        raise Problem(400, "malformed: no line of a fragment")
    try:
        return parse_fragment(text)
    except MalformedDescription as error:
        raise Problem(400, f"malformed: {error}") from None


def check_if_match(value: str | None, etag: str, strict: bool) -> None:
    """Errors: Problem."""
    if value is None:
        if strict:
            raise Problem(428, "If-Match is needed")
    elif value.strip() not in ("*", '"*"', etag):
        raise Problem(412, "If-Match names another ICE session")
