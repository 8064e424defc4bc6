"""One ICE session: what aioice does, but for where its ports come from, and for signs of life that real peers give.

Relied on, read at aioice 0.13.0: ``Connection.data_received`` is where datagrams that are not STUN end up;
``query_consent`` runs as ``_query_consent_task`` once a pair is nominated, which then stands in ``_nominated``;
``get_component_candidates`` gathers, and what it opens stands in ``_protocols``.
"""

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import aioice
import aioice.ice
from aioice import stun
from aioice.ice import StunProtocol
from aioice.utils import random_string

from whep_server.metrics.facts import CandidatePair
from whep_server.rtc.addresses import is_loopback
from whep_server.rtc.gathering import SERVER_S, reflexive_candidates, relayed_candidates
from whep_server.rtc.ports import ANY, Ports, candidates

CONSENTS: Final = 4
"""Intervals without a sign of life after which the peer is gone: 8 s, more than the 5 s between FFmpeg's checks."""
SILENT: Final = 2
"""Intervals without a sign of life after which it may be gone."""
COMPONENT: Final = 1
"""RTP's, and with it all that there is."""
DEFAULT_PRIORITY: Final = 0x6E0000FF
"""A peer-reflexive candidate's where a check names none, as FFmpeg before 8.1 does (RFC 8445 section 5.1.2)."""
ASKED_S: Final = 5.0
"""A peer that shows signs of life is asked for its consent so often, as RFC 7675 section 5.1 has it."""
FIRST_CHECK_S: Final = 0.2
"""How long the first check is left to the peer, who gets our answer only now. libdatachannel (0.24.5, in OBS) connects
over a check of ours while it still takes the answer in, and refuses our certificate for want of the fingerprint: 3
times of 100 on a busy machine that both are on."""
UFRAG_CHARS: Final = 8
"""48 bits: where all sessions share a port it says whose a check is, so it must be nobody else's, nor be guessed."""


class Generation(aioice.Connection):
    """The connection of one ICE session; what it receives is its owner's."""

    def __init__(self, deliver: Callable[[bytes], None], **options: object) -> None:
        named = {"local_username": random_string(UFRAG_CHARS)} | options
        super().__init__(**named)  # type: ignore[arg-type]  # aiortc's own arguments, handed on
        self.ports: Ports = ANY
        self._deliver = deliver
        self._alive_s = 0.0
        self._called = asyncio.Event()
        self._checked = False

    async def get_component_candidates(
        self,
        component: int,
        addresses: list[str],
        timeout: int = 5,  # noqa: ASYNC109  aioice's own argument
    ) -> list[aioice.Candidate]:
        """In place of aioice's, which takes any port, knows no public addresses and waits for servers for long."""
        hosts: list[StunProtocol] = []
        async for protocol in self.ports.open(self, self._deliver, addresses):
            hosts.append(protocol)
            self._protocols.append(protocol)  # at once: who gives up closes them
        mapped, relayed = await asyncio.gather(
            reflexive_candidates(hosts, self.stun_server, self.ports.patience), self._relayed_candidates(component)
        )
        return [*candidates(hosts, self.ports.public), *mapped, *relayed]

    async def add_remote_candidate(self, remote_candidate: aioice.Candidate | None) -> None:
        """Checks are sent there. Not to this machine's loopback, where strangers would have us knock for them."""
        if remote_candidate is None or self.ports.loopback or not is_loopback(remote_candidate.host):
            await super().add_remote_candidate(remote_candidate)

    async def _relayed_candidates(self, component: int) -> list[aioice.Candidate]:
        if self.turn_server is None:
            return []
        scheme, (host, port) = "turns" if self.turn_ssl else "turn", self.turn_server
        gather = partial(super().get_component_candidates, component, [], SERVER_S)
        name = f"{scheme}:{host}:{port}?transport={self.turn_transport}"
        return await relayed_candidates(name, gather, self.ports.patience)

    async def connect(self) -> None:
        """Wait for a pair. Errors: ConnectionError where there will be none."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_CHECK_S):
                await self._called.wait()
        if self._closing:
            raise ConnectionError("closed before it was connected")
        await super().connect()

    async def close(self) -> None:
        """End it, and the waiting for a check."""
        self._called.set()
        await super().close()

    @property
    def called(self) -> bool:
        """Whether a check of the peer's has come, in earnest."""
        return self._checked

    @property
    def pair(self) -> CandidatePair | None:
        """What was nominated; None before, and after the end."""
        pair = self.nominated
        if pair is None:
            return None
        return CandidatePair(pair.local_candidate.type, pair.remote_candidate.type, pair.local_candidate.transport)

    @property
    def nominated(self) -> aioice.ice.CandidatePair | None:
        """The pair that media takes now; None before there is one, and after the end."""
        return self._nominated.get(COMPONENT)

    @property
    def silent(self) -> bool:
        """Whether the peer gives no sign of life any more; it is given up a little later."""
        return asyncio.get_running_loop().time() - self._alive_s > aioice.ice.CONSENT_INTERVAL * SILENT

    def request_received(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """A check; before ``connect`` it is answered and kept."""
        super().request_received(message, addr, protocol)
        self._called.set()

    def note_alive(self) -> None:
        """The peer has shown that it is there, and that it is the one that our answer went to."""
        self._alive_s = asyncio.get_running_loop().time()

    def check_incoming(self, message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        """A check of the peer's, whose integrity was found right."""
        message.attributes.setdefault("PRIORITY", DEFAULT_PRIORITY)
        self._checked = True
        self.note_alive()
        super().check_incoming(message, addr, protocol)

    async def query_consent(self) -> None:
        """Ask the peer whether it still wants to hear from us (RFC 7675 section 5.1).

        FFmpeg's publisher (8.1, 9.0) answers no check once media flows, and sends checks of its own every 5 s. Such a
        check, under the password that only the answer told, shows the same as a response would; so do packets under
        the session's keys, of which the owner tells by ``note_alive``. Who was not heard of for CONSENT_INTERVAL is
        asked that often.
        """
        time, interval_s = asyncio.get_running_loop().time, aioice.ice.CONSENT_INTERVAL
        self.note_alive()
        asked_s = time()
        while time() - self._alive_s < interval_s * CONSENTS:
            await asyncio.sleep(interval_s * random.uniform(0.8, 1.2))
            if time() - self._alive_s >= interval_s or time() - asked_s >= ASKED_S:
                asked_s = time()
                await self._ask_consent()
        self._query_consent_task = None  # close() would wait for it
        await self.close()

    async def _ask_consent(self) -> None:
        assert self.remote_password is not None, "connect has seen to it"
        for pair in list(self._nominated.values()):
            request, key = self.build_request(pair, nominate=False), self.remote_password.encode()
            with suppress(stun.TransactionError):
                await pair.protocol.request(request, pair.remote_addr, integrity_key=key, retransmissions=0)
                self.note_alive()

    def data_received(self, data: bytes, component: int) -> None:
        """A datagram that is not STUN."""
        self._deliver(data)

    def protocol_lost(self, protocol: StunProtocol) -> None:
        """A socket closed: the consent checks over it will fail, and then ``get_event`` says so."""
