"""Making a right server wrong: what changes a request on its way in, or a reply on its way out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from conformance import ProtocolName
from conformance.mock.http import Handler, Lines, Reply, Request

Wrap = Callable[[Handler], Handler]
Asks = Callable[[Request], bool]
Is = Callable[[Request, Reply], bool]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to be wrong, and the check that must notice."""

    check: str
    text: str
    """What it does, in a few words."""
    wrap: Wrap = lambda handler: handler
    protocols: frozenset[ProtocolName] = frozenset({"whip", "whep"})
    """Where it is wrong; narrowed by those of the check."""
    setup: Mapping[str, object] = field(default_factory=dict)
    """Fields of the mock's ``Setup`` to change."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Fields of the tool's ``Options`` to change."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Fields of the tool's ``Limits`` to change."""


def reply_changed(change: Callable[[Request, Reply], Reply], when: Is = lambda request, reply: True) -> Wrap:
    """Change the replies for which ``when`` holds."""

    def wrap(handler: Handler) -> Handler:
        async def handle(request: Request) -> Reply:
            reply = await handler(request)
            return change(request, reply) if when(request, reply) else reply

        return handle

    return wrap


def request_changed(change: Callable[[Request], Request], when: Asks = lambda request: True) -> Wrap:
    """Change the requests for which ``when`` holds before the right server sees them."""

    def wrap(handler: Handler) -> Handler:
        async def handle(request: Request) -> Reply:
            return await handler(change(request) if when(request) else request)

        return handle

    return wrap


def instead(when: Asks, reply: Reply) -> Wrap:
    """Answer some requests without asking the right server."""

    def wrap(handler: Handler) -> Handler:
        async def handle(request: Request) -> Reply:
            return reply if when(request) else await handler(request)

        return handle

    return wrap


def in_turn(*wraps: Wrap) -> Wrap:
    """Several changes at once; the first is the outermost."""

    def wrap(handler: Handler) -> Handler:
        for one in reversed(wraps):
            handler = one(handler)
        return handler

    return wrap


# --- which requests


def posts(text: str = "") -> Asks:
    """Offers that hold a text."""
    return lambda request: request.method == "POST" and text.encode() in request.body


def patches(text: str = "") -> Asks:
    """PATCHes whose body holds a text."""
    return lambda request: request.method == "PATCH" and text.encode() in request.body


def using(method: str) -> Asks:
    """Requests of a method."""
    return lambda request: request.method == method


def both(*asks: Asks) -> Asks:
    """Requests of which all of it holds."""
    return lambda request: all(ask(request) for ask in asks)


def lacking(ask: Asks) -> Asks:
    """Requests of which it does not hold."""
    return lambda request: not ask(request)


def sends(name: str, value: str | None) -> Asks:
    """Requests with a header of this value; None: without the header."""
    return lambda request: request.header(name) == value


def rewritten(old: str, new: str) -> Callable[[Request], Request]:
    """The same with a text in its body replaced."""
    return lambda request: replace(request, body=request.body.replace(old.encode(), new.encode()))


def headed(name: str, value: str | None) -> Callable[[Request], Request]:
    """The same with a header replaced, or without it."""
    return lambda request: replace(request, headers=with_header(request.headers, name, value))


# --- which replies


def at(method: str, status: int | None = None, session: bool | None = None) -> Is:
    """Replies to a method, with a status, at a session (or not)."""
    return lambda request, reply: (
        request.method == method and status in (None, reply.status) and session in (None, at_session(request))
    )


def at_session(request: Request) -> bool:
    """Whether a request goes to a session's own URL."""
    parts = request.path.strip("/").split("/")
    return len(parts) == 3 and parts[1] == "s"


def created(request: Request, reply: Reply) -> bool:
    """Whether this is the 201 of a session."""
    return request.method == "POST" and reply.status == 201 and request.path.strip("/") in ("live", "idle", "moved")


# --- what becomes of them


def status(code: int) -> Callable[[Request, Reply], Reply]:
    """The same with another status."""
    return lambda _, reply: replace(reply, status=code)


def header(name: str, value: str | None) -> Callable[[Request, Reply], Reply]:
    """The same with a header replaced, or without it."""
    return lambda _, reply: replace(reply, headers=with_header(reply.headers, name, value))


def with_header(lines: Lines, name: str, value: str | None) -> Lines:
    """Header lines with one replaced, added or (None) removed."""
    kept = tuple(line for line in lines if line[0].lower() != name.lower())
    return kept if value is None else (*kept, (name, value))


def body(change: Callable[[str], str]) -> Callable[[Request, Reply], Reply]:
    """The same with its text changed."""
    return lambda _, reply: replace(reply, body=change(reply.text).encode())


def answer_with(change: Callable[[str], str]) -> Wrap:
    """Change the answers."""
    return reply_changed(body(change), created)


def answer_without(*beginnings: str) -> Wrap:
    """Leave lines out of the answers."""
    return answer_with(lambda text: _without(text, beginnings))


def _without(text: str, beginnings: tuple[str, ...]) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith(beginnings))
