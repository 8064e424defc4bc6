"""The ICE connection that aiortc is given: it can restart, and it knows the signs of life that real peers give.

aiortc has no ICE restart, so its one connection is made of several, in turn. ``RestartableConnection`` takes the place
of ``aioice.Connection`` in aiortc (``rtc.ice.ice_policy`` puts it there) and hands everything on to the connection of
the current ICE session. A restart prepares a second one with its own credentials and sockets; DTLS, SRTP and all above
go on over the first until the second has a nominated pair, then over the second, and the first is closed (RFC 8445
section 9, RFC 9725 section 4.3.3). A restart that comes to nothing leaves things as they were. Packets of either are
received: a peer may change over before we see it.  [I-SE-17] [I-SE-19]

Relied on, read at aiortc 1.16.0 and aioice 0.13.0: aiortc reaches ICE through ``RTCIceTransport._connection`` and takes
``recv`` and ``send`` of it once.
"""

import asyncio
from dataclasses import dataclass
from typing import Final, cast

import aioice
import aioice.ice
from aioice.ice import ConnectionClosed, ConnectionEvent
from aiortc import RTCRtpReceiver, RTCRtpSender

from whep_server.metrics.facts import CandidatePair
from whep_server.rtc.generation import Generation
from whep_server.rtc.ports import ANY, Ports
from whep_server.signaling.sdpfrag import Credentials, LocalIce

INBOX: Final = 2000
"""Datagrams that may wait: a second of video with audio. Beyond it the newest are lost, as in a full socket."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A restart that is under way."""

    fresh: Generation
    task: "asyncio.Task[None]"


class RestartableConnection:
    """What aiortc takes for an ``aioice.Connection``; see the module."""

    def __init__(self, **options: object) -> None:
        """``options`` are those of ``aioice.Connection``."""
        self._options = {name: value for name, value in options.items() if not name.startswith("local_")}
        self._ports: Ports = ANY
        self._inbox: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._current = Generation(self._deliver, **options)
        self._attempt: _Attempt | None = None
        self._closing = False

    def use(self, ports: Ports) -> None:
        """Take ports from there; to be called before candidates are gathered."""
        self._ports = self._current.ports = ports

    def __getattr__(self, name: str) -> object:
        """Credentials, candidates and role are those of the current ICE session."""
        return getattr(self._current, name)

    @property
    def ice_controlling(self) -> bool:
        """Our role; a peer that is ICE lite makes us controlling."""
        return self._current.ice_controlling

    @ice_controlling.setter
    def ice_controlling(self, controlling: bool) -> None:
        self._current.ice_controlling = controlling

    @property
    def remote_is_lite(self) -> bool:
        """Whether the peer is ICE lite."""
        return self._current.remote_is_lite

    @remote_is_lite.setter
    def remote_is_lite(self, lite: bool) -> None:
        self._current.remote_is_lite = lite

    @property
    def remote_username(self) -> str | None:
        """The peer's ufrag."""
        return self._current.remote_username

    @remote_username.setter
    def remote_username(self, username: str) -> None:
        self._current.remote_username = username

    @property
    def remote_password(self) -> str | None:
        """The peer's password."""
        return self._current.remote_password

    @remote_password.setter
    def remote_password(self, password: str) -> None:
        self._current.remote_password = password

    @property
    def called(self) -> bool:
        """Whether a check of the peer's has come, in earnest."""
        return self._current.called

    @property
    def pair(self) -> CandidatePair | None:
        """The way that media takes now; None where there is none."""
        return self._current.pair

    @property
    def nominated(self) -> aioice.ice.CandidatePair | None:
        """The same as aioice has it; another one as soon as the peer nominates anew or a restart has taken over."""
        return self._current.nominated

    @property
    def silent(self) -> bool:
        """Whether the peer gives no sign of life any more; it is given up a little later."""
        return self._current.silent

    def note_alive(self) -> None:
        """A packet under the session's keys has come."""
        self._current.note_alive()

    def _deliver(self, data: bytes) -> None:
        if data and self._inbox.qsize() < INBOX:  # aiortc 1.16.0 ends the session at a datagram without a byte
            self._inbox.put_nowait(data)

    async def recv(self) -> bytes:
        """The next datagram of any generation. Errors: ConnectionError when the connection has ended."""
        data = await self._inbox.get()
        if data is None:
            self._inbox.put_nowait(None)
            raise ConnectionError("the ICE connection has ended")
        return data

    async def send(self, data: bytes) -> None:
        """Send over the current pair; lost where there is none while a restart is under way.

        Errors: ConnectionError where the connection has ended.
        """
        try:
            await self._current.send(data)
        except ConnectionError:
            if self._attempt is None or self._closing:
                raise

    async def connect(self) -> None:
        """Wait for a pair. Errors: ConnectionError where there will be none."""
        waited = self._current
        try:
            await waited.connect()
        except ConnectionError:
            await self._attempt_over(waited)
            if self._current is waited or self._closing:
                raise  # else a restart has connected in its place

    async def get_event(self) -> ConnectionEvent:
        """Wait for the end: consent was lost and no restart is under way, or ``close``."""
        while True:
            watched = self._current
            await watched.get_event()
            await self._attempt_over(watched)
            if self._closing or self._current is watched:
                self._inbox.put_nowait(None)
                return ConnectionClosed()

    async def _attempt_over(self, lost: Generation) -> None:
        """Wait until no restart is under way, or one has replaced ``lost``."""
        while (attempt := self._attempt) is not None and self._current is lost:
            await asyncio.wait([attempt.task])

    async def close(self) -> None:
        """End every generation."""
        self._closing = True
        await self._give_up()
        await self._current.close()
        self._inbox.put_nowait(None)

    # --- restart

    async def restart(self, remote: Credentials, timeout_s: float) -> LocalIce:
        """Begin a further ICE session; what the peer must know of it. One that was under way is given up.

        Errors: ConnectionError where the connection has ended.
        """
        fresh = await self.prepare()
        await self.adopt(fresh, remote, timeout_s)
        return local_ice(fresh)

    async def prepare(self) -> Generation:
        """Our end of a further ICE session, gathered and not yet begun."""
        fresh = Generation(self._deliver, **self._options)
        fresh.ports = self._ports
        fresh.ice_controlling = self._current.ice_controlling
        fresh.remote_is_lite = self._current.remote_is_lite
        gathered = False
        try:
            await fresh.gather_candidates()
            gathered = True
        finally:
            if not gathered:  # given up by who waits, for a silent ICE server
                await fresh.close()
        return fresh

    async def adopt(self, fresh: Generation, remote: Credentials, timeout_s: float) -> None:
        """Go over to ``fresh`` as soon as it is connected to the peer that has these credentials.

        Errors: ConnectionError where the connection has ended; ``fresh`` is closed then.
        """
        fresh.remote_username, fresh.remote_password = remote.ufrag, remote.password
        await self._give_up()
        if self._closing:
            await fresh.close()
            raise ConnectionError("the ICE connection has ended")
        self._attempt = _Attempt(fresh, asyncio.create_task(self._take_over(fresh, timeout_s)))

    async def _take_over(self, fresh: Generation, timeout_s: float) -> None:
        """Connect, then let ``fresh`` be the current generation; where that fails, leave all as it was.

        Once it is decided, the attempt is over: nobody gives it up, and so cuts short, what is only being closed.
        """
        over = fresh
        try:
            async with asyncio.timeout(timeout_s):
                await fresh.connect()
            over, self._current = self._current, fresh
        except (ConnectionError, TimeoutError):
            return
        finally:
            if self._attempt is not None and self._attempt.fresh is fresh:
                self._attempt = None
            await over.close()

    async def _give_up(self) -> None:
        if self._attempt is not None:
            attempt, self._attempt = self._attempt, None
            attempt.task.cancel()
            await asyncio.wait([attempt.task])
            await attempt.fresh.close()  # a task that is cancelled before its first step closes nothing

    async def add_restart_candidate(self, candidate: aioice.Candidate) -> None:
        """A candidate for the newest ICE session."""
        newest = self._current if self._attempt is None else self._attempt.fresh
        await newest.add_remote_candidate(candidate)


def local_ice(generation: Generation) -> LocalIce:
    """What the peer must know of our end of an ICE session."""
    candidates = tuple(candidate.to_sdp() for candidate in generation.local_candidates)
    return LocalIce(Credentials(generation.local_username, generation.local_password), candidates)


def connection_of(media: RTCRtpSender | RTCRtpReceiver) -> RestartableConnection:
    """The connection under a sender or receiver."""
    return cast(RestartableConnection, media.transport.transport._connection)
