"""What of an offer is served, and how the answer looks."""

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from tests.offers import CODECS, offer, peer_answer, section
from whep_server.errors import MalformedSdp, NotAcceptable
from whep_server.signaling.negotiation import MAX_ANSWER_BYTES, baseline_profile, dress_answer, level_of, plan_answer
from whep_server.signaling.negotiation import set_role as with_role
from whep_server.signaling.sdp import parse_description, parse_offer

BOTH = ("H264", "VP8")


def plan_of(text: str, codecs=BOTH):
    return plan_answer(parse_offer(text), codecs)


def without(name: str) -> list[str]:
    return [line for line in CODECS["video"] if name not in line]


def served_codec(plan, kind="video"):
    return next(each.codec for each in plan.served if each.section.kind == kind)


@given(st.lists(st.sampled_from([*offer().splitlines(), "a=sendrecv", "m=video 0 X 96"]), max_size=60))
def test_any_offer_is_planned_malformed_or_refused(lines):
    try:
        plan = plan_of("v=0\r\n" + "\r\n".join(lines))
    except (MalformedSdp, NotAcceptable):
        return
    shown = SessionDescription.parse(plan.peer_offer)
    assert [media.rtp.muxId for media in shown.media] == [each.mid for each in plan.served]
    assert all(media.ice.usernameFragment and media.dtls.fingerprints and media.rtcp_mux for media in shown.media)


def test_h264_constrained_baseline_comes_first():
    codec = served_codec(plan_of(offer()))
    assert (codec.name, codec.payload_type, codec.rtx_type, codec.profile) == ("H264", 106, 107, "42e0")


def test_plain_baseline_is_taken_where_there_is_nothing_better():
    codecs = [line for line in CODECS["video"] if ":106 " not in line and ":107 " not in line]
    codec = served_codec(plan_of(offer(sections=[section("video", "1", codecs=codecs)])))
    assert (codec.payload_type, codec.rtx_type, codec.profile) == (102, 103, "4200")


def test_vp8_is_taken_where_there_is_no_h264():
    """Debian's Firefox."""
    codec = served_codec(plan_of(offer(sections=[section("video", "1", codecs=without("H264"))])))
    assert (codec.name, codec.payload_type, codec.rtx_type) == ("VP8", 96, 97)


@pytest.mark.parametrize(
    ("kind", "codecs"), [("video", ["a=rtpmap:96 AV1/90000"]), ("audio", ["a=rtpmap:0 PCMU/8000"])]
)
def test_no_common_codec_is_refused(kind, codecs):
    with pytest.raises(NotAcceptable):
        plan_of(offer(sections=[section(kind, "0", codecs=codecs)]))


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
def test_who_wants_to_receive_nothing_is_refused(direction):
    with pytest.raises(NotAcceptable):
        plan_of(offer(sections=[section("video", "0", direction=direction)]))


def test_an_upper_case_codec_name_is_the_same_codec():
    """GStreamer."""
    text = offer(sections=[section("audio", "audio1", codecs=["a=rtpmap:111 OPUS/48000/2"])])
    assert plan_of(text).codec("audio") == "opus"


@pytest.mark.parametrize(
    ("parameters", "profile"),
    [
        ({"packetization-mode": "1", "profile-level-id": "42e01f"}, "42e0"),
        ({"packetization-mode": "1", "profile-level-id": "42C01F"}, "42c0"),
        ({"packetization-mode": "1", "profile-level-id": "42001f"}, "4200"),
        ({"packetization-mode": "1"}, "42e0"),
        ({"packetization-mode": "0", "profile-level-id": "42e01f"}, None),
        ({"profile-level-id": "42e01f"}, None),
        ({"packetization-mode": "1", "profile-level-id": "640c1f"}, None),
        ({"packetization-mode": "1", "profile-level-id": "4d001f"}, None),
        ({"packetization-mode": "1", "profile-level-id": "junk"}, None),
    ],
)
def test_profiles_that_suit_constrained_baseline(parameters, profile):
    assert baseline_profile(parameters) == profile


@pytest.mark.parametrize(("offered", "ours"), [("actpass", "passive"), ("active", "passive"), ("passive", "active")])
def test_our_role_follows_the_offers(offered, ours):
    plan = plan_of(offer().replace("a=setup:actpass", f"a=setup:{offered}"))
    assert with_role("a=setup:active\r\n", plan) == f"a=setup:{ours}\r\n"


@pytest.mark.parametrize(
    ("size", "level"),
    [
        ((1280, 720, 25), 0x1F),
        ((720, 1280, 30), 0x1F),
        ((512, 512, 25), 0x1E),
        ((1920, 1080, 30), 0x28),
        ((99999, 99999, 30), 0x33),
    ],
)
def test_the_level_follows_size_and_rate(size, level):
    assert level_of(*size) == level


def test_sections_that_are_not_served_keep_their_places_with_port_0():
    sections = [
        section("video", "0", direction="sendonly"),
        section("application", "1", codecs=[]),
        section("audio", "2"),
        section("video", "3"),
        section("video", "4"),
    ]
    plan = plan_of(offer(sections=sections))
    answer = parse_description(dress_answer(peer_answer(plan), plan, 0x1F))
    assert [(each.mid, each.port > 0) for each in answer.sections] == [
        ("0", False), ("1", False), ("2", True), ("3", True), ("4", False)
    ]  # fmt: skip
    assert "a=group:BUNDLE 2 3" in answer.lines


def test_the_answer_names_the_offers_profile_and_our_level():
    codecs = [line.replace("42e01f", "42c028") for line in CODECS["video"] if "102" not in line]
    plan = plan_of(offer(sections=[section("video", "0", codecs=codecs)]))
    assert "profile-level-id=42c01f" in dress_answer(peer_answer(plan), plan, 0x1F)


def test_the_answer_has_one_fingerprint_and_says_rtcp_mux_only():
    plan = plan_of(offer())
    answer = dress_answer(peer_answer(plan), plan, 0x1F)
    assert answer.count("a=fingerprint:") == answer.count("a=fingerprint:sha-256") == 2
    assert answer.count("a=rtcp-mux-only\r\n") == 2


def test_the_answer_says_which_rtp_time_media_time_0_has():
    plan = plan_of(offer())
    answer = parse_description(dress_answer(peer_answer(plan), plan, 0x1F, {"video": 7, "audio": 4_294_967_295}))
    clocks = {each.kind: (each.value("ts-refclk"), each.value("mediaclk")) for each in answer.sections}
    assert clocks == {"video": ("local", "direct=7"), "audio": ("local", "direct=4294967295")}
    assert "mediaclk" not in dress_answer(peer_answer(plan), plan, 0x1F)  # a publisher is sent nothing


def test_many_candidates_do_not_make_the_answer_too_long():
    plan = plan_of(offer())
    answer = dress_answer(peer_answer(plan, candidates=40, padding=300), plan, 0x1F)
    assert len(answer) < MAX_ANSWER_BYTES
    assert answer.count("a=candidate:") >= 2


def test_without_bundle_one_section_is_served():
    plan = plan_of(offer(bundle=""))
    assert [each.section.kind for each in plan.served] == ["video"]
    assert "a=group" not in dress_answer(peer_answer(plan), plan, 0x1F)


def test_a_section_without_mid_is_answered_without():
    plan = plan_of(offer(sections=[section("video", None)]))
    assert parse_description(dress_answer(peer_answer(plan), plan, 0x1F)).sections[0].mid is None


def test_rtp_and_rtcp_on_two_ports_are_refused():
    with pytest.raises(NotAcceptable):
        plan_of(offer(sections=[section("video", None)]).replace("a=rtcp-mux\r\n", ""))


def test_lite_peers_are_told_apart():
    assert "a=ice-lite" in plan_of(offer(session=["a=ice-lite"])).peer_offer


def test_the_peer_offer_holds_nothing_that_stalls_ice():
    text = offer().replace("192.0.2.1", "0d6ba5e4-0000.local")
    assert "candidate" not in plan_of(text).peer_offer
