"""One session's peer connection, from offer to close. aiortc's odd corners end here.

aiortc raises AssertionError, KeyError, ValueError and its own errors on remote input; here they become MalformedSdp or
NotAcceptable. Its callbacks only set events. Its closing has no time limit; ours has.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Final

from aioice import Candidate
from aiortc import RTCIceTransport, RTCPeerConnection, RTCRtpReceiver, RTCRtpSender, RTCSessionDescription
from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
from aiortc.sdp import candidate_from_sdp

from whep_server.errors import MalformedSdp, NoSuchSession, NotAcceptable, Unavailable
from whep_server.metrics.facts import CandidatePair, IceFailure, MediaStats, SessionStats
from whep_server.rtc.broadcast import Broadcast, Delivery
from whep_server.rtc.connection import RestartableConnection, connection_of
from whep_server.rtc.ice import configuration
from whep_server.rtc.ports import ANY, Ports
from whep_server.rtc.receiver import OnPacket, attach_receiver
from whep_server.rtc.sender import Outbound, UnitSource, attach
from whep_server.rtc.unreadable import pass_over_unreadable
from whep_server.settings import Settings
from whep_server.signaling.negotiation import Plan, dress_answer, set_role
from whep_server.signaling.sdpfrag import Credentials, LocalIce, TrickledCandidate

logger = logging.getLogger(__name__)

ANSWER_TIMEOUT_S: Final = 8.0
"""Gathering takes 1 ms without ICE servers; one that is silent costs ``gathering.SERVER_S``."""
CLOSE_TIMEOUT_S: Final = 3.0
"""A close waits for the senders' last packets and the sockets: milliseconds."""
MISREAD: Final = (AssertionError, AttributeError, IndexError, KeyError, StopIteration, TypeError, ValueError)
"""What aiortc raises on SDP that it cannot read."""
REFUSED: Final = (InternalError, InvalidAccessError, InvalidStateError, OperationError)


Tracks = Callable[[], dict[str, MediaStats]]
"""What was counted of each track, by kind."""


class Peer:
    """The server's end of one session; made by ``viewer_peer`` and ``publisher_peer``."""

    def __init__(
        self, plan: Plan, connection: RTCPeerConnection, level_idc: int, settings: Settings, tracks: Tracks
    ) -> None:
        self._plan = plan
        self._level_idc = level_idc
        self._restart_s = settings.join_timeout_s
        self._connection = connection
        self._tracks = tracks
        self.origins: Mapping[str, int] = {}
        """RTP times at media time 0, by kind, for the answer to tell."""
        self._restarts = 0
        self._pair: CandidatePair | None = None
        self._failure: IceFailure | None = None
        self._fault: Exception | None = None
        self._time = asyncio.get_running_loop().time
        self._connected_s: float | None = None
        self._ended_s: float | None = None
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._connection.on("connectionstatechange", self._state_changed)

    def _state_changed(self) -> None:
        state = self._connection.connectionState
        if state == "connected":
            self._connected_s = self._time() if self._connected_s is None else self._connected_s
            self._settled.set()
        elif state in ("failed", "closed"):
            if state == "failed":
                self._note_failure()
            self.end()

    def _note_failure(self) -> None:
        """Decide why media does not flow, unless it shall not."""
        if self._failure is not None or self._ended.is_set():
            return
        if self._connected_s is not None:
            self._failure = IceFailure.CONSENT
        elif self._transport().state == "completed":
            self._failure = IceFailure.DTLS
        else:
            self._failure = IceFailure.UNANSWERED if self._ice().called else IceFailure.UNREACHED

    def end(self) -> None:
        """Media can no longer flow, or shall not: wakes whoever waits for that. ``close`` is still to be called."""
        self._ended_s = self._time() if self._ended_s is None else self._ended_s
        self._ended.set()
        self._settled.set()

    def fail(self, fault: Exception) -> None:
        """Media cannot flow for a reason that is ours: who waits is told by this very exception."""
        self._fault = self._fault or fault
        self.end()

    async def answer(self) -> str:
        """The complete answer, with all candidates.

        Errors: MalformedSdp, NotAcceptable for an offer that aiortc cannot work with; Unavailable where gathering
        takes too long or finds nothing. The connection is then still to be closed.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await self._connection.setRemoteDescription(RTCSessionDescription(self._plan.peer_offer, "offer"))
                local = await self._connection.createAnswer()
                local.sdp = set_role(local.sdp, self._plan)
                await self._connection.setLocalDescription(local)
        except TimeoutError as error:
            raise Unavailable("gathering candidates took too long") from error
        except REFUSED as error:
            raise NotAcceptable(str(error) or "the offer cannot be served") from error
        except MISREAD as error:
            raise MalformedSdp(f"the offer cannot be read: {error}") from error
        if not self._transport().iceGatherer.getLocalCandidates():  # aioice passes over addresses it cannot bind to
            raise Unavailable("no UDP port is free")
        return dress_answer(self._connection.localDescription.sdp, self._plan, self._level_idc, self.origins)

    async def add_candidate(self, candidate: TrickledCandidate) -> None:
        """Try a candidate that came later. One that is of no use is dropped silently (RFC 8838 section 9)."""
        try:
            if self._restarts:
                await self._ice().add_restart_candidate(Candidate.from_sdp(candidate.value))
            else:
                parsed = candidate_from_sdp(candidate.value)
                parsed.sdpMid = self._plan.served[0].mid  # one transport a session
                await self._connection.addIceCandidate(parsed)
        except MISREAD as error:
            logger.debug("candidate dropped: %s", error)

    async def restart(self, remote: Credentials) -> LocalIce:
        """Begin a further ICE session; media stays on the old one until the new one is up.

        Errors: NoSuchSession where the connection has ended; Unavailable where gathering takes too long.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                local = await self._ice().restart(remote, self._restart_s)
        except TimeoutError as error:
            raise Unavailable("gathering candidates took too long") from error
        except ConnectionError as error:
            raise NoSuchSession("the session has ended") from error
        self._restarts += 1
        return local

    def _media(self) -> RTCRtpSender | RTCRtpReceiver:
        transceiver = self._connection.getTransceivers()[0]
        return transceiver.receiver if self._plan.receives else transceiver.sender

    def _transport(self) -> RTCIceTransport:
        return self._media().transport.transport

    def _ice(self) -> RestartableConnection:
        return connection_of(self._media())

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait for ICE and DTLS; False where they failed, were given up, or are not there in time.

        Errors: what ``fail`` was called with.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        except TimeoutError:
            self._note_failure()
            return False
        self._check_fault()
        return self._connected_s is not None and not self._ended.is_set()

    async def wait_ended(self) -> None:
        """Wait until ICE, consent or DTLS failed, the peer said goodbye, or ``end``.  [I-SE-04] [E-SE-04] [I-SE-20]

        Errors: what ``fail`` was called with.
        """
        await self._ended.wait()
        self._check_fault()

    def _check_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def stats(self, ending: str | None = None) -> SessionStats:
        """As of now; what was counted stays after the end, which is for others to name."""
        ice, running = self._ice(), not self._ended.is_set()
        silent = running and self._connected_s is not None and ice.silent
        self._pair = ice.pair or self._pair
        until_s = self._time() if self._ended_s is None else self._ended_s
        tracks = self._tracks()
        return SessionStats(
            kind="publisher" if self._plan.receives else "viewer",
            connection_state="disconnected" if silent else self._connection.connectionState,
            ice_state="disconnected" if silent else self._connection.iceConnectionState,
            ice_restarts=self._restarts,
            candidate_pair=self._pair,
            connected_s=0.0 if self._connected_s is None else until_s - self._connected_s,
            video=tracks.get("video"),
            audio=tracks.get("audio"),
            ending=ending,
            ice_failure=self._failure,
        )

    async def close(self) -> None:
        """End the session: RTCP BYE, DTLS close_notify, sockets closed, so that no check is answered any more.

        Bounded in time; may be called again.  [I-SE-03] [E-SE-03]
        """
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                # aiortc may be closing by itself; a cancelled wait must not cancel the future that its close fulfils
                await asyncio.shield(self._connection.close())
        except TimeoutError:
            logger.warning("a peer connection did not close within %g s", CLOSE_TIMEOUT_S)
        finally:
            self.end()


def viewer_peer(
    plan: Plan,
    sources: Mapping[str, UnitSource],
    level_idc: int,
    settings: Settings,
    broadcast: Broadcast,
    ports: Ports = ANY,
) -> Peer:
    """A peer that is sent what ``sources`` give, by kind, from one of ``ports``.  [E-EP-11] [E-EP-18]"""
    connection = RTCPeerConnection(configuration(settings))
    delivery = Delivery(broadcast)
    outbound: dict[str, Outbound] = {}
    for served in plan.served:  # before the remote description, else aiortc makes receivers of its own
        kind = served.section.kind
        transceiver = connection.addTransceiver(kind, direction="sendonly")
        outbound[kind] = attach(transceiver.sender, sources[kind], delivery)
        connection_of(transceiver.sender).use(ports)
        pass_over_unreadable(transceiver.sender.transport)

    codecs = {kind: plan.codec(kind) or "" for kind in outbound}

    def tracks() -> dict[str, MediaStats]:
        return {kind: each.stats(codecs[kind]) for kind, each in outbound.items()}

    peer = Peer(plan, connection, level_idc, settings, tracks)
    peer.origins = {kind: each.origin for kind, each in outbound.items()}
    delivery.on_fault = peer.fail
    return peer


def publisher_peer(plan: Plan, on_packet: OnPacket, settings: Settings, ports: Ports = ANY) -> Peer:
    """A peer whose audio packets go to ``on_packet``, as they are."""
    connection = RTCPeerConnection(configuration(settings))
    receiver = connection.addTransceiver("audio", direction="recvonly").receiver
    connection_of(receiver).use(ports)
    pass_over_unreadable(receiver.transport)

    def take(sequence: int, rtp_time: int, payload: bytes) -> None:
        connection_of(receiver).note_alive()
        on_packet(sequence, rtp_time, payload)

    inbound = attach_receiver(receiver, take)
    return Peer(plan, connection, 0, settings, lambda: {"audio": inbound.stats()})
