"""A whole peer, without its sockets: ICE on one path or more, one DTLS association, SRTP, media in and out. Pure.

A path is a socket. A second one comes with an ICE restart: the association and the media move to it once it is
nominated (RFC 8445 section 2.4). Datagrams are told apart by their first byte (RFC 7983 section 7).
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from conformance.agent.dtls_agent import PROFILES, Certificate, DtlsAgent, SrtpKeys
from conformance.agent.ice_agent import IceAgent
from conformance.agent.media_source import MediaSource
from conformance.agent.received import Format, MediaLog
from conformance.agent.rtcp import KeyframeRequest, RtcpPacket, parse_rtcp
from conformance.agent.rtp import MalformedRtp, RtpPacket, is_media, is_rtcp, parse_rtp
from conformance.agent.srtp import Srtp, Unprotectable
from conformance.agent.stun import Address, looks_like_stun

DTLS_FIRST: Final = range(20, 64)
"""First bytes of DTLS records."""


class Connection:
    """One peer's end of a session."""

    def __init__(self, certificate: Certificate, profiles: Sequence[str] = PROFILES) -> None:
        self.paths: dict[int, IceAgent] = {}
        self.active = 0
        """The path that media is sent on."""
        self.outgoing: deque[tuple[int, bytes, Address]] = deque()
        """Datagrams to send: path, bytes, where to."""
        self.log = MediaLog({})
        self.keys: SrtpKeys | None = None
        self.failure: str | None = None
        """Why it can never connect."""
        self.source: MediaSource | None = None
        """What is sent once connected."""
        self.keyframe_requests = 0
        self.muted = False
        """Sends nothing more, of no kind."""
        self._certificate = certificate
        self._profiles = profiles
        self._fingerprints: tuple[tuple[str, str], ...] = ()
        self._dtls: DtlsAgent | None = None
        self._client = False
        self._srtp: Srtp | None = None

    @property
    def ice(self) -> IceAgent:
        """ICE on the active path."""
        return self.paths[self.active]

    @property
    def handshaken(self) -> bool:
        """Whether DTLS is done."""
        return self._dtls is not None and self._dtls.connected

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self._srtp is not None and self.ice.selected is not None and self.failure is None

    @property
    def left(self) -> bool:
        """Whether the peer said goodbye by close_notify."""
        return self._dtls is not None and self._dtls.closed_by_peer

    def set_remote(
        self, fingerprints: Sequence[tuple[str, str]], *, client: bool, formats: Mapping[int, Format]
    ) -> None:
        """What the peer's description says beside ICE; ``client`` is our DTLS role."""
        self._fingerprints = tuple(fingerprints)
        self._client = client
        self._dtls = DtlsAgent(self._certificate, client=client, profiles=self._profiles)
        self.log.formats = formats

    def receive(self, path: int, datagram: bytes, source: Address, now_s: float) -> None:
        """A datagram came in on a path. From strangers only STUN is read."""
        ice = self.paths[path]
        if looks_like_stun(datagram):
            ice.receive(datagram, source, now_s)
        elif not ice.trusts(source):
            return
        elif is_media(datagram):
            self._media(path, datagram, now_s)
        elif datagram and datagram[0] in DTLS_FIRST and self._dtls is not None:
            self._dtls.receive(datagram)
            self._check_handshake()
        self._advance(now_s)

    def tick(self, now_s: float, unix_s: float) -> None:
        """Do what is due by time."""
        for ice in self.paths.values():
            ice.tick(now_s)
        if self._dtls is not None:
            self._dtls.tick()
        if self.source is not None and self.connected:
            for packet in self.source.due(now_s):
                self.send_rtp(packet)
            for compound in self.source.reports_due(now_s, unix_s):
                self.send_rtcp(*compound)
        self._advance(now_s)

    def send_rtp(self, packet: RtpPacket) -> None:
        """Send a packet, where media can flow."""
        self._send_media(packet.to_bytes(), rtcp=False)

    def send_rtcp(self, *packets: RtcpPacket) -> None:
        """Send a compound, where media can flow."""
        self._send_media(b"".join(packet.to_bytes() for packet in packets), rtcp=True)

    def say_goodbye(self) -> None:
        """Send DTLS close_notify."""
        if self._dtls is not None:
            self._dtls.say_goodbye()
            self._flush()

    def _send_media(self, packet: bytes, *, rtcp: bool) -> None:
        address = self.ice.selected
        if self._srtp is not None and address is not None and not self.ice.silent:
            self.outgoing.append((self.active, self._srtp.protect(packet, rtcp=rtcp), address))

    def _media(self, path: int, datagram: bytes, now_s: float) -> None:
        if self._srtp is None:
            return
        rtcp = is_rtcp(datagram)
        try:
            plain = self._srtp.unprotect(datagram, rtcp=rtcp)
            if not rtcp:
                self.log.rtp(parse_rtp(plain), path, now_s)
                return
            for packet in parse_rtcp(plain):
                self.log.rtcp(packet)
                if isinstance(packet, KeyframeRequest):
                    self.keyframe_requests += 1
                    if self.source is not None:
                        self.source.request_keyframe()
        except (Unprotectable, MalformedRtp):
            self.log.damaged += 1

    def _check_handshake(self) -> None:
        """After each DTLS datagram: take the keys once they are there."""
        if self._dtls is None or self._srtp is not None or not self._dtls.connected:
            return
        if not self._dtls.peer_matches(self._fingerprints):
            self.failure = "the DTLS certificate has none of the fingerprints that the description names"
            return
        self.keys = self._dtls.keys()
        if self.keys is None:
            self.failure = "DTLS agreed no SRTP protection profile"
            return
        self._srtp = Srtp(self.keys)

    def _advance(self, now_s: float) -> None:
        newest = max(self.paths)
        if newest != self.active and self.paths[newest].selected is not None:
            self.active = newest
        if self._dtls is not None:
            self.failure = self.failure or (f"DTLS: {self._dtls.failure}" if self._dtls.failure else None)
            if self._client and self.ice.selected is not None and not self.muted:
                self._dtls.start()
        self._flush()

    def _flush(self) -> None:
        for path, ice in self.paths.items():
            while ice.outgoing:
                self.outgoing.append((path, *ice.outgoing.popleft()))
        address = self.ice.selected
        while self._dtls is not None and self._dtls.outgoing and address is not None:
            self.outgoing.append((self.active, self._dtls.outgoing.popleft(), address))
        if self.muted:
            self.outgoing.clear()
