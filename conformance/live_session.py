"""A session with the tool's own peer in it: what every live check begins with.

The peer's libraries (pyOpenSSL, pylibsrtp) are loaded here and not before: the checks over HTTP run without them.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from conformance.agent.manner import Manner, NotConnected
from conformance.canned import Offer, fragment, without_lines
from conformance.description import Description
from conformance.resource import Session
from conformance.target import Target, Unmet

if TYPE_CHECKING:
    from conformance.agent.agent import Agent

GONE = (404, 410)
"""Statuses of a session that is no more."""


@dataclass(frozen=True, slots=True)
class Live:
    """A session and the peer in it."""

    target: Target
    session: Session
    agent: "Agent"
    answer: Description

    @property
    def kinds(self) -> list[str]:
        """What the answer accepts, of audio and video."""
        return [media.kind for media in self.answer.media]

    @property
    def now(self) -> float:
        """The peer's clock."""
        return self.agent.shell.now()

    async def connect(self) -> float:
        """Take the answer and connect; a publisher then publishes. The seconds that took. Errors: NotConnected."""
        self.agent.take_answer(self.answer, offered_setup=self.session.offer.setup)
        took_s = await self.agent.connect(self.target.wire.limits.live.connect_s)
        if self.target.protocol == "whip":
            self.agent.publish(self.answer)
        return took_s

    async def media(self, timeout_s: float) -> list[str]:
        """Wait for packets of every accepted kind. The kinds that are missing; none where we are the one to send."""
        if self.target.protocol == "whip":
            return []

        def missing() -> list[str]:
            return [kind for kind in self.kinds if self.agent.log.main(kind) is None]

        await self.agent.wait_for(lambda: not missing(), timeout_s)
        return missing()

    async def pause(self, seconds: float) -> None:
        """Let the media run for a while."""
        await self.agent.wait_for(lambda: False, seconds)

    async def gone_after(self, seconds: float) -> float | None:
        """Seconds until the session's URL says that it is no more; None where it does not in time."""
        began = self.now
        while True:
            reply = await self.session.get()
            if reply.status_code in GONE:
                return self.now - began
            if self.now - began >= seconds:
                return None
            await self.pause(self.target.wire.limits.poll_s)


@asynccontextmanager
async def live_agent(target: Target, manner: Manner | None = None) -> AsyncIterator["Agent"]:
    """A peer that can reach the server. Errors: Unmet where its libraries are not installed."""
    try:
        from conformance.agent.agent import open_agent
    except ImportError as error:
        raise Unmet(f"live checks need pyopenssl and pylibsrtp: {error}") from None
    url = target.url
    port = url.port or (443 if url.scheme == "https" else 80)
    async with open_agent(url.host, port, manner or Manner()) as agent:
        yield agent


@asynccontextmanager
async def live_session(
    target: Target,
    *,
    manner: Manner | None = None,
    offer: Offer | None = None,
    candidates: tuple[str, ...] | None = None,
) -> AsyncIterator[Live]:
    """A session that is about to connect: the offer is posted and answered. It is deleted at the end of the block.

    ``candidates`` stand in the offer instead of the peer's own. Errors: Unmet.
    """
    async with live_agent(target, manner) as agent:
        mine = agent.offer(offer or target.offer(), candidates=candidates)
        async with target.session(mine) as session:
            yield Live(target, session, agent, answer_of(session))


@asynccontextmanager
async def playing(target: Target, *, offer: Offer | None = None) -> AsyncIterator[Live]:
    """A session in which media flows. Errors: Unmet where it does not come to that."""
    async with live_session(target, offer=offer) as live:
        try:
            await live.connect()
        except NotConnected as error:
            raise Unmet(f"not connected: {error}") from None
        missing = await live.media(target.wire.limits.live.media_s)
        if missing:
            raise Unmet(f"no {' and no '.join(missing)} arrived")
        yield live


def broken_restart(offer: Offer) -> str:
    """A fragment that asks for an ICE restart with a new ufrag and no password."""
    return without_lines(fragment(offer, identity=offer.identity.restarted()), "a=ice-pwd:")


def answer_of(session: Session) -> Description:
    """Errors: Unmet where there is none that accepts media."""
    answer = session.answer
    if session.reply.status_code != httpx.codes.CREATED or not answer.media:
        raise Unmet(f"no usable answer: {session.reply.status_code}")
    return answer
