"""The tool's own WebRTC peer: makes an offer, takes an answer, connects, counts what arrives, misbehaves on request.

Leaving the block of ``open_agent`` closes its sockets without a goodbye; whoever wants one says it.
"""

import asyncio
import ipaddress
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from conformance.agent.dtls_agent import PROFILES, Certificate, make_certificate
from conformance.agent.ice_agent import HOST_PRIORITY, Credentials, IceAgent
from conformance.agent.manner import Manner, NotConnected
from conformance.agent.media_connection import Connection
from conformance.agent.media_source import OPUS_PACKET_S, PICTURE_S, MediaSource, Track
from conformance.agent.received import Format, MediaLog
from conformance.agent.rtcp import KeyframeRequest
from conformance.agent.shell import Shell
from conformance.agent.stun import Address
from conformance.canned import MID_EXTENSION, Identity, Offer
from conformance.description import Candidate, Description, Media

KINDS: Final = ("audio", "video")
STEPS_S: Final = {"audio": OPUS_PACKET_S, "video": PICTURE_S}
SENDABLE: Final = {"audio": "opus", "video": "h264"}


class Agent:
    """One peer, from its offer to its end."""

    def __init__(self, shell: Shell, certificate: Certificate, address: str, manner: Manner) -> None:
        self.shell = shell
        self.connection = shell.connection
        self.identity = Identity()
        self.candidate = ""
        """Of the newest socket: what follows ``a=candidate:``."""
        self._certificate = certificate
        self._address = address
        self._addresses: list[Address] = []
        """The server's candidates."""
        self._manner = manner
        self._ssrc = secrets.randbits(32)
        self._name = secrets.token_hex(8)

    @property
    def log(self) -> MediaLog:
        """What arrived."""
        return self.connection.log

    async def open_socket(self) -> Identity:
        """A new socket with new ICE credentials: what a client has after its network changed."""
        self.identity = Identity(fingerprint=self._certificate.fingerprint)
        local = Credentials(self.identity.ufrag, self.identity.password)
        ice = IceAgent(local, controlling=not self._manner.answers, habits=self._manner.habits)
        port = await self.shell.open_path(ice)
        self.candidate = f"1 1 udp {HOST_PRIORITY} {self._address} {port} typ host"
        return self.identity

    def offer(self, base: Offer, *, candidates: tuple[str, ...] | None = None) -> Offer:
        """An offer with this agent's identity and its candidate, or with the candidates given."""
        return replace(base, identity=self.identity, candidates=(self.candidate,) if candidates is None else candidates)

    def take_answer(self, answer: Description, *, offered_setup: str = "actpass") -> None:
        """The server's answer: start to connect. Errors: NotConnected where it says too little."""
        if not answer.accepted:
            raise NotConnected("the answer accepts nothing")
        client = answer.transport("setup") == "passive" and not self._manner.always_server
        if offered_setup == "passive" and answer.transport("setup") == "passive" and not self._manner.always_server:
            raise NotConnected("the answer is passive to a passive offer")
        self.connection.set_remote(fingerprints(answer), client=client, formats=formats(answer.media))
        self.take_remote(answer)

    def take_offer(self, offer: Description, *, setup: str) -> None:
        """The server's own offer, which we answer in this DTLS role. Errors: NotConnected, as ``take_remote``."""
        self.connection.set_remote(fingerprints(offer), client=setup == "active", formats=formats(offer.media))
        self.take_remote(offer)

    def take_remote(self, remote: Description) -> None:
        """ICE credentials and candidates for the newest socket, from an answer or a restart's fragment.

        A fragment without candidates leaves those of before in force (RFC 9725 section 4.3.3).

        Errors: NotConnected where credentials or, at first, candidates are missing.
        """
        ufrag, password = remote.transport("ice-ufrag"), remote.transport("ice-pwd")
        if not ufrag or not password:
            raise NotConnected("no ICE credentials")
        self._addresses = usable_addresses(remote, first_host_only=self._manner.first_host_only) or self._addresses
        if not self._addresses:
            raise NotConnected("no candidate that a UDP socket can reach")
        newest = self.connection.paths[max(self.connection.paths)]
        newest.set_remote(Credentials(ufrag, password), self._addresses, self.shell.now())

    async def connect(self, timeout_s: float) -> float:
        """Wait until media can flow. The seconds that took. Errors: NotConnected."""
        began = self.shell.now()
        await self.wait_for(lambda: self.connection.connected or self.connection.failure is not None, timeout_s)
        if not self.connection.connected:
            raise NotConnected(self.connection.failure or f"{self._stage()} within {timeout_s:g} s")
        return self.shell.now() - began

    def _stage(self) -> str:
        ice = self.connection.ice
        if ice.selected is not None:
            return "ICE is up, but DTLS not done"
        answered = "did" if ice.answered_s is not None else "did not"
        asked = "did" if ice.asked_s is not None else "did not"
        wrong = f", and {ice.refused} of its checks had wrong credentials" if ice.refused else ""
        return f"ICE not up (the server {answered} answer checks and {asked} send valid ones{wrong})"

    async def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until a condition holds; False where it does not in time."""
        return await self.shell.wait_for(condition, timeout_s)

    def publish(self, answer: Description) -> list[str]:
        """Send silence and a test picture on the answer's sections, once connected. The kinds that are sent."""
        tracks = [track for media in answer.media if (track := self._track(media)) is not None]
        self.connection.source = MediaSource(tracks)
        return [track.kind for track in tracks]

    def _track(self, media: Media) -> Track | None:
        agreed = formats([media])
        payload = next((number for number, known in agreed.items() if known.codec == SENDABLE[media.kind]), None)
        return Track(media.kind, payload, STEPS_S[media.kind], self._name, mid_of(media)) if payload else None

    async def still_answers(self, timeout_s: float) -> bool:
        """Whether the server answers a consent check that is sent now."""
        ice = self.connection.ice
        before = ice.answered_s
        ice.probe(self.shell.now())
        self.shell.step()
        return await self.wait_for(lambda: ice.answered_s != before, timeout_s)

    def request_keyframe(self) -> bool:
        """Send a PLI for the video; False where none arrived yet."""
        video = self.log.main("video")
        if video is not None:
            self.connection.send_rtcp(KeyframeRequest(self._ssrc, video.ssrc))
            self.shell.flush()
        return video is not None

    def abandon_socket(self) -> None:
        """Answer and send nothing more on the newest socket; what still arrives there is counted."""
        self.connection.paths[max(self.connection.paths)].silent = True

    def go_silent(self) -> None:
        """Vanish: send nothing more and answer nothing; what arrives is still counted."""
        self.connection.muted = True
        for ice in self.connection.paths.values():
            ice.silent = True

    def say_goodbye(self) -> None:
        """DTLS close_notify, then silence."""
        self.connection.say_goodbye()
        self.shell.flush()
        self.go_silent()


@asynccontextmanager
async def open_agent(host: str, port: int, manner: Manner) -> AsyncIterator[Agent]:
    """An agent with a socket, its candidate the address from which a server can be reached."""
    address = await _route(host, port)
    certificate = make_certificate()
    shell = Shell(Connection(certificate, manner.profiles or PROFILES))
    agent = Agent(shell, certificate, address, manner)
    try:
        await agent.open_socket()
        yield agent
    finally:
        shell.close()


async def _route(host: str, port: int) -> str:
    """Our address on the way to a server; of two families IPv4, which more media servers have."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, _, _, _, remote = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(remote)  # sends nothing
        return str(probe.getsockname()[0])


def fingerprints(description: Description) -> list[tuple[str, str]]:
    """The certificate digests that a description names, for its first accepted section."""
    section = description.accepted[0]
    values = section.attributes.values("fingerprint") or description.session.values("fingerprint")
    pairs = (value.partition(" ") for value in values)
    return [(algorithm.lower(), digest.strip()) for algorithm, _, digest in pairs]


def formats(media: Sequence[Media]) -> dict[int, Format]:
    """What each payload type of some sections means."""
    return {
        int(payload): Format(section.kind, name.partition("/")[0].lower())
        for section in media
        for payload, name in section.by_format("rtpmap").items()
        if payload.isdigit()
    }


def mid_of(media: Media) -> tuple[tuple[int, bytes], ...]:
    """The header extension that names a section, where one was agreed."""
    for value in media.attributes.values("extmap"):
        number, _, uri = value.partition(" ")
        if uri.strip() == MID_EXTENSION and number.isdigit() and media.mid is not None:
            return ((int(number), media.mid.encode()),)
    return ()


def usable_addresses(remote: Description, *, first_host_only: bool = False) -> list[Address]:
    """The UDP candidates of a description with a numeric address, component 1, best first, each once."""
    levels = [media.attributes for media in remote.sections] + [remote.session]
    values = [value for level in levels for value in level.values("candidate")]
    candidates = [candidate for value in values if (candidate := Candidate.parse(value)) and _usable(candidate)]
    if first_host_only:
        hosts = [candidate for candidate in candidates if candidate.kind == "host"]
        candidates = hosts[:1]
    else:
        candidates.sort(key=lambda candidate: -int(candidate.priority))
    return list(dict.fromkeys((candidate.address, int(candidate.port)) for candidate in candidates))


def _usable(candidate: Candidate) -> bool:
    try:
        ipaddress.ip_address(candidate.address)
    except ValueError:
        return False
    numbers = candidate.port.isdigit() and candidate.priority.isdigit() and 0 < int(candidate.port) < 1 << 16
    return candidate.transport == "udp" and candidate.component == "1" and numbers
