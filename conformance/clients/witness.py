"""What a client did: every request with its reply and time, and what can be read from them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from conformance import ProtocolName
from conformance.canned import SDPFRAG
from conformance.description import Attributes, Description, MalformedDescription, parse, parse_fragment
from conformance.mock.http import Handler, Reply, Request
from conformance.mock.rewriting import at_session

NOTHING: Final = Description(Attributes(()), ())


@dataclass(frozen=True, slots=True)
class Step:
    """One request and its reply."""

    asked_s: float
    """When it came; monotonic."""
    answered_s: float
    request: Request
    reply: Reply

    @property
    def preflight(self) -> bool:
        """Whether a browser asked this, not the client in it."""
        asked = self.request.header("origin") and self.request.header("access-control-request-method")
        return self.request.method == "OPTIONS" and bool(asked)

    @property
    def fragment(self) -> Description:
        """The body as a trickle fragment; empty where it is none."""
        try:
            return parse_fragment(self.request.body.decode())
        except (MalformedDescription, UnicodeDecodeError):
            return NOTHING

    @property
    def says(self) -> str:
        """Method and path, for a report."""
        return f"{self.request.method} {self.request.path}"


class Witness:
    """Stands before a handler and keeps what passes."""

    def __init__(self, handler: Handler, now: Callable[[], float] = time.monotonic) -> None:
        self.steps: list[Step] = []
        self.arrived = asyncio.Event()
        """Set by the first reply."""
        self._handler = handler
        self._now = now

    async def handle(self, request: Request) -> Reply:
        """Pass a request on."""
        asked_s = self._now()
        reply = await self._handler(request)
        self.steps.append(Step(asked_s, self._now(), request, reply))
        self.arrived.set()
        return reply


@dataclass(frozen=True, slots=True)
class Visit:
    """All that one client did."""

    protocol: ProtocolName
    script: str
    token: str | None
    steps: tuple[Step, ...]
    connected: bool = False
    """Whether ICE and DTLS came up."""

    def using(self, *methods: str) -> list[Step]:
        """The requests of some methods; preflights are never counted."""
        return [step for step in self.steps if step.request.method in methods and not step.preflight]

    @property
    def posts(self) -> list[Step]:
        """The offers."""
        return self.using("POST")

    @property
    def created(self) -> Step | None:
        """The first offer that got a session."""
        return next((step for step in self.posts if step.reply.status == 201), None)

    @property
    def trickles(self) -> list[Step]:
        """The PATCHes that are meant as fragments."""
        return [step for step in self.using("PATCH") if step.request.media_type == SDPFRAG]

    @property
    def to_sessions(self) -> list[Step]:
        """What was asked of sessions."""
        return [step for step in self.steps if at_session(step.request) and not step.preflight]

    @property
    def offer(self) -> Description:
        """The first offer; empty where it cannot be read."""
        return next(self.offers(), NOTHING)

    def offers(self) -> Iterator[Description]:
        """The offers that can be read."""
        for step in self.posts:
            try:
                yield parse(step.request.body.decode())
            except (MalformedDescription, UnicodeDecodeError):
                continue
