"""How the mock behaves towards the client that it judges: right, or wrong in one way that clients have to cope with."""

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from conformance.mock.http import Handler, Reply, Request
from conformance.mock.mutants_offers import path_relative
from conformance.mock.rewriting import Wrap, created, reply_changed

LATE_S: Final = 2.0
RETRY_S: Final = 2
UNKNOWN_PATH: Final = "/unknown"
UNKNOWN: Final = f'<{UNKNOWN_PATH}>; rel="urn:example:unknown"; level="7"'
"""A Link that no client knows; every 201 has it."""


@dataclass(frozen=True, slots=True)
class Script:
    """One way to behave."""

    name: str
    text: str
    wrap: Wrap = lambda handler: handler
    path: str = "/live"
    """Where the client is sent."""
    strict: bool = False
    """428 without If-Match, 401 without the token on session requests."""
    counters: bool = False
    """Every offer is answered by another (WHEP only)."""
    whep_only: bool = False


def first_post(reply: Reply) -> Wrap:
    """Answer the first offer so, and serve the later ones."""

    def wrap(handler: Handler) -> Handler:
        left = [reply]

        async def handle(request: Request) -> Reply:
            return left.pop() if request.method == "POST" and left else await handler(request)

        return handle

    return wrap


def late(handler: Handler) -> Handler:
    """Keep every offer waiting."""

    async def handle(request: Request) -> Reply:
        if request.method == "POST":
            await asyncio.sleep(LATE_S)
        return await handler(request)

    return handle


def with_unknown_link(handler: Handler) -> Handler:
    """Every 201 has a Link of an unknown relation."""
    add = reply_changed(lambda _, reply: replace(reply, headers=(*reply.headers, ("Link", UNKNOWN))), created)
    return add(handler)


CORS: Final = (("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", "Retry-After"))
SCRIPTS: Final = (
    Script("plain", "everything as it should be, and a Link that nobody knows"),
    Script("strict", "to the letter: 428 without If-Match, 401 without the token", strict=True),
    Script("late", f"the 201 comes after {LATE_S:g} s: candidates have to wait", late),
    Script("relative", "Location is relative to the endpoint's path", reply_changed(path_relative, created)),
    Script("redirect", "the endpoint answers 307", path="/moved"),
    Script("odd-status", "the first offer gets 499, which nobody knows", first_post(Reply(499, CORS))),
    Script(
        "busy",
        f"the first offer gets 409 with Retry-After: {RETRY_S}",
        first_post(Reply(409, (*CORS, ("Retry-After", str(RETRY_S))))),
        whep_only=True,
    ),
    Script("plain-406", "the first offer gets 406 without SDP", first_post(Reply(406, CORS)), whep_only=True),
    Script("counter-offer", "every offer gets 406 with an offer", counters=True, whep_only=True),
)
BY_NAME: Final = {script.name: script for script in SCRIPTS}
