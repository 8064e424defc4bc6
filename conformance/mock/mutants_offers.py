"""Mutants of what becomes of an offer: P (taken), N (refused) and A (the answer)."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from conformance.canned import new_fingerprint
from conformance.mock.http import Handler, Reply, Request
from conformance.mock.rewriting import (
    Asks,
    Mutant,
    Wrap,
    answer_with,
    answer_without,
    at,
    body,
    both,
    created,
    headed,
    header,
    in_turn,
    instead,
    lacking,
    posts,
    reply_changed,
    request_changed,
    rewritten,
    sends,
    status,
    with_header,
)

SLOW_S: Final = 0.1
FAULT: Final = Reply(500)
TAKEN: Final = Reply(201, (("Content-Type", "application/sdp"), ("Location", "/live/s/nothing")), b"v=0\r\n")


def slow(handler: Handler) -> Handler:
    """A server that takes its time."""

    async def handle(request: Request) -> Reply:
        await asyncio.sleep(SLOW_S)
        return await handler(request)

    return handle


def counted(handler: Handler) -> Handler:
    """A server that numbers its sessions."""
    names: dict[str, str] = {}

    async def handle(request: Request) -> Reply:
        head, _, name = request.path.rpartition("/")
        reply = await handler(replace(request, path=f"{head}/{names.get(name, name)}"))
        if not created(request, reply):
            return reply
        number = str(1000 + len(names))
        names[number] = (reply.header("location") or "").rpartition("/")[2]
        return replace(reply, headers=with_header(reply.headers, "Location", f"/live/s/{number}"))

    return handle


def path_relative(_: Request, reply: Reply) -> Reply:
    """A Location that lost its first slash, and still resolves."""
    location = (reply.header("location") or "").lstrip("/")
    return replace(reply, headers=with_header(reply.headers, "Location", location))


def one_section(text: str) -> str:
    """An answer that stops after its first section."""
    return text[: text.index("m=", text.index("m=") + 1)]


def swapped(old: str, new: str) -> Wrap:
    """Answers with a text replaced."""
    return answer_with(lambda text: text.replace(old, new))


def answer_if(text: str, change: Callable[[str], str]) -> Wrap:
    """Change the answers to offers that hold a text."""
    return reply_changed(body(change), lambda request, reply: created(request, reply) and posts(text)(request))


def both_ways(text: str) -> str:
    """An answer whose sections send and receive."""
    return re.sub(r"a=(?:sendonly|recvonly)\r\n", "a=sendrecv\r\n", text)


def offers_lacking(text: str) -> Asks:
    """Offers with sections but without a text."""
    return both(posts("m="), lacking(posts(text)))


def cut_off(request: Request) -> bool:
    """Whether an offer ends within a line."""
    return posts("v=0")(request) and not request.body.endswith(b"\n")


def one_video(request: Request) -> bytes:
    """An offer less its third section."""
    parts = request.body.split(b"m=")
    return b"m=".join(parts[:3])


def unpadded(request: Request) -> bytes:
    """An offer less its padding."""
    return re.sub(rb"a=x-padding:\d*\r\n", b"", request.body)


ACCEPTED: Final = (
    Mutant("P-01", "POST gets 200", reply_changed(status(200), created)),
    Mutant("P-02", "the answer is text/plain", reply_changed(header("Content-Type", "text/plain"), created)),
    Mutant("P-03", "no Location", reply_changed(header("Location", None), created)),
    Mutant("P-03", "Location is the endpoint", reply_changed(header("Location", "/live"), created)),
    Mutant("P-04", "Location without its first slash", reply_changed(path_relative, created)),
    Mutant("P-05", "the second section is not answered", answer_with(one_section)),
    Mutant("P-05", "sections are renamed", swapped("a=mid:1", "a=mid:video")),
    Mutant("P-05", "the answer is no SDP", swapped("v=0", "x")),
    Mutant("P-06", "the answer has no candidates", answer_without("a=candidate:")),
    Mutant(
        "P-07",
        "Content-Type is compared as a string",
        request_changed(headed("Content-Type", "text/plain"), lacking(sends("content-type", "application/sdp"))),
    ),
    Mutant("P-08", "bare LF is malformed", instead(offers_lacking("\r\n"), Reply(400))),
    Mutant("P-09", "slow", slow, limits={"slow_reply_s": SLOW_S / 2}),
    Mutant("P-09", "later than OBS waits", slow, limits={"slow_reply_s": SLOW_S / 4, "late_reply_s": SLOW_S / 2}),
    Mutant("P-10", "one ETag for all", reply_changed(header("ETag", '"1"'), created)),
    Mutant("P-11", "sessions are numbered", counted),
    Mutant("P-12", "the answer has a byte order mark", answer_with(lambda text: "\ufeff" + text)),
    Mutant("P-12", "the answer is long", answer_with(lambda text: text + "a=x:y\r\n" * 2000)),
)

REFUSED: Final = (
    Mutant("N-01", "text/plain is taken", request_changed(headed("Content-Type", "application/sdp"))),
    Mutant(
        "N-01",
        "text/plain gets 400",
        reply_changed(status(400), at("POST", 415)),
        protocols=frozenset({"whep"}),
        options={"strict": True},
    ),
    Mutant("N-02", "no type is taken", request_changed(headed("Content-Type", "application/sdp"))),
    Mutant("N-03", "hello is a fault", instead(posts("hello"), FAULT)),
    Mutant(
        "N-03", "an empty body gets an offer", instead(lambda asked: asked.method == "POST" and not asked.body, TAKEN)
    ),
    Mutant("N-04", "a NUL is a fault", instead(posts("\0"), FAULT)),
    Mutant("N-04", "a cut offer is taken", instead(cut_off, TAKEN)),
    Mutant(
        "N-05",
        "no fingerprint is needed",
        request_changed(rewritten("a=setup:", f"a=fingerprint:{new_fingerprint()}\r\na=setup:")),
    ),
    Mutant("N-05", "no ufrag is needed", instead(offers_lacking("a=ice-ufrag:"), TAKEN)),
    Mutant("N-06", "unknown codecs get 406 without an offer", reply_changed(status(406), at("POST", 422))),
    Mutant("N-06", "unknown codecs are a fault", reply_changed(status(500), at("POST", 422))),
    Mutant("N-07", "inactive is taken", request_changed(rewritten("a=inactive", "a=sendrecv"))),
    Mutant(
        "N-08",
        "any direction is taken",
        in_turn(
            request_changed(rewritten("a=recvonly", "a=sendrecv")),
            request_changed(rewritten("a=sendonly", "a=sendrecv")),
        ),
    ),
    Mutant(
        "N-09", "of two videos one is dropped", request_changed(lambda asked: replace(asked, body=one_video(asked)))
    ),
    Mutant("N-10", "half an offer is taken", request_changed(rewritten("a=rtpmap:99 X-NONE", "a=rtpmap:99 VP8"))),
    Mutant("N-11", "no body is too large", request_changed(lambda asked: replace(asked, body=unpadded(asked)))),
    Mutant("N-12", "409 without Retry-After", reply_changed(header("Retry-After", None))),
    Mutant("N-12", "an idle stream is 404", reply_changed(status(404), at("POST", 409))),
    Mutant("N-13", "406 is an ordinary error", reply_changed(status(406), at("POST", 422))),
    Mutant(
        "N-14",
        "problems with another status",
        reply_changed(body(lambda text: text.replace('"status": 4', '"status": 5'))),
    ),
    Mutant(
        "N-14",
        "a stack trace in the error",
        reply_changed(body(lambda text: "Traceback (most recent call last):\n" + text), at("POST", 400)),
    ),
)


AUDITED: Final = (
    Mutant("A-01", "nothing is bundled", answer_without("a=group:BUNDLE")),
    Mutant("A-02", "no rtcp-mux", swapped("a=rtcp-mux\r\n", "")),
    Mutant("A-03", "no rtcp-mux-only", swapped("a=rtcp-mux-only\r\n", "")),
    Mutant("A-04", "answers are sendrecv", answer_with(both_ways)),
    Mutant("A-05", "sendrecv is answered sendrecv", answer_if("a=sendrecv", both_ways)),
    Mutant("A-06", "answers are actpass", swapped("a=setup:passive", "a=setup:actpass")),
    Mutant(
        "A-07", "active is answered active", answer_if("a=setup:active", lambda text: text.replace("passive", "active"))
    ),
    Mutant("A-08", "the fingerprint is SHA-1", swapped("a=fingerprint:sha-256", "a=fingerprint:sha-1")),
    Mutant("A-08", "the password is short", answer_with(lambda text: re.sub(r"(a=ice-pwd:.{8}).*", r"\1\r", text))),
    Mutant("A-09", "candidates are names", swapped("198.51.100.1", "6f1c5b2e.local")),
    Mutant("A-10", "payload types of its own", answer_if("a=rtpmap:120 ", lambda text: text.replace("120", "111"))),
    Mutant("A-10", "extension ids of its own", swapped("a=extmap:13 ", "a=extmap:3 ")),
    Mutant("A-11", "H264 in mode 0", swapped("packetization-mode=1", "packetization-mode=0")),
    Mutant("A-12", "each track has its stream", swapped("a=msid:mock-stream video", "a=msid:mock-video video")),
    Mutant("A-12", "no msid", answer_without("a=msid:")),
    Mutant("A-13", "a data channel fails the session", instead(posts("m=application"), Reply(422))),
    Mutant(
        "A-13",
        "a data channel costs the video",
        answer_if("m=application", lambda text: text.replace("m=video 9", "m=video 0")),
    ),
    Mutant(
        "A-14",
        "layers that were never offered",
        answer_if("a=simulcast:", lambda text: text + "a=simulcast:recv 7\r\n"),
    ),
    Mutant("A-15", "lite on a private address", swapped("a=group:", "a=ice-lite\r\na=group:")),
)

MUTANTS: Final[tuple[Mutant, ...]] = (*ACCEPTED, *REFUSED, *AUDITED)
