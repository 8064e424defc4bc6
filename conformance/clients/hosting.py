"""One client's visit: the mock is put up with a real media side, and waited by until the client is done."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from conformance import ProtocolName
from conformance.clients.scripts import Script, with_unknown_link
from conformance.clients.witness import Visit, Witness
from conformance.mock.counter_offers import CounterOffers
from conformance.mock.live_side import LiveSides, Times
from conformance.mock.server import MockServer, Setup
from conformance.mock.serving import serving

POLL_S: Final = 0.1
CONSENT: Final = Times(consent_s=2.5, expires_s=30.0)
"""RFC 7675 section 5.1."""


@dataclass(frozen=True, slots=True)
class Stay:
    """How long a client is waited for, in seconds."""

    arrive_s: float = 300.0
    """Until its first request."""
    stay_s: float = 120.0
    """From its first request until it has to be done."""
    quiet_s: float = 10.0
    """Without a request and without media for so long it is taken to have left."""
    after_s: float = 1.0
    """After it ended its session; somebody may still ask for more."""


async def visit_of(
    protocol: ProtocolName, script: Script, token: str | None, stay: Stay, port: int, tell: Callable[[str], None]
) -> Visit:
    """Wait for one client. ``tell`` hears the URL once the mock listens."""
    setup = Setup(protocol, token=token, strict=script.strict)
    async with LiveSides(times=CONSENT) as sides:
        server = MockServer(setup, sides.open)
        handler = CounterOffers(server.handle, sides).handle if script.counters else server.handle
        witness = Witness(with_unknown_link(script.wrap(handler)))
        async with serving(witness.handle, port) as base:
            tell(f"{base}{script.path}")
            await _until_done(witness, sides, stay)
        connected = any(side.connected for side in sides.opened)
        return Visit(protocol, script.name, token, tuple(witness.steps), connected)


async def _until_done(witness: Witness, sides: LiveSides, stay: Stay) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(stay.arrive_s):
            await witness.arrived.wait()
        async with asyncio.timeout(stay.stay_s):
            while True:  # quiet is noticed by looking at the clock: no event tells of it
                if _left(witness, sides, stay):
                    return
                await asyncio.sleep(POLL_S)


def _left(witness: Witness, sides: LiveSides, stay: Stay) -> bool:
    """Whether the client is done: it deleted its session, or neither asks nor plays any more."""
    quiet_s = time.monotonic() - witness.steps[-1].answered_s
    deleted = any(step.request.method == "DELETE" and step.reply.status == 200 for step in witness.steps)
    playing = any(side.connected and not side.ended for side in sides.opened)
    return quiet_s > (stay.after_s if deleted else stay.quiet_s) and (deleted or not playing)
