"""For each live check at least one way to be wrong, and what the check is to say of it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from conformance import ProtocolName
from conformance.agent.media_source import Oddities
from conformance.mock.http import Handler, Reply, Request
from conformance.mock.live_side import Faults, Times
from conformance.mock.rewriting import Wrap, answer_with, at, created, header, reply_changed, status

BOTH: Final[frozenset[ProtocolName]] = frozenset({"whip", "whep"})


@dataclass(frozen=True, slots=True)
class LiveMutant:
    """One way to be wrong."""

    check: str
    text: str
    """What it does, in a few words."""
    says: str
    """A regular expression for what the check observes."""
    faults: Faults = field(default_factory=Faults)
    times: Times = field(default_factory=Times)
    wrap: Wrap = lambda handler: handler
    protocols: frozenset[ProtocolName] = BOTH
    counters: bool = False
    """The mock answers every offer with one of its own."""
    strict: bool = False
    """The mock insists on the letter."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Fields of ``LiveLimits`` to change: what only a limit ends must not take long."""


SHORT: Final = {"connect_s": 0.6, "media_s": 0.6, "restart_s": 0.6}
"""For a mutant that never connects, never plays, or does neither after a restart."""
SOON: Final = Times(consent_s=0.1, expires_s=0.4)
WHEP: Final[frozenset[ProtocolName]] = frozenset({"whep"})
WHIP: Final[frozenset[ProtocolName]] = frozenset({"whip"})


# --- wrong signalling around a right media side


def broken_restart_ends_session(handler: Handler) -> Handler:
    """A fragment that is refused costs the session."""

    async def handle(request: Request) -> Reply:
        reply = await handler(request)
        if request.method == "PATCH" and reply.status >= 400:
            await handler(Request("DELETE", request.path, (), b""))
        return reply

    return handle


def passive_to_passive(handler: Handler) -> Handler:
    """The answer's role is passive whatever was offered, and so is the server."""

    async def handle(request: Request) -> Reply:
        if request.method == "POST":
            request = replace(request, body=request.body.replace(b"a=setup:passive", b"a=setup:actpass"))
        return await handler(request)

    return handle


def stream_changed(change: Callable[[bytes], bytes]) -> Wrap:
    """Change each piece of an event stream."""

    def changed(_: Request, reply: Reply) -> Reply:
        return replace(reply, stream=pieces(reply.stream)) if reply.stream is not None else reply

    async def pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in stream:
            yield change(piece)

    return reply_changed(changed)


def endless(_: Request, reply: Reply) -> Reply:
    """The stream goes on with comments when its session has ended."""

    async def pieces(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in stream:
            yield piece
        while True:
            yield b": still here\n\n"
            await asyncio.sleep(0.05)

    return replace(reply, stream=pieces(reply.stream)) if reply.stream is not None else reply


def schemeless_location(request: Request, reply: Reply) -> Reply:
    """A Location of host and path, which OBS takes for a path alone."""
    return header("Location", f"//{request.header('host')}{reply.header('Location')}")(request, reply)


def is_restart(request: Request, reply: Reply) -> bool:
    """Whether this is the reply to a restart that worked."""
    return request.method == "PATCH" and reply.status == 200


def has_stream(_: Request, reply: Reply) -> bool:
    """Whether this is an event stream."""
    return reply.stream is not None


LIVE_MUTANTS: Final[tuple[LiveMutant, ...]] = (
    LiveMutant("L-04", "answers no STUN", "ICE not up", Faults(deaf=True), limits=SHORT),
    LiveMutant("L-04", "DTLS without SRTP", "no SRTP protection profile", Faults(no_srtp=True), limits=SHORT),
    LiveMutant("L-04", "another certificate", "fingerprints", Faults(wrong_fingerprint=True), limits=SHORT),
    LiveMutant("L-05", "sends no audio", "no audio within", Faults(muted="audio"), limits=SHORT),
    LiveMutant("L-05", "sends no video", "no video within", Faults(muted="video"), limits=SHORT),
    LiveMutant("L-05", "payload types of its own", "not agreed: ", Faults(wrong_payload=True), limits=SHORT),
    LiveMutant("L-05", "begins between keyframes", "not a keyframe", Faults(media=Oddities(keyframe_first=False))),
    LiveMutant("L-06", "plays on", "RTP still arrives", Faults(plays_after_delete=True), protocols=WHEP),
    LiveMutant("L-06", "goes on listening", "STUN", Faults(plays_after_delete=True), protocols=WHIP),
    LiveMutant("L-06", "answers STUN on", "STUN checks are still answered", Faults(answers_after_delete=True)),
    LiveMutant("L-06", "refuses DELETE", "DELETE gave 405", wrap=reply_changed(status(405), at("DELETE"))),
    LiveMutant("L-07", "plays to nobody", "still arrives", Faults(never_misses_anyone=True), SOON, protocols=WHEP),
    LiveMutant("L-07", "waits for ever", "still there", Faults(never_misses_anyone=True), SOON, protocols=WHIP),
    LiveMutant("L-07", "a refused restart ends it", "ended with a restart", wrap=broken_restart_ends_session),
    LiveMutant("L-08", "ignores close_notify", "still there", Faults(ignores_goodbye=True)),
    LiveMutant("L-09", "ignores PLI", "no keyframe within", Faults(media=Oddities(keyframe_on_request=False))),
    LiveMutant("L-10", "B-frames", "B-frames", Faults(media=Oddities(b_frames=True))),
    LiveMutant("L-10", "high profile", "labelled 42e01f, sent 640020", Faults(media=Oddities(level_id="640020"))),
    LiveMutant("L-10", "a higher level", "labelled 42e01f, sent 42e028", Faults(media=Oddities(level_id="42e028"))),
    LiveMutant(
        "L-10",
        "labels high, sends baseline with a level above",
        "labelled 64000a, sent 42e01f",
        wrap=answer_with(lambda text: text.replace("profile-level-id=42e01f", "profile-level-id=64000a")),
    ),
    LiveMutant("L-11", "no sender reports", "no sender report for audio", Faults(media=Oddities(reports=False))),
    LiveMutant("L-11", "two CNAMEs", "different CNAMEs", Faults(media=Oddities(one_name=False))),
    LiveMutant("L-11", "skips sequence numbers", "packets missing", Faults(media=Oddities(gap_every=7))),
    LiveMutant("C-01", "needs the peer's candidates", "ICE not up", Faults(needs_candidates=True), limits=SHORT),
    LiveMutant(
        "C-01", "Location without scheme", "DELETE at //.* 404", wrap=reply_changed(schemeless_location, created)
    ),
    LiveMutant("C-01", "DELETE gives 204", "gave 204", wrap=reply_changed(status(204), at("DELETE"))),
    LiveMutant("C-01", "POST gives 200", "200 to its offer", wrap=reply_changed(status(200), created)),
    LiveMutant("C-03", "needs PRIORITY", "ICE not up", Faults(needs_priority=True), limits=SHORT),
    LiveMutant("C-03", "passive to passive", "DTLS not done", wrap=passive_to_passive, limits=SHORT),
    LiveMutant(
        "C-03",
        "first candidate leads nowhere",
        "ICE not up",
        wrap=answer_with(
            lambda text: text.replace("a=candidate:", "a=candidate:2 1 udp 9 192.0.2.9 9 typ host\r\na=candidate:", 1)
        ),
        limits=SHORT,
    ),
    LiveMutant("C-03", "leaves at once", "said goodbye", Faults(leaves_at_once=True)),
    LiveMutant("C-04", "insists on If-Match", "PATCH got 428", protocols=WHEP, strict=True),
    LiveMutant("C-04", "fails at trickle", "PATCH got 500", wrap=reply_changed(status(500), at("PATCH"))),
    LiveMutant(
        "C-04",
        "says 204 and does nothing",
        "PATCH 204, but ICE not up",
        Faults(ignores_trickle=True, needs_candidates=True),
        limits=SHORT,
    ),
    LiveMutant("C-08", "gives up when told all", "ICE not up", Faults(gives_up_when_told_all=True), limits=SHORT),
    LiveMutant(
        "C-11", "refuses the answer", "415 to the answer", counters=True, wrap=reply_changed(status(415), at("PATCH"))
    ),
    LiveMutant(
        "C-11", "lets nobody in", "204 to the answer, but ICE not up", Faults(deaf=True), counters=True, limits=SHORT
    ),
    LiveMutant(
        "C-11",
        "names no session",
        "without Location",
        counters=True,
        wrap=reply_changed(header("Location", None), at("POST", 406)),
    ),
    LiveMutant("R-05", "ends the session", "answered no more", wrap=broken_restart_ends_session),
    LiveMutant(
        "R-05",
        "plays no more",
        "media has stopped",
        Faults(answers_after_delete=True),
        wrap=broken_restart_ends_session,
        protocols=WHEP,
    ),
    LiveMutant(
        "R-05",
        "takes half a restart for trickle",
        "204 to a restart",
        wrap=reply_changed(status(204), at("PATCH", 400)),
    ),
    LiveMutant(
        "R-06", "restarts in words", "did not come up on the new port", Faults(restarts_in_words=True), limits=SHORT
    ),
    LiveMutant("R-06", "plays to the old port", "went to the old port", Faults(plays_to_old_port=True), protocols=WHEP),
    LiveMutant(
        "R-06",
        "no ICE credentials in the reply",
        "no ICE credentials",
        wrap=reply_changed(lambda _, reply: replace(reply, body=b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n"), is_restart),
    ),
    LiveMutant("X-06", "stream outlives the session", "still open", wrap=reply_changed(endless)),
    LiveMutant("X-06", "events without a name", "0 names", wrap=stream_changed(lambda piece: piece.split(b"\n", 1)[1])),
    LiveMutant(
        "X-06",
        "pretty JSON over two lines",
        "2 data lines",
        wrap=stream_changed(lambda piece: piece.replace(b"data: {}", b"data: {\ndata: }")),
    ),
    LiveMutant("X-06", "words for data", "not JSON", wrap=stream_changed(lambda piece: piece.replace(b"{}", b"yes"))),
    LiveMutant(
        "X-06",
        "events nobody asked for",
        "not asked for",
        wrap=stream_changed(lambda piece: piece.replace(b"event: active", b"event: scte35")),
    ),
    LiveMutant(
        "X-06",
        "begins with inactive",
        "first event is inactive",
        wrap=stream_changed(lambda piece: piece.replace(b"event: active", b"event: inactive")),
    ),
    LiveMutant(
        "X-06",
        "GET of the stream fails",
        "GET gave 404",
        wrap=reply_changed(status(404), lambda _, reply: reply.stream is not None),
    ),
)
