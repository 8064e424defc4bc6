"""L, what is played: keyframes on request, pictures that match their label, reports and packets without a gap.

Strict makes no difference here beyond the warnings.
"""

import re
from typing import Final

from conformance.agent.h264_bits import ParameterSet, SliceType
from conformance.agent.received import Source
from conformance.canned import H264, audio, make_offer, video
from conformance.check import Check, Outcome, Result, Severity, broken, check, inconclusive, passed
from conformance.description import Description
from conformance.live_session import Live, playing
from conformance.target import Target, Unmet

SHOULD, COMPAT = Severity.SHOULD, Severity.COMPAT


def video_of(live: Live) -> Source:
    """The video that arrives. Errors: Unmet where there is none whose pictures can be told apart."""
    source = live.agent.log.main("video")
    if source is None or source.pictures is None:
        raise Unmet("no H.264 or VP8 video is played")
    return source


@check(
    "L-09",
    on="whep",
    severity=SHOULD,
    live=True,
    tier=3,
    text="A PLI brings a keyframe within 2 s.",
)
async def keyframe_on_request(target: Target) -> Result:
    """The request is repeated half-way, as players do. It comes a while after joining: servers limit how often."""
    limits = target.wire.limits.live
    async with playing(target) as live:
        pictures = video_of(live).pictures
        assert pictures is not None
        await live.pause(limits.settle_s)
        asked_s = live.now

        def came() -> bool:
            return bool(pictures.keyframes_s) and pictures.keyframes_s[-1] > asked_s

        for _ in range(2):
            live.agent.request_keyframe()
            if await live.agent.wait_for(came, limits.keyframe_s / 2):
                return passed(f"keyframe after {pictures.keyframes_s[-1] - asked_s:.2f} s")
        return broken(f"no keyframe within {limits.keyframe_s:g} s")


@check(
    "L-10",
    on="whep",
    severity=COMPAT,
    live=True,
    tier=2,
    text="H.264 is what the answer says: SPS profile and level within profile-level-id, no B-frames.",
)
async def pictures_match_label(target: Target) -> Result:
    """Safari shows black where label and bits differ; browsers show B-frames in the wrong order."""
    offer = make_offer("whep", audio("whep"), video("whep", H264))
    async with playing(target, offer=offer) as live:
        label = promised(live.answer)
        pictures = video_of(live).pictures
        assert pictures is not None
        await live.agent.wait_for(lambda: bool(pictures.parameter_sets), target.wire.limits.live.media_s)
        await live.pause(target.wire.limits.live.look_s)
        if not pictures.parameter_sets:
            return broken("no SPS in-band: a player that joins late cannot decode")
        found = ", ".join(sorted(parameters.level_id for parameters in pictures.parameter_sets))
        if not all(label.allows(parameters) for parameters in pictures.parameter_sets):
            return broken(f"labelled {label.level_id}, sent {found}")
        if SliceType.B in pictures.slice_types:
            return broken("B-frames")
        return passed(f"labelled {label.level_id}, sent {found}, no B-frames")


def promised(answer: Description) -> ParameterSet:
    """The answer's ``profile-level-id``. Errors: Unmet where H.264 is not what was agreed."""
    for media in answer.media:
        if media.kind != "video":
            continue
        names = media.by_format("rtpmap")
        for payload in media.formats:
            if names.get(payload, "").lower().startswith("h264/"):
                match = re.search(r"profile-level-id=([0-9A-Fa-f]{6})", media.by_format("fmtp").get(payload, ""))
                return ParameterSet(*bytes.fromhex(match[1] if match else "42000a"))  # RFC 6184 8.1: baseline, level 1
    raise Unmet("the answer has no H.264")


@check(
    "L-11",
    on="whep",
    severity=SHOULD,
    live=True,
    tier=3,
    long=True,
    text="30 s of media: sender reports on every stream, one CNAME, no sequence number missing.",
)
async def media_is_whole(target: Target) -> Result:
    """Lip-sync needs reports and one CNAME. On a lossy network the gaps may be the network's.

    Where this machine was too busy to read all packets, there is a second try.
    """
    first = await _watched(target)
    return await _watched(target) if first.outcome is Outcome.INCONCLUSIVE else first


async def _watched(target: Target) -> Result:
    limits = target.wire.limits.live
    async with playing(target) as live:
        await live.pause(limits.watch_s)
        log = live.agent.log
        faults = []
        sources = [source for kind in live.kinds if (source := log.main(kind)) is not None]
        for source in sources:
            if not source.reports:
                faults.append(f"no sender report for {source.format.kind}")
            if source.missing:
                faults.append(
                    f"{source.missing} of {source.packets + source.missing} {source.format.kind} packets missing"
                )
        names = {log.names.get(source.ssrc) for source in sources}
        if None in names:
            faults.append("no CNAME")
        elif len(names) > 1:
            faults.append("audio and video have different CNAMEs")
        if faults:
            lost = live.agent.shell.dropped()
            said = "; ".join(faults)
            return inconclusive(f"this machine dropped {lost} packets unread: {said}") if lost else broken(said)
        counts = ", ".join(f"{source.packets} {source.format.kind} packets" for source in sources)
        return passed(f"{limits.watch_s:g} s: {counts}, none missing, reports on each, one CNAME")


CHECKS: Final[tuple[Check, ...]] = (keyframe_on_request, pictures_match_label, media_is_whole)
