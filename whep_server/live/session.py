"""One session of a player or publisher: its peer connection and its life from the answer to the end."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from whep_server.errors import NoSuchSession
from whep_server.live.session_events import SessionEvents
from whep_server.metrics.facts import SessionStats
from whep_server.rtc.peer import Peer
from whep_server.signaling.headers import new_etag, new_session_id
from whep_server.signaling.negotiation import Plan
from whep_server.signaling.sdpfrag import Credentials, Fragment, parse_fragment
from whep_server.signaling.state import Input, State, step

logger = logging.getLogger(__name__)

MAX_CANDIDATES: Final = 50
"""Of one ICE session; further ones are ignored."""
DEPARTED: Final = 64
"""How many sessions that ended by themselves are remembered for the DELETE that may follow."""
FORMER: Final = 16
"""How many past ICE sessions are remembered, lest a late candidate of one be taken for a restart."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The answer to an ICE restart."""

    fragment: str
    etag: str


class Ending(StrEnum):
    """How a session ended."""

    DELETED = "deleted"
    LOST = "lost"
    """The peer said goodbye, or is not heard of any more."""
    EXPIRED = "expired"
    """It never connected."""
    OFF_AIR = "off air"
    FAILED = "failed"


class Session:
    """A session, from its answer on. ``run`` is its life; ``close`` ends it and waits for that."""

    def __init__(self, peer: Peer, plan: Plan, answer: str) -> None:
        self.id = new_session_id()
        """A capability: whoever knows it may end the session. Never logged."""
        self.etag = new_etag()
        self.answer = answer
        self.state = State.ANSWERED
        self.events = SessionEvents()
        """What it is told beside the media: the server-sent events extension of WHEP."""
        self.ending: Ending | None = None
        """None as long as it has not ended."""
        self._time = asyncio.get_running_loop().time
        self._answered_s = self._time()
        self._peer = peer
        self._plan = plan
        self._remote = Credentials(plan.transport.ufrag, plan.transport.password)
        self._former: deque[str] = deque(maxlen=FORMER)
        self._candidates = 0
        self._restarting = asyncio.Lock()
        self.deleted = False
        """Whether it was ended by ``close``."""
        self._closed = asyncio.Event()

    @property
    def age_s(self) -> float:
        """Time since its answer."""
        return self._time() - self._answered_s

    def stats(self) -> SessionStats:
        """What is known of it now, and after its end."""
        return self._peer.stats(None if self.ending is None else self.ending.value)

    async def run(self, join_timeout_s: float) -> None:
        """Wait until the peer is gone: never connected, said goodbye, lost, or closed by us; then free everything."""
        try:
            if await self._peer.wait_connected(join_timeout_s):
                self._step(Input.CONNECT)
                await self._peer.wait_ended()
                self._step(Input.LOSE)
                self._note(Ending.LOST)
            else:
                self._step(Input.EXPIRE)
                self._note(Ending.EXPIRED)
        except Exception:  # a session's task must not take the stream's other sessions with it
            logger.exception("a session failed")
            self._note(Ending.FAILED)
        finally:
            self._note(Ending.OFF_AIR)  # unless it has ended otherwise: cut off, since the server itself ends
            await self._peer.close()
            self.state = State.CLOSED
            self.events.close()
            self._closed.set()

    def _note(self, ending: Ending) -> None:
        self.ending = self.ending or ending

    def _step(self, event: Input) -> None:
        if self.state is not State.CLOSED:
            self.state = step(self.state, event)

    async def patch(self, body: str) -> Restarted | None:
        """Take a PATCH: further candidates (None), or an ICE restart; both are supported, so neither is ever 422.

        [I-SE-05] [I-SE-08] [E-SE-07] [E-SE-10]

        Errors: MalformedFragment, also for a restart that cannot be, which leaves all as it was; NoSuchSession;
        Unavailable.
        """
        if self.state is State.CLOSED:
            raise NoSuchSession("the session has ended")
        fragment = parse_fragment(body.encode())
        if fragment.ufrag in self._former:  # late candidates of an ICE session that is over (RFC 8840 section 4.4)
            return None
        remote = fragment.restart_from(self._remote)
        if remote is None:
            self._step(Input.TRICKLE)
            await self._add_candidates(fragment)
            return None
        async with self._restarting:  # of several that overlap, the last one counts
            return await self._restart(remote, fragment)

    async def _restart(self, remote: Credentials, fragment: Fragment) -> Restarted:
        local = await self._peer.restart(remote)
        self._step(Input.RESTART)
        self._former.append(self._remote.ufrag)
        self._remote, self.etag, self._candidates = remote, new_etag(), 0
        await self._add_candidates(fragment)
        first = self._plan.served[0]
        return Restarted(local.to_fragment(first.section.kind, first.mid, self._plan.bundle), self.etag)

    async def _add_candidates(self, fragment: Fragment) -> None:
        for candidate in fragment.candidates:
            if self._candidates < MAX_CANDIDATES:
                self._candidates += 1
                await self._peer.add_candidate(candidate)

    async def discard(self) -> None:
        """Free a session that was never run."""
        await self._peer.close()

    async def close(self, ending: Ending = Ending.DELETED) -> None:
        """End the session and wait until its sockets are closed.  [I-SE-02] [E-SE-02]"""
        self.deleted = True
        self._note(ending)
        self._step(Input.DELETE)
        self._peer.end()
        await self._closed.wait()


class Departed:
    """Sessions whose peers went by themselves; OBS closes its connection first and then sends DELETE, once."""

    def __init__(self) -> None:
        self._ids: deque[str] = deque(maxlen=DEPARTED)

    def note(self, session: Session) -> None:
        """A session has ended, one way or another."""
        if not session.deleted:
            self._ids.append(session.id)

    def settle(self, session_id: str) -> bool:
        """Whether that one had gone by itself; only the first time."""
        gone = session_id in self._ids
        if gone:
            self._ids.remove(session_id)
        return gone


async def answer_peer(peer: Peer, plan: Plan) -> Session:
    """A session with its answer, ready to run.

    Errors: as ``Peer.answer``; nothing is left open then.
    """
    answered = False
    try:
        answer = await peer.answer()
        answered = True
    finally:
        if not answered:
            await peer.close()
    return Session(peer, plan, answer)
