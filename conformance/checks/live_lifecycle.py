"""L: the life of a session with ICE, DTLS and media: it connects, plays, and ends when either side ends it.

Strict makes no difference here beyond the warnings.
"""

from typing import Final

from conformance.agent.manner import NotConnected
from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.live_session import Live, broken_restart, live_session, playing
from conformance.target import Target

MUST, SHOULD = Severity.MUST, Severity.SHOULD


@check(
    "L-04",
    on="both",
    severity=MUST,
    live=True,
    clauses=("I-MS-01", "I-MS-02", "I-SE-21", "E-SE-11"),
    text="ICE and DTLS connect within 10 s, with an SRTP profile that is safe.",
)
async def connects(target: Target) -> Result:
    """The profiles asked for are AES-GCM and AES-CM; with neither there is no connection. No extension is used."""
    async with live_session(target) as live:
        try:
            took_s = await live.connect()
        except NotConnected as error:
            return broken(str(error))
        keys = live.agent.connection.keys
        return passed(f"connected after {took_s:.2f} s, {keys.profile if keys else 'no profile'}")


@check(
    "L-05",
    on="whep",
    severity=MUST,
    live=True,
    clauses=("E-EP-18", "E-SE-12"),
    text="RTP arrives on every accepted section within 5 s; the first video picture is a keyframe.",
)
async def media_arrives(target: Target) -> Result:
    """Also judges that RTP comes under the payload types that were agreed."""
    limits = target.wire.limits.live
    async with live_session(target) as live:
        try:
            await live.connect()
        except NotConnected as error:
            return broken(f"not connected: {error}")
        missing = await live.media(limits.media_s)
        log = live.agent.log
        strangers = ", ".join(map(str, sorted(log.strangers)))
        if missing:
            unknown = f"; packets of payload types that were not agreed: {strangers}" if strangers else ""
            return broken(f"no {' and no '.join(missing)} within {limits.media_s:g} s{unknown}")
        video = log.main("video")
        if video is None or video.pictures is None:
            return passed(f"{' and '.join(live.kinds)} arrived")
        pictures = video.pictures
        await live.agent.wait_for(lambda: pictures.begins_with_keyframe is not None, limits.media_s)
        if not pictures.begins_with_keyframe:
            return broken("the first picture is not a keyframe: a decoder shows nothing until the next one")
        return passed(f"{' and '.join(live.kinds)} arrived, the first picture a keyframe ({pictures.codec})")


@check(
    "L-06",
    on="both",
    severity=MUST,
    live=True,
    tier=2,
    clauses=("I-SE-02", "I-SE-03", "E-SE-02", "E-SE-03"),
    text="After a DELETE media stops within 2 s and STUN is answered no more.",
)
async def delete_stops_media(target: Target) -> Result:
    """A server that ends a session revokes its consent at once (RFC 7675 section 5.2)."""
    limits = target.wire.limits.live
    async with playing(target) as live:
        reply = await live.session.delete()
        if not reply.is_success:
            return broken(f"DELETE gave {reply.status_code}")
        deleted_s = live.now
        await live.pause(limits.quiet_s + limits.settle_s)
        last_s = live.agent.log.last_rtp_s
        if last_s is not None and last_s > deleted_s + limits.quiet_s:
            return broken(f"RTP still arrives {last_s - deleted_s:.1f} s after the DELETE")
        if await live.agent.still_answers(limits.settle_s):
            return broken("STUN checks are still answered")
        goodbye = "with" if live.agent.connection.left else "without"
        return passed(f"silent, {goodbye} a DTLS close_notify")


@check(
    "L-07",
    on="both",
    severity=MUST,
    live=True,
    tier=2,
    long=True,
    clauses=("I-SE-04", "I-SE-20", "E-SE-04"),
    text="A peer that vanishes, after a restart was refused, is noticed within 45 s: media stops, the session is gone.",
)
async def vanished_peer_noticed(target: Target) -> Result:
    """Consent expires 30 s after the last answer (RFC 7675 section 5.1); a restart that failed must not change that."""
    limits = target.wire.limits.live
    async with playing(target) as live:
        could_look = (await live.session.get()).is_success
        await live.session.patch(broken_restart(live.session.offer), if_match="*")
        can_look = (await live.session.get()).is_success
        if could_look and not can_look:
            return broken("the session ended with a restart that was refused")
        vanished_s = live.now
        live.agent.go_silent()
        gone_s = await live.gone_after(limits.vanish_s) if can_look else None
        return await _judge_vanishing(live, vanished_s, gone_s, can_look=can_look)


async def _judge_vanishing(live: Live, vanished_s: float, gone_s: float | None, *, can_look: bool) -> Result:
    limits = live.target.wire.limits.live
    log = live.agent.log

    def quiet() -> bool:
        return log.last_rtp_s is None or live.now - log.last_rtp_s > limits.settle_s

    stopped = await live.agent.wait_for(quiet, vanished_s + limits.vanish_s + limits.settle_s - live.now)
    if not stopped:
        return broken(f"RTP still arrives {live.now - vanished_s:.0f} s after the peer fell silent")
    media = "" if log.last_rtp_s is None else f"media stopped after {max(0.0, log.last_rtp_s - vanished_s):.1f} s, "
    if not can_look:
        return passed(f"{media}GET does not show whether the session is gone")
    if gone_s is None:
        return broken(f"{media}but the session's URL is still there after {limits.vanish_s:g} s")
    return passed(f"{media}session gone after {gone_s:.1f} s")


@check(
    "L-08",
    on="both",
    severity=SHOULD,
    live=True,
    tier=2,
    clauses=("I-SE-04", "E-SE-04"),
    text="A DTLS close_notify ends the session within 5 s.",
)
async def goodbye_ends_session(target: Target) -> Result:
    """What a browser sends when a tab is closed, if it sends anything at all."""
    limits = target.wire.limits.live
    async with playing(target) as live:
        can_look = (await live.session.get()).is_success
        left_s = live.now
        live.agent.say_goodbye()
        if can_look:
            gone_s = await live.gone_after(limits.goodbye_s)
            if gone_s is None:
                return broken(f"the session's URL is still there {limits.goodbye_s:g} s later")
            return passed(f"session gone after {gone_s:.1f} s")
        await live.pause(limits.goodbye_s)
        last_s = live.agent.log.last_rtp_s
        if last_s is not None and live.now - last_s < limits.settle_s:
            return broken(f"RTP still arrives {last_s - left_s:.1f} s later")
        return passed("media has stopped; GET does not show whether the session is gone")


CHECKS: Final[tuple[Check, ...]] = (
    connects,
    media_arrives,
    delete_stops_media,
    vanished_peer_noticed,
    goodbye_ends_session,
)
