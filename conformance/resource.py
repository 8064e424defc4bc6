"""The session resource: what ``Location`` names, and what a client may do to it."""

from collections.abc import Mapping
from typing import Final

import httpx

from conformance.canned import SDPFRAG, Offer
from conformance.description import Attributes, Description, MalformedDescription, parse
from conformance.wire import Wire

CURRENT: Final = "(the current tag)"
"""Stands for the session's own entity tag; where the server gave none, no ``If-Match`` is sent."""


def location_of(reply: httpx.Response) -> httpx.URL | None:
    """The URL that ``Location`` names, resolved against the request's (RFC 3986 section 5)."""
    value = reply.headers.get("location")
    if not value:
        return None
    try:
        return reply.request.url.join(value)
    except (httpx.InvalidURL, ValueError):
        return None


def media_type(reply: httpx.Response) -> str:
    """The media type of ``Content-Type``, lower case, without parameters."""
    return str(reply.headers.get("content-type", "")).partition(";")[0].strip().lower()


def answer_of(reply: httpx.Response) -> Description:
    """The session description of a reply; an empty one where it cannot be read, which P-05 reports."""
    try:
        return parse(reply.text)
    except MalformedDescription:
        return Description(Attributes(()), ())


class Session:
    """One session at the server, as far as it was created: the 201 and the URL it named."""

    def __init__(self, wire: Wire, offer: Offer, reply: httpx.Response, url: httpx.URL) -> None:
        self.wire = wire
        self.offer = offer
        self.reply = reply
        self.url = url
        self.etag: str | None = reply.headers.get("etag")
        self.ended = False
        """Whether a DELETE succeeded."""

    @property
    def answer(self) -> Description:
        """The answer; an empty one where it cannot be read."""
        return answer_of(self.reply)

    async def patch(
        self,
        body: str | bytes,
        *,
        if_match: str | None = CURRENT,
        content_type: str = SDPFRAG,
        headers: Mapping[str, str] | None = None,
        auth: bool = True,
        patient: bool = True,
    ) -> httpx.Response:
        """PATCH; a new entity tag of a successful restart becomes the session's."""
        sent = {"Content-Type": content_type} | dict(headers or {})
        tag = self.etag if if_match is CURRENT else if_match
        if tag is not None:
            sent["If-Match"] = tag
        reply = await self.wire.request("PATCH", self.url, headers=sent, content=body, auth=auth, patient=patient)
        if reply.status_code == httpx.codes.OK:
            self.etag = reply.headers.get("etag", self.etag)
        return reply

    async def get(self) -> httpx.Response:
        """GET."""
        return await self.wire.request("GET", self.url)

    async def delete(self, *, headers: Mapping[str, str] | None = None, auth: bool = True) -> httpx.Response:
        """DELETE."""
        reply = await self.wire.request("DELETE", self.url, headers=headers, auth=auth)
        self.ended = self.ended or reply.is_success
        return reply
