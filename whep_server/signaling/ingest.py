"""Which sections of a publisher's offer are served: its Opus audio. Video is accepted and thrown away. Pure.

An encoder that always sends pictures must be able to publish, and RFC 9725 section 4.4.3 asks not to accept an offer
in part: so a video section in any usual codec is answered ``recvonly``, with a low bandwidth, and what comes is thrown
away. An offer is refused whole where something in it cannot be received.  [I-EP-17]
"""

from typing import Final

from whep_server.errors import NotAcceptable
from whep_server.signaling.negotiation import Ignored, Plan, Served, by_type, offered_codecs, payload_type
from whep_server.signaling.sdp import Offer, Section

VIDEO_CODECS: Final = frozenset(f"{name}/90000" for name in ("h264", "h265", "vp8", "vp9", "av1"))
"""Codecs whose packets may be thrown away: those that publishers send."""


def plan_ingest(offer: Offer) -> Plan:
    """Decide what of a publisher's offer is received.  [I-EP-09] [I-EP-16]

    Errors: NotAcceptable where there is not exactly one section of Opus audio to be received, more than one of video,
    video in no known codec, or where they would need two transports; MalformedSdp as ``Offer.transport``.
    """
    audio, video = _sent(offer, "audio"), _sent(offer, "video")
    if len(audio) != 1:
        raise NotAcceptable(f"one audio section that sends is needed, here are {len(audio)}")
    if len(video) > 1:
        raise NotAcceptable(f"at most one video section can be received, here are {len(video)}")
    index, section = audio[0]
    if video and not (offer.bundled(section) and offer.bundled(video[0][1])):
        raise NotAcceptable("audio and video must share one transport (BUNDLE)")
    if section.value("rtcp-mux") is None and not offer.bundled(section):
        raise NotAcceptable("RTP and RTCP must share a port (rtcp-mux)")
    codec = next((choice for choice in offered_codecs(section) if choice.name == "opus"), None)
    if codec is None:
        raise NotAcceptable("the audio section does not offer opus/48000/2")
    served = Served(index, section, section.mid or str(index), codec)
    ignored = tuple(Ignored(at, each, _known_video(each)) for at, each in video)
    return Plan(offer, (served,), offer.transport(section), receives=True, ignored=ignored)


def _sent(offer: Offer, kind: str) -> list[tuple[int, Section]]:
    """The sections of a kind in which the peer wants to send, with their places."""
    return [
        (index, section)
        for index, section in enumerate(offer.description.sections)
        if section.kind == kind and offer.direction(section) in ("sendonly", "sendrecv") and not offer.rejected(section)
    ]


def _known_video(section: Section) -> str:
    """The first payload type of a section that is video in a codec we have heard of."""
    names = by_type(section, "rtpmap")
    for text in section.formats:
        if names.get(payload_type(text), "").lower() in VIDEO_CODECS:
            return text
    raise NotAcceptable("the video section offers no codec that is known here")
