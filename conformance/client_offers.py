"""Offers shaped like those of clients in the field, rebuilt from what each is documented to send; values are random."""

from dataclasses import replace
from typing import Final

from conformance.canned import H264, OPUS, VIDEO_FEEDBACK, VP8, Codec, Offer, Section, audio, make_offer, video

HIGH: Final = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"
BASELINE: Final = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"


def obs_30() -> Offer:
    """OBS 30.0 and 30.1 (libdatachannel): ICE and DTLS lines at session level, all candidates in the offer."""
    opus = Codec(111, "opus/48000/2", "minptime=10;maxaveragebitrate=128000;stereo=1;sprop-stereo=1;useinbandfec=1")
    h264 = Codec(96, "H264/90000", "profile-level-id=42e01f;packetization-mode=1;level-asymmetry-allowed=1")
    h264 = replace(h264, feedback=("nack", "nack pli", "goog-remb"))
    sections = (
        Section("audio", "0", "sendonly", (opus,), extra=_sources("audio", 3111)),
        Section("video", "1", "sendonly", (h264,), extra=_sources("video", 3112)),
    )
    return Offer(
        sections,
        session_level=True,
        ice_options="ice2,trickle",
        session_lines=("a=group:LS 0 1", "a=msid-semantic:WMS *"),
        end_of_candidates=True,
    )


def _sources(kind: str, ssrc: int) -> tuple[str, ...]:
    return (
        f"a=ssrc:{ssrc} cname:obs-conformance",
        f"a=ssrc:{ssrc} msid:obs-stream obs-{kind}",
        f"a=msid:obs-stream obs-{kind}",
    )


def mediamtx_reader() -> Offer:
    """MediaMTX's reader.js: always a data channel; surround Opus, linear PCM and stereo PCMA beside the usual."""
    codecs = (
        replace(OPUS, fmtp="minptime=10;stereo=1;useinbandfec=1", feedback=("transport-cc", "nack")),
        Codec(114, "multiopus/48000/6", "channel_mapping=0,4,1,2,3,5;coupled_streams=2;num_streams=4"),
        Codec(115, "multiopus/48000/8", "channel_mapping=0,6,1,4,5,2,3,7;coupled_streams=3;num_streams=5"),
        Codec(9, "G722/8000"),
        Codec(0, "PCMU/8000"),
        Codec(8, "PCMA/8000"),
        Codec(118, "PCMA/8000/2"),
        Codec(119, "L16/48000/2"),
        Codec(63, "red/48000/2", "111/111"),
        Codec(126, "telephone-event/8000"),
    )
    pictures = (
        VP8,
        Codec(97, "rtx/90000", "apt=96"),
        H264,
        Codec(103, "rtx/90000", "apt=102"),
        Codec(45, "AV1/90000", "level-idx=5;profile=0;tier=0", VIDEO_FEEDBACK),
        Codec(98, "VP9/90000", "profile-id=0", VIDEO_FEEDBACK),
        Codec(116, "ulpfec/90000"),
    )
    channel = Section("application", "2", "sendrecv", (), extra=("a=max-message-size:262144",))
    return make_offer("whep", audio("whep", *codecs), video("whep", *pictures), channel)


def rfc_9725_example() -> Offer:
    """As RFC 9725 prints it: the second section bundle-only, with port 0 and without any transport line."""
    picture = video("whip", VP8, Codec(97, "rtx/90000", "apt=96"))
    picture = replace(picture, port=0, transport=False, extra=(*picture.extra, "a=bundle-only"))
    return replace(
        make_offer("whip", audio("whip"), picture),
        candidates=(),
        ice_options="trickle ice2",
        session_lines=("a=extmap-allow-mixed", "a=msid-semantic: WMS"),
    )


def safari() -> Offer:
    """Safari: H264 in High and Constrained Baseline, VP8; neither VP9 nor AV1."""
    pictures = (
        Codec(96, "H264/90000", HIGH, VIDEO_FEEDBACK),
        Codec(97, "rtx/90000", "apt=96"),
        Codec(98, "H264/90000", BASELINE, VIDEO_FEEDBACK),
        Codec(99, "rtx/90000", "apt=98"),
        Codec(100, "VP8/90000", None, VIDEO_FEEDBACK),
        Codec(101, "rtx/90000", "apt=100"),
    )
    sounds = (OPUS, Codec(9, "G722/8000"), Codec(0, "PCMU/8000"), Codec(8, "PCMA/8000"))
    return make_offer("whep", audio("whep", *sounds), video("whep", *pictures))
