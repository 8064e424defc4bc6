"""C, the live half: connecting the way named clients do, to the letter of their versions.

Where a client looks at one thing only (a status, a header's form, the first candidate), so does its imitation.
Strict makes no difference here beyond the warnings.
"""

import secrets
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import httpx

from conformance.agent.ice_agent import Habits
from conformance.agent.manner import CM_80, Manner, NotConnected
from conformance.canned import fragment
from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.description import Description, MalformedDescription, parse
from conformance.imitated import FFMPEG_8_0, FIREFOX_FULL_GATHER, OBS_32, written
from conformance.live_session import GONE, live_agent, live_session
from conformance.target import Target

if TYPE_CHECKING:
    from conformance.agent.agent import Agent

COMPAT = Severity.COMPAT
OBS_TIMEOUT_S: Final = 8
FFMPEG_MANNER: Final = Manner(
    Habits(nominate_at_once=True, says_priority=False, says_role=False, maps_addresses=False, checks_consent=False),
    profiles=(CM_80,),
    first_host_only=True,
    always_server=True,
)
"""FFmpeg 8.0 calls itself an ICE-lite client; it takes the first UDP host candidate and ignores the answer's setup."""
FFMPEG_SDP_BYTES: Final = 8192


class Stopped(Exception):
    """The client gives up here; says at what."""


@asynccontextmanager
async def answered(
    target: Target, template: str, *, manner: Manner | None = None, host: str = ""
) -> AsyncIterator[tuple["Agent", httpx.Response, Description]]:
    """A client's offer with a live peer behind it, posted and answered with 201. Errors: Stopped."""
    async with live_agent(target, manner) as agent:
        text = written(template, agent.identity, number=secrets.randbits(31), host=host)
        async with target.posted(text) as reply:
            if reply.status_code != httpx.codes.CREATED:
                raise Stopped(f"{reply.status_code} to its offer")
            try:
                answer = parse(reply.text)
            except MalformedDescription as error:
                raise Stopped(f"the answer cannot be read: {error}") from None
            if not answer.media:
                raise Stopped("the answer accepts neither audio nor video")
            yield agent, reply, answer


# --- OBS


@check(
    "C-01",
    on="whip",
    severity=COMPAT,
    live=True,
    clauses=("I-EP-06", "I-EP-12", "I-SE-02"),
    text="OBS 32 connects without candidates and finds its session to end it.",
)
async def obs(target: Target) -> Result:
    """OBS closes its connection first and sends DELETE then; it wants 200, and only logs anything else."""
    try:
        async with answered(target, OBS_32) as (agent, reply, answer):
            url = obs_location(reply)
            agent.take_answer(answer)
            took_s = await agent.connect(target.wire.limits.live.connect_s)
            agent.publish(answer)
            await agent.wait_for(lambda: False, target.wire.limits.live.settle_s)
            agent.say_goodbye()
            ended = await target.wire.request("DELETE", url)
    except (Stopped, NotConnected) as error:
        return broken(str(error))
    if ended.status_code == httpx.codes.OK:
        return passed(f"connected after {took_s:.2f} s, DELETE gave 200")
    if ended.status_code in GONE and target_is(url, reply):
        return passed(f"connected after {took_s:.2f} s; its goodbye had ended the session before its DELETE")
    return broken(f"connected after {took_s:.2f} s, but DELETE at {url.path} gave {ended.status_code}")


def obs_location(reply: httpx.Response) -> httpx.URL:
    """The session's URL by OBS's rule: what does not begin with ``http`` is a path. Errors: Stopped."""
    if not reply.content:
        raise Stopped("the 201 is empty")
    location = reply.headers.get("location")
    if not location:
        raise Stopped("no Location")
    if location.startswith("http"):
        return httpx.URL(location)
    path = location if location.startswith("/") else f"/{location}"
    return reply.request.url.copy_with(raw_path=path.encode())


def target_is(url: httpx.URL, reply: httpx.Response) -> bool:
    """Whether a URL is the session's, by the rule of RFC 3986."""
    return url == reply.request.url.join(reply.headers.get("location", ""))


# --- FFmpeg


@check(
    "C-03",
    on="whip",
    severity=COMPAT,
    live=True,
    clauses=("I-EP-12", "I-EP-18"),
    text="FFmpeg 8.0 connects within 5 s: DTLS server, first host candidate only, STUN without PRIORITY.",
)
async def ffmpeg(target: Target) -> Result:
    """Its handshake limit is 5 s; its buffer for the answer 8192 bytes."""
    try:
        async with answered(target, FFMPEG_8_0, manner=FFMPEG_MANNER) as (agent, reply, answer):
            if not reply.text.startswith("v=") or len(reply.content) >= FFMPEG_SDP_BYTES:
                return broken(f"an answer of {len(reply.content)} bytes that begins {reply.text[:10]!r}")
            agent.take_answer(answer)
            took_s = await agent.connect(target.wire.limits.slow_reply_s)
            sent = agent.publish(answer)
            await agent.wait_for(lambda: False, target.wire.limits.live.settle_s)
            if agent.connection.left:
                return broken("connected, but the server said goodbye at once")
            return passed(f"connected after {took_s:.2f} s, sends {' and '.join(sent) or 'nothing'}")
    except Stopped as error:
        return broken(str(error))
    except NotConnected as error:
        return broken(f"{error}, as DTLS server")


# --- medooze


@check(
    "C-04",
    on="both",
    severity=COMPAT,
    live=True,
    clauses=("I-SE-05", "I-SE-13", "E-SE-09"),
    text="medooze whip-whep connects: no candidates in the offer, one PATCH at once, in WHEP without If-Match.",
)
async def medooze(target: Target) -> Result:
    """Its WHIP half sends the tag that it was given; its WHEP half never does. 405 and 501 mean "no trickle" to it.

    Strict: the PATCH without If-Match is to get 428, at which this client gives up.
    """
    async with live_session(target, candidates=()) as live:
        trickle = fragment(live.session.offer, (live.agent.candidate,), end=True)
        live.agent.take_answer(live.answer)
        tag = live.session.etag if target.protocol == "whip" else None
        reply = await live.session.patch(trickle, if_match=tag)
        if target.strict and tag is None and live.session.etag is not None:
            letter = reply.status_code == httpx.codes.PRECONDITION_REQUIRED
            return (
                passed("428, by the letter") if letter else broken(f"{reply.status_code} to a PATCH without If-Match")
            )
        if not reply.is_success and reply.status_code not in (405, 501):
            return broken(f"its PATCH got {reply.status_code}, at which it gives up")
        try:
            took_s = await live.agent.connect(target.wire.limits.live.connect_s)
        except NotConnected as error:
            return broken(f"PATCH {reply.status_code}, but {error}")
        missing = await live.media(target.wire.limits.live.media_s)
        if missing:
            return broken(f"PATCH {reply.status_code}, connected, but no {' and no '.join(missing)}")
        return passed(f"PATCH {reply.status_code}, connected after {took_s:.2f} s")


# --- Firefox


@check(
    "C-08",
    on="whep",
    severity=COMPAT,
    live=True,
    clauses=("E-EP-15", "E-SE-09"),
    text="Firefox after full gathering connects: only .local and TCP candidates, then end-of-candidates.",
)
async def firefox(target: Target) -> Result:
    """The server cannot reach it by what it was told; the player's own checks must do."""
    try:
        async with answered(target, FIREFOX_FULL_GATHER, host=str(uuid.uuid4())) as (agent, _, answer):
            agent.take_answer(answer)
            took_s = await agent.connect(target.wire.limits.live.connect_s)
            await agent.wait_for(lambda: bool(agent.log.sources), target.wire.limits.live.media_s)
            if not agent.log.sources:
                return broken(f"connected after {took_s:.2f} s, but no media arrived")
            return passed(f"connected after {took_s:.2f} s, media arrives")
    except (Stopped, NotConnected) as error:
        return broken(str(error))


CHECKS: Final[tuple[Check, ...]] = (obs, ffmpeg, medooze, firefox)
