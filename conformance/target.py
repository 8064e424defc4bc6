"""What is tested, and all that a check may do to it: post offers, hold a session, ask what the server can.

Every session that a POST creates is deleted again, also when it was not meant to be created.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

import httpx

from conformance import ProtocolName
from conformance.canned import SDP, Offer, fragment, make_offer
from conformance.description import Description, MalformedDescription, parse
from conformance.recording import Exchange
from conformance.resource import Session, location_of
from conformance.wire import Wire

MOST_REDIRECTS: Final = 5
ORIGIN: Final = "https://player.example.org"


class Unmet(Exception):
    """A precondition of a check is missing: it is skipped, and says why."""


class NoSession(Unmet):
    """The server did not create a session for an offer."""


class Profile(StrEnum):
    """The text a server was written against."""

    RFC9725 = "rfc9725"
    WHEP_04 = "whep-04"
    MURILLO_01 = "murillo-01"
    """The WHEP draft of 2022, still deployed: GET may be 405, PATCH 405 or 501, an empty POST asks for an offer."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the operator says about the server and asks of the tool."""

    protocol: ProtocolName
    url: str
    origin: str = ORIGIN
    idle_url: str | None = None
    """A stream without a publisher."""
    redirect_url: str | None = None
    """An endpoint that redirects to another."""
    strict: bool = False
    stress: bool = False
    allow_http: bool = False
    profile: Profile | None = None
    """By default the protocol's newest text."""


@dataclass(frozen=True, slots=True)
class Features:
    """What a server showed that it can; the texts make each of these optional."""

    etag: bool
    trickle: bool
    trickle_status: int
    restart: bool
    restart_status: int


@dataclass(frozen=True, slots=True)
class Created:
    """The reply to a plain valid offer. Its session has been deleted; many checks judge this one reply."""

    offer: Offer
    reply: httpx.Response
    exchanges: tuple[Exchange, ...]

    @property
    def answer(self) -> Description:
        """Errors: Unmet where there is none to judge."""
        if self.reply.status_code != httpx.codes.CREATED:
            raise Unmet(f"no answer to judge: POST gave {self.reply.status_code}")
        try:
            answer = parse(self.reply.text)
        except MalformedDescription as error:
            raise Unmet(f"no answer to judge: {error}") from None
        if not answer.media:
            raise Unmet("no answer to judge: it accepts no audio and no video")
        return answer


class Target:
    """A server under test."""

    def __init__(self, options: Options, wire: Wire) -> None:
        self.options = options
        self.wire = wire
        self._created: Created | None = None
        self._features: Features | None = None

    def twin(self) -> Self:
        """The same server, what is known of it included, with a record of its own."""
        twin = copy(self)
        twin.wire = self.wire.twin()
        return twin

    @property
    def protocol(self) -> ProtocolName:
        """WHIP or WHEP."""
        return self.options.protocol

    @property
    def url(self) -> httpx.URL:
        """The endpoint."""
        return httpx.URL(self.options.url)

    @property
    def strict(self) -> bool:
        """Whether the letter counts."""
        return self.options.strict

    @property
    def profile(self) -> Profile:
        """The text to judge by."""
        return self.options.profile or (Profile.RFC9725 if self.protocol == "whip" else Profile.WHEP_04)

    @property
    def old(self) -> bool:
        """Whether the draft of 2022 is what the server was written against."""
        return self.profile is Profile.MURILLO_01

    def offer(self) -> Offer:
        """A new offer that every server should take."""
        return make_offer(self.protocol)

    @asynccontextmanager
    async def posted(
        self,
        body: str | bytes,
        *,
        content_type: str | None = SDP,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
        auth: bool = True,
        patient: bool = True,
        follow: bool = True,
    ) -> AsyncIterator[httpx.Response]:
        """The reply to a POST; whatever session came of it is deleted at the end of the block."""
        sent = ({"Content-Type": content_type} if content_type is not None else {}) | dict(headers or {})
        ask = self._follow if follow else self._post_once
        reply = await ask(url or self.url, sent, body, auth, patient)
        try:
            yield reply
        finally:
            location = location_of(reply)
            if location is not None and (reply.is_success or reply.status_code == httpx.codes.NOT_ACCEPTABLE):
                with suppress(httpx.TransportError):
                    await self.wire.request("DELETE", location)

    async def _follow(
        self, url: httpx.URL | str, headers: Mapping[str, str], body: str | bytes, auth: bool, patient: bool
    ) -> httpx.Response:
        """POST, repeated where a 307 or 308 sends it: clients must follow those (RFC 9725 section 4.5)."""
        for _ in range(MOST_REDIRECTS):
            reply = await self._post_once(url, headers, body, auth, patient)
            target = location_of(reply)
            if reply.status_code not in (307, 308) or target is None:
                break
            url = target
        return reply

    async def _post_once(
        self, url: httpx.URL | str, headers: Mapping[str, str], body: str | bytes, auth: bool, patient: bool
    ) -> httpx.Response:
        return await self.wire.request("POST", url, headers=headers, content=body, auth=auth, patient=patient)

    async def post(
        self,
        body: str | bytes,
        *,
        content_type: str | None = SDP,
        headers: Mapping[str, str] | None = None,
        url: str | None = None,
        auth: bool = True,
    ) -> httpx.Response:
        """The reply to a POST whose session, if one came of it, is already deleted."""
        async with self.posted(body, content_type=content_type, headers=headers, url=url, auth=auth) as reply:
            return reply

    @asynccontextmanager
    async def session(
        self, offer: Offer | None = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[Session]:
        """A session for the length of the block. Errors: NoSession."""
        offer = offer or self.offer()
        sent = {"Content-Type": SDP} | dict(headers or {})
        reply = await self._follow(self.url, sent, offer.text, True, True)
        url = location_of(reply)
        if not reply.is_success or url is None:
            missing = "no Location" if reply.is_success else f"{reply.status_code} to a valid offer"
            raise NoSession(f"no session: {missing}")
        session = Session(self.wire, offer, reply, url)
        try:
            yield session
        finally:
            if not session.ended:
                with suppress(httpx.TransportError):
                    await session.delete()

    async def created(self) -> Created:
        """The reply to one plain offer, asked for once a run."""
        if self._created is None:
            offer = self.offer()
            before = len(self.wire.recorder.exchanges)
            reply = await self.post(offer.text)
            self._created = Created(offer, reply, self.wire.recorder.exchanges[before:])
        self.wire.recorder.cite(self._created.exchanges)
        return self._created

    async def features(self) -> Features:
        """What the server can, found out once a run by one session. Errors: Unmet where it gives none."""
        if self._features is None:
            async with self.session() as session:
                trickled = await session.patch(fragment(session.offer))
                restart = fragment(session.offer, identity=session.offer.identity.restarted())
                restarted = await session.patch(restart, if_match="*")
                self._features = Features(
                    etag="etag" in session.reply.headers,
                    trickle=trickled.is_success,
                    trickle_status=trickled.status_code,
                    restart=restarted.status_code == httpx.codes.OK,
                    restart_status=restarted.status_code,
                )
        return self._features
