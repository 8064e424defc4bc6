"""A mock that always makes a counter-offer: 406 with an offer of its own, completed by a PATCH with the answer.

Source: draft-ietf-wish-whep-04 section 4.3.2.
"""

import secrets
from typing import Final

from conformance.canned import H264, OPUS, SDP
from conformance.description import MalformedDescription, parse
from conformance.mock import answers
from conformance.mock.http import Handler, Reply, Request
from conformance.mock.live_side import LiveSide, LiveSides

PATH: Final = "/live/s/"


class CounterOffers:
    """The handler; what is no offer and no session of its own goes on to another."""

    def __init__(self, handler: Handler, sides: LiveSides) -> None:
        self._handler = handler
        self._sides = sides
        self._sessions: dict[str, LiveSide] = {}

    async def handle(self, request: Request) -> Reply:
        """Answer one request."""
        if request.method == "POST" and request.path == "/live":
            return await self._offer()
        side = self._sessions.get(request.path.removeprefix(PATH))
        if side is None:
            return await self._handler(request)
        if request.method == "DELETE":
            del self._sessions[request.path.removeprefix(PATH)]
            await side.close()
            return Reply(200)
        if request.method == "PATCH" and request.media_type == SDP:
            return self._take(side, request)
        return Reply(405, (("Allow", "PATCH, DELETE"),))

    async def _offer(self) -> Reply:
        side = await self._sides.open_offering()
        name = secrets.token_urlsafe(18)
        self._sessions[name] = side
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
        for number, (kind, codec) in enumerate((("audio", OPUS), ("video", H264))):
            lines += [
                f"m={kind} 9 UDP/TLS/RTP/SAVPF {codec.payload}",
                "c=IN IP4 0.0.0.0",
                f"a=mid:{number}",
                "a=sendonly",
            ]
            lines += [*answers.credentials(side.identity), f"a=fingerprint:{side.identity.fingerprint}"]
            lines += ["a=setup:actpass", "a=rtcp-mux", *codec.lines(), f"a=msid:{answers.STREAM} {kind}"]
            lines += answers.candidate_lines(side) if number == 0 else []
        headers = (("Content-Type", SDP), ("Location", f"{PATH}{name}"))
        return Reply(406, headers, answers.joined(lines).encode())

    def _take(self, side: LiveSide, request: Request) -> Reply:
        try:
            answer = parse(request.body.decode("utf-8", "replace"))
        except MalformedDescription:
            return Reply(400)
        if not answer.media or any(section.direction != "recvonly" for section in answer.media):
            return Reply(422)
        side.take_answer(answer)
        return Reply(204)
