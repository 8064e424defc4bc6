"""The mock's live media side: the tool's own peer in the server's role, and a switch for each way to be wrong.

Plays silence and a test picture to WHEP players; takes what a WHIP publisher sends. Ends with its peer's close_notify
or consent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from conformance import ProtocolName
from conformance.agent.agent import STEPS_S, fingerprints, formats, mid_of, usable_addresses
from conformance.agent.dtls_agent import PROFILES, make_certificate
from conformance.agent.ice_agent import HOST_PRIORITY, Credentials, Habits, IceAgent
from conformance.agent.media_connection import Connection
from conformance.agent.media_source import MediaSource, Oddities, Track
from conformance.agent.rtcp import Bye
from conformance.agent.rtp import is_media
from conformance.agent.shell import Shell
from conformance.agent.stun import Address, Attribute, Kind, MalformedStun, looks_like_stun, parse_stun
from conformance.canned import Identity, new_fingerprint
from conformance.description import Description, Media
from conformance.mock import answers
from conformance.mock.media import MediaSide

LOOPBACK: Final = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Faults:
    """What a live side does wrong."""

    deaf: bool = False
    """Answers no STUN check at all."""
    no_srtp: bool = False
    """DTLS without an SRTP protection profile."""
    wrong_fingerprint: bool = False
    needs_candidates: bool = False
    """Learns no peer-reflexive address: hears only peers whose candidates it was told."""
    needs_priority: bool = False
    """Stumbles over STUN checks without PRIORITY."""
    gives_up_when_told_all: bool = False
    """After end-of-candidates without a usable one it never connects, as aioice does."""
    ignores_trickle: bool = False
    plays_after_delete: bool = False
    answers_after_delete: bool = False
    """STUN is answered after a DELETE; media stops."""
    never_misses_anyone: bool = False
    """Consent is not checked."""
    ignores_goodbye: bool = False
    leaves_at_once: bool = False
    """Says goodbye as soon as it is connected."""
    restarts_in_words: bool = False
    """A restart gets new credentials that nobody then uses."""
    plays_to_old_port: bool = False
    """After a restart every fifth packet still goes to the old address."""
    muted: str | None = None
    """A kind of media that is accepted and not sent."""
    wrong_payload: bool = False
    media: Oddities = field(default_factory=Oddities)


@dataclass(frozen=True, slots=True)
class Times:
    """How a live side keeps time."""

    consent_s: float = 1.0
    """Between two consent checks."""
    expires_s: float = 5.0
    """Without an answer for so long the peer is gone."""


class LiveSide:
    """ICE, DTLS and media of one session."""

    def __init__(self, faults: Faults, times: Times, *, offers: bool = False) -> None:
        certificate = make_certificate("mock")
        profiles: Sequence[str] = () if faults.no_srtp else PROFILES
        self.faults = faults
        self.connection = Connection(certificate, profiles)
        self.shell = Shell(self.connection, LOOPBACK, accepts=self._accepts, after=self._after)
        self.ended = False
        shown = new_fingerprint() if faults.wrong_fingerprint else certificate.fingerprint
        self.identity = Identity(fingerprint=shown)
        self.candidates: tuple[str, ...] = ()
        self._times = times
        self._told: list[Address] = []
        """The addresses that the peer named."""
        self._given_up = False
        self._deleted = False
        self._diverted = 0
        self._offers = offers
        """The peer answers: we control ICE."""

    @property
    def connected(self) -> bool:
        """Whether media can flow."""
        return self.connection.connected

    async def start(self, offer: Description, protocol: ProtocolName) -> None:
        """Open the first socket for an offer of the peer."""
        chosen = answers.choose(offer, protocol)
        client = offer.sections[min(chosen)].inherited("setup") == "passive"
        media = {offer.sections[index]: int(payload) for index, payload in sorted(chosen.items())}
        self._describe(offer, media, client=client)
        if protocol == "whep":
            self._play(media)
        await self._open_path()
        self._take(offer)

    async def start_offering(self) -> None:
        """Open the first socket for a peer that will answer."""
        await self._open_path()

    def take_answer(self, answer: Description) -> None:
        """The answer to our own offer: play what it accepts."""
        media = {section: int(section.formats[0]) for section in answer.media}
        self._describe(answer, media, client=answer.transport("setup") == "passive")
        self._play(media)
        self._take(answer)

    async def trickle(self, fragment: Description) -> None:
        """Further candidates of the peer."""
        if not self.faults.ignores_trickle:
            self._take(fragment)

    async def restart(self, fragment: Description) -> None:
        """New credentials on both sides, on a socket of its own."""
        self.identity = self.identity.restarted()
        if not self.faults.restarts_in_words:
            await self._open_path()
            self._take(fragment)

    async def close(self) -> None:
        """The session was deleted: BYE, close_notify, silence."""
        self._deleted = True
        if not (self.faults.plays_after_delete or self.faults.answers_after_delete):
            self._end()
        elif self.faults.answers_after_delete:
            self.connection.source = None

    def stop(self) -> None:
        """Close the sockets, whatever the faults say."""
        self.shell.close()

    def _describe(self, remote: Description, media: Mapping[Media, int], *, client: bool) -> None:
        """What the peer says beside ICE."""
        self.connection.set_remote(fingerprints(remote), client=client, formats=formats(list(media)))

    def _play(self, media: Mapping[Media, int]) -> None:
        """Send on these sections, under these payload types."""
        shift = 1 if self.faults.wrong_payload else 0
        tracks = [
            Track(section.kind, payload + shift, STEPS_S[section.kind], answers.STREAM, mid_of(section))
            for section, payload in media.items()
            if section.kind != self.faults.muted
        ]
        self.connection.source = MediaSource(tracks, self.faults.media)

    async def _open_path(self) -> None:
        local = Credentials(self.identity.ufrag, self.identity.password)
        habits = Habits(consent_s=self._times.consent_s)
        ice = IceAgent(local, controlling=self._offers, habits=habits, silent=self.faults.deaf)
        port = await self.shell.open_path(ice)
        self.candidates = (f"1 1 udp {HOST_PRIORITY} {LOOPBACK} {port} typ host",)

    def _take(self, remote: Description) -> None:
        """The peer's credentials and candidates, for the newest path."""
        newest = self.connection.paths[max(self.connection.paths)]
        addresses = usable_addresses(remote)
        self._told += addresses
        levels = [remote.session, *(media.attributes for media in remote.sections)]
        told_all = any(level.has("end-of-candidates") for level in levels)
        self._given_up = self._given_up or (self.faults.gives_up_when_told_all and told_all and not self._told)
        ufrag, password = remote.transport("ice-ufrag"), remote.transport("ice-pwd")
        known = newest.remote
        credentials = Credentials(ufrag, password) if ufrag and password else known
        if credentials is not None:
            newest.set_remote(credentials, addresses, self.shell.now())

    def _accepts(self, datagram: bytes, source: Address) -> bool:
        """Whether a datagram is looked at at all."""
        if self._given_up or (self.faults.needs_candidates and source not in self._told):
            return False
        if not self.faults.needs_priority or not looks_like_stun(datagram):
            return True
        try:
            message = parse_stun(datagram)
        except MalformedStun:
            return True
        return message.kind is not Kind.REQUEST or message.value(Attribute.PRIORITY) is not None

    def _after(self) -> None:
        """Notice that the peer is gone."""
        connection = self.connection
        if self.faults.plays_to_old_port and connection.active > 0:
            self._divert()
        if self.ended or not connection.connected:
            return
        if self.faults.leaves_at_once or (connection.left and not self.faults.ignores_goodbye):
            self._end()
        answered_s = connection.ice.answered_s or 0.0
        lost = self.shell.now() - answered_s > self._times.expires_s
        if lost and not self.faults.never_misses_anyone and not self._deleted:
            self._end()

    def _divert(self) -> None:
        """Send every fifth media packet where the first path led."""
        old = self.connection.paths[0].selected
        waiting = list(self.connection.outgoing)
        self.connection.outgoing.clear()
        for path, datagram, address in waiting:
            self._diverted += is_media(datagram)
            if is_media(datagram) and self._diverted % 5 == 0 and old is not None:
                self.connection.outgoing.append((0, datagram, old))
            else:
                self.connection.outgoing.append((path, datagram, address))

    def _end(self) -> None:
        self.ended = True
        connection = self.connection
        if connection.source is not None:
            connection.send_rtcp(Bye(tuple(track.ssrc for track in connection.source.tracks)))
        connection.say_goodbye()
        self.shell.flush()
        connection.muted = True
        for ice in connection.paths.values():
            ice.silent = True


class LiveSides:
    """Opens live sides for a mock server, and closes their sockets at the end of the block."""

    def __init__(self, faults: Faults | None = None, times: Times | None = None) -> None:
        self._faults = faults or Faults()
        self._times = times or Times()
        self.opened: list[LiveSide] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for side in self.opened:
            side.stop()

    async def open(self, offer: Description, protocol: ProtocolName) -> MediaSide:
        """The opener of a ``MockServer``."""
        side = LiveSide(self._faults, self._times)
        self.opened.append(side)
        await side.start(offer, protocol)
        return side

    async def open_offering(self) -> LiveSide:
        """A side whose peer will answer."""
        side = LiveSide(self._faults, self._times, offers=True)
        self.opened.append(side)
        await side.start_offering()
        return side
