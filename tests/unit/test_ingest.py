"""What of a publisher's offer is received, and how the answer looks."""

import re

import pytest

from tests.offers import offer, peer_answer, section
from whep_server.errors import MalformedSdp, NotAcceptable
from whep_server.signaling.ingest import plan_ingest
from whep_server.signaling.negotiation import dress_answer
from whep_server.signaling.sdp import parse_description, parse_offer


def sent(kind: str, mid: str | None, direction: str = "sendonly", **more: object) -> list[str]:
    return section(kind, mid, direction=direction, **more)


def plan_of(*sections: list[str], **more: str):
    return plan_ingest(parse_offer(offer(sections=list(sections), **more)))


def answer_to(plan):
    return parse_description(dress_answer(peer_answer(plan), plan, 0))


@pytest.mark.parametrize("direction", ["sendonly", "sendrecv"])
def test_sound_is_received(direction):
    plan = plan_of(sent("audio", "0", direction))
    assert plan.receives and plan.codec("audio") == "opus" and not plan.ignored
    assert "a=sendonly" in plan.peer_offer
    (audio,) = answer_to(plan).sections
    assert audio.value("recvonly") == "" and audio.value("fmtp") == "111 minptime=10;useinbandfec=1"


@pytest.mark.parametrize("order", [("audio", "video"), ("video", "audio")])
def test_pictures_are_accepted_whole_and_not_shown_to_the_peer_connection(order):
    plan = plan_of(*(sent(kind, kind[0]) for kind in order))
    assert "m=video" not in plan.peer_offer
    answer = answer_to(plan)
    assert [each.kind for each in answer.sections] == list(order)
    assert all(each.port and each.value("recvonly") == "" and each.value("candidate") for each in answer.sections)
    assert f"a=group:BUNDLE {order[0][0]} {order[1][0]}" in answer.lines
    video = answer.sections[order.index("video")]
    assert video.formats == ("96",) and video.value("rtpmap") == "96 VP8/90000"
    assert "b=AS:64" in video.lines and not [line for line in video.lines if "rtcp-fb" in line]


@pytest.mark.parametrize("name", ["H265", "AV1", "VP9", "h264"])
def test_pictures_in_any_usual_codec_may_come(name):
    codecs = [f"a=rtpmap:96 {name}/90000", "a=fmtp:96 profile-id=0"]
    plan = plan_of(sent("audio", "0"), sent("video", "1", codecs=codecs))
    assert answer_to(plan).sections[1].value("fmtp") == "96 profile-id=0"


@pytest.mark.parametrize(
    "sections",
    [
        [sent("video", "0")],
        [sent("audio", "0", "recvonly")],
        [sent("audio", "0", "inactive"), sent("video", "1")],
        [sent("audio", "0", port=0)],
        [sent("audio", "0"), sent("audio", "1")],
        [sent("audio", "0"), sent("video", "1"), sent("video", "2")],
        [sent("audio", "0", codecs=["a=rtpmap:111 opus/48000"])],
        [sent("audio", "0", codecs=["a=rtpmap:111 PCMU/8000"])],
        [sent("audio", "0"), sent("video", "1", codecs=["a=rtpmap:96 X-NONE/90000"])],
        [sent("audio", "0"), sent("video", "1", codecs=[])],
    ],
)
def test_an_offer_that_cannot_be_received_whole_is_refused(sections):
    with pytest.raises(NotAcceptable):
        plan_of(*sections)


def test_two_transports_are_refused():
    with pytest.raises(NotAcceptable):
        plan_of(sent("audio", "0"), sent("video", "1"), bundle="")
    lone = [line for line in sent("audio", None) if line != "a=rtcp-mux"]
    with pytest.raises(NotAcceptable):
        plan_of(lone, bundle="")


def test_one_section_needs_no_bundle():
    plan = plan_of(sent("audio", None), bundle="")
    answer = answer_to(plan)
    assert not [line for line in answer.lines if line.startswith("a=group")] and answer.sections[0].mid is None


def test_what_sends_nothing_is_refused_in_its_place():
    """Transceivers that a page made and gave no track, and a data channel."""
    data = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:2"]
    plan = plan_of(sent("audio", "0"), sent("video", "1", "inactive"), data)
    assert [bool(each.port) for each in answer_to(plan).sections] == [True, False, False]


def test_simulcast_is_not_answered():
    layers = ["a=rid:h send", "a=rid:l send", "a=simulcast:send h;l"]
    plan = plan_of(sent("audio", "0"), sent("video", "1", extra=layers))
    assert not re.search("rid|simulcast", str(answer_to(plan)))


def test_who_gives_no_credentials_is_malformed():
    with pytest.raises(MalformedSdp):
        plan_of(sent("audio", "0", transport=False))
