"""R, the live half: an ICE restart that fails leaves the session alone, one that succeeds moves its media.

Strict makes no difference here beyond the warnings.
"""

from typing import Final

import httpx

from conformance.agent.manner import NotConnected
from conformance.agent.received import Source
from conformance.canned import fragment
from conformance.check import Check, Result, Severity, broken, check, passed
from conformance.description import MalformedDescription, parse_fragment
from conformance.live_session import Live, broken_restart, playing
from conformance.target import Target, Unmet

MUST = Severity.MUST


async def media_flows(live: Live) -> bool:
    """Whether a packet arrives within a moment from now; in WHIP, where we are the one to send, always."""
    began_s, log = live.now, live.agent.log
    return live.target.protocol == "whip" or await live.agent.wait_for(
        lambda: log.last_rtp_s is not None and log.last_rtp_s > began_s, live.target.wire.limits.live.settle_s
    )


@check(
    "R-05",
    on="both",
    severity=MUST,
    live=True,
    tier=3,
    clauses=("I-SE-19", "E-SE-10"),
    text="A broken ICE restart is refused with 4xx, and media goes on.",
)
async def broken_restart_harmless(target: Target) -> Result:
    """A new ufrag without a password."""
    limits = target.wire.limits.live
    async with playing(target) as live:
        reply = await live.session.patch(broken_restart(live.session.offer), if_match="*")
        if not reply.is_client_error:
            return broken(f"{reply.status_code} to a restart without a password")
        await live.pause(limits.steady_s)
        if not await live.agent.still_answers(limits.settle_s):
            return broken(f"{reply.status_code}, but STUN checks are answered no more")
        if not await media_flows(live):
            return broken(f"{reply.status_code}, but media has stopped")
        return passed(f"{reply.status_code}, and media goes on")


@check(
    "R-06",
    on="both",
    severity=MUST,
    live=True,
    tier=3,
    clauses=("I-SE-15", "I-SE-17", "E-SE-10"),
    text="After an ICE restart from a new port media is back within 5 s, on the new pair alone.",
)
async def restart_moves_media(target: Target) -> Result:
    """What a player does whose network address changed: the old socket is gone before the PATCH."""
    features = await target.features()
    if not features.restart:
        raise Unmet(f"no ICE restart: the PATCH gave {features.restart_status}")
    limits = target.wire.limits.live
    async with playing(target) as live:
        live.agent.abandon_socket()
        identity = await live.agent.open_socket()
        body = fragment(live.session.offer, (live.agent.candidate,), identity=identity)
        reply = await live.session.patch(body, if_match="*")
        if reply.status_code != httpx.codes.OK:
            return broken(f"{reply.status_code} to a restart with a new port")
        try:
            live.agent.take_remote(parse_fragment(reply.text))
        except (MalformedDescription, NotConnected) as error:
            return broken(f"the restart's fragment: {error}")
        return await _judge_move(live, limits.restart_s)


async def _judge_move(live: Live, restart_s: float) -> Result:
    connection, log = live.agent.connection, live.agent.log
    began_s = live.now
    moved = await live.agent.wait_for(lambda: connection.active == max(connection.paths), restart_s)
    if not moved:
        return broken(f"200, but ICE did not come up on the new port within {restart_s:g} s")
    if live.target.protocol == "whip":
        return passed(f"ICE is up on the new port after {live.now - began_s:.2f} s")

    def arrived() -> bool:
        return all(source.by_path[connection.active] > 0 for source in _playing(live))

    if not await live.agent.wait_for(arrived, restart_s):
        return broken(f"200 and ICE is up, but no media on the new port within {restart_s:g} s")
    took_s = live.now - began_s
    await live.pause(live.target.wire.limits.live.settle_s)  # what was on its way may still arrive
    before = sum(source.by_path[0] for source in log.sources.values())
    await live.pause(live.target.wire.limits.live.settle_s)
    after = sum(source.by_path[0] for source in log.sources.values())
    if after > before:
        return broken(f"{after - before} packets still went to the old port")
    return passed(f"media is back after {took_s:.2f} s, on the new port alone")


def _playing(live: Live) -> list[Source]:
    return [source for kind in live.kinds if (source := live.agent.log.main(kind)) is not None]


CHECKS: Final[tuple[Check, ...]] = (broken_restart_harmless, restart_moves_media)
