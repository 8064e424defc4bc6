"""What named clients write into offers and fragments, and what is made of it. ``q07`` in a name: quirk Q7."""

import re

import pytest

from tests.invariants import PLANNERS, check_answer
from tests.offers import peer_answer
from tests.strategies import protocol_of, texts, trickling_clients
from whep_server.errors import MalformedFragment, NotAcceptable
from whep_server.signaling.ingest import plan_ingest
from whep_server.signaling.negotiation import OPUS_FMTP, Plan, dress_answer
from whep_server.signaling.sdp import Description, parse_description, parse_offer
from whep_server.signaling.sdpfrag import Credentials, Fragment, parse_fragment

LEVEL = 0x1F


def offered(client: str) -> str:
    return texts("*.sdp")[client]


def plan_of(client: str) -> Plan:
    offer = parse_offer(offered(client))
    return PLANNERS[protocol_of(offered(client))](offer)


def answer_to(plan: Plan) -> Description:
    return parse_description(dress_answer(peer_answer(plan), plan, LEVEL))


def fragment_of(client: str) -> Fragment:
    return parse_fragment(texts("*.sdpfrag")[client].encode())


def served(plan: Plan) -> dict[str, str]:
    return {each.mid: each.codec.name for each in plan.served}


@pytest.mark.parametrize(
    "client", ["obs-32-whip", "ffmpeg-8.0-whip", "ffmpeg-9.0.2-whip", "chromium-156-whip-whep-1.2.0-whep"]
)
def test_q01_an_offer_without_candidates_is_complete(client):
    plan = plan_of(client)
    assert plan.transport.candidates == () and "end-of-candidates" not in plan.peer_offer
    assert all(each.value("candidate") for each in answer_to(plan).sections)


def test_q03_firefox_153_says_that_no_candidates_are_left_and_peer_reflexive_ones_are_waited_for():
    assert "a=end-of-candidates" in offered("firefox-153-gathered-whep")
    assert "end-of-candidates" not in plan_of("firefox-153-gathered-whep").peer_offer


@pytest.mark.parametrize("client", ["firefox-153-gathered-whep", "safari-17-whep"])
def test_q04_names_of_multicast_dns_reach_nobody_who_would_look_them_up(client):
    assert ".local" in offered(client)
    assert ".local" not in plan_of(client).peer_offer


@pytest.mark.parametrize("client", ["chromium-156-whip-whep-1.2.0-whep", "chromium-156-our-player-whep"])
def test_q04_a_trickled_name_of_multicast_dns_is_passed_over(client):
    assert ".local" in texts("*.sdpfrag")[client]
    assert fragment_of(client).candidates == ()


def test_q05_component_0_of_eyevinn_whip_web_client_is_component_1():
    """With the address that Chromium shows a page that may use the microphone."""
    recorded = texts("*.sdpfrag")["chromium-156-eyevinn-whip-web-client-1.1.7-whip"]
    shown = re.sub(r"\S+\.local", "192.0.2.17", recorded)
    assert " 0 udp " in shown
    (candidate,) = parse_fragment(shown.encode()).candidates
    assert (candidate.mid, candidate.value) == ("1", "3085359124 1 udp 2113937151 192.0.2.17 42233 typ host")


@pytest.mark.parametrize(
    ("client", "ours"),
    [
        ("ffmpeg-8.0-whip", "active"),
        ("pyav-18.1.0-ffmpeg-8.1.2-whip", "active"),
        ("ffmpeg-9.0.2-whip", "active"),
        ("ffmpeg-9.0.2-dtls-active-whip", "passive"),
        ("obs-32-whip", "passive"),
    ],
)
def test_q07_our_role_leaves_the_publisher_its_own(client, ours):
    plan = plan_of(client)
    assert plan.setup == ours
    assert {each.value("setup") for each in answer_to(plan).sections} == {ours}


def test_q08_obs_30_1_says_all_of_its_transport_once_for_the_session():
    plan = plan_of("obs-30.1-whip")
    assert (plan.transport.ufrag, plan.transport.setup) == ("w3Kd", "actpass")
    assert plan.transport.candidates == (
        "1 1 udp 2122317823 192.0.2.23 52101 typ host",
        "2 1 udp 1686109951 203.0.113.9 52101 typ srflx",
    )


def test_q09_the_example_of_rfc_9725_is_accepted_whole():
    plan = plan_of("rfc9725-example-whip")
    assert served(plan) == {"0": "opus"} and [each.section.mid for each in plan.ignored] == ["1"]
    answer = answer_to(plan)
    assert [each.port > 0 for each in answer.sections] == [True, True]
    assert "a=group:BUNDLE 0 1" in answer.lines


@pytest.mark.parametrize(
    ("client", "codecs"),
    [
        ("gst-plugins-rs-2026-03-whepsrc-whep", {"video0": "H264", "audio1": "opus"}),
        ("gstreamer-1.22.0-webrtcbin-h264-whep", {"video0": "H264", "audio1": "opus"}),
        ("firefox-153-whip-whep-1.2.0-whep", {"0": "opus", "1": "VP8"}),
    ],
)
def test_q09_a_bundled_section_with_port_0_is_not_rejected(client, codecs):
    assert re.search(r"(?m)^m=\w+ 0 ", offered(client)) and "a=bundle-only" in offered(client)
    assert served(plan_of(client)) == codecs


@pytest.mark.parametrize(
    ("client", "ports"),
    [
        ("firefox-153-renegotiated-whep", [False, True, False, True]),
        ("mediamtx-reader-2026-08-whep", [True, True, False]),
    ],
)
def test_q10_sections_that_are_rejected_or_carry_data_keep_their_places(client, ports):
    answer = answer_to(plan_of(client))
    assert [each.port > 0 for each in answer.sections] == ports
    assert all(each.value("inactive") == "" for each in answer.sections if not each.port)


@pytest.mark.parametrize(
    ("client", "types"),
    [
        ("mediamtx-reader-2026-08-whep", {"0": ("109", "114"), "1": ("111",)}),
        ("chromium-156-whip-whep-1.2.0-whep", {"0": ("111",), "1": ("108", "109")}),
        ("firefox-153-gathered-whep", {"0": ("109",), "1": ("120", "124")}),
    ],
)
def test_q11_of_a_dozen_codecs_the_one_we_send_is_found(client, types):
    plan = plan_of(client)
    formats = {}
    for each in plan.served:
        rtx = each.codec.rtx_type
        formats[each.mid] = (str(each.codec.payload_type), *([str(rtx)] if rtx else []))
    assert formats == types
    for unknown in ("multiopus", "L16", "AV1", "H265", "red/", "ulpfec", "flexfec", "PCMA"):
        assert unknown not in plan.peer_offer


@pytest.mark.parametrize("client", trickling_clients())
def test_q13_further_candidates_restart_nothing(client):
    """Whatever If-Match came with them: told by the credentials alone."""
    transport = plan_of(client).transport
    assert fragment_of(client).restart_from(Credentials(transport.ufrag, transport.password)) is None


def test_q25_json_of_react_native_whip_whep_is_no_fragment():
    with pytest.raises(MalformedFragment):
        fragment_of("react-native-whip-whep-2026-07-whep")


@pytest.mark.parametrize("client", texts("*.sdp"))
def test_q27_answers_fit_into_what_ffmpeg_reads(client):
    """20 addresses, as a machine with container bridges and tunnels has."""
    try:
        plan = plan_of(client)
    except NotAcceptable:
        return
    check_answer(plan, candidates=20, padding=40)
    answer = dress_answer(peer_answer(plan, candidates=20, padding=40), plan, LEVEL)
    assert answer.startswith("v=0\r\n")


@pytest.mark.parametrize(
    ("client", "label"),
    [
        ("safari-17-whep", "42e01f"),
        ("chromium-156-whip-whep-1.2.0-whep", "42e01f"),
        ("gst-plugins-rs-2026-03-whepsrc-whep", "42e01f"),
    ],
)
def test_q30_the_label_is_of_the_offers_family_with_our_level(client, label):
    plan = plan_of(client)
    video = next(each for each in answer_to(plan).sections if each.kind == "video")
    (fmtp,) = [value for value in video.values("fmtp") if "profile-level-id" in value]
    assert f"profile-level-id={label}" in fmtp and "packetization-mode=1" in fmtp
    assert "level-asymmetry-allowed=1" in fmtp


def test_q30_obs_32_may_send_another_profile_than_it_says():
    """A publisher's pictures are not looked at, so that their label does not matter."""
    text = offered("obs-32-whip").replace("42e01f", "640028")
    assert [each.payload_type for each in plan_ingest(parse_offer(text)).ignored] == ["96"]


@pytest.mark.parametrize("client", ["mediamtx-reader-2026-08-whep", "firefox-153-gathered-whep"])
def test_q31_a_mono_voice_is_not_called_stereo(client):
    """Whatever the player would take: both of these say that they would take stereo."""
    assert "stereo=1" in offered(client)
    audio = next(each for each in answer_to(plan_of(client)).sections if each.kind == "audio")
    assert [value.partition(" ")[2] for value in audio.values("fmtp")] == [OPUS_FMTP]
    assert "stereo" not in OPUS_FMTP


def test_q35_conferencing_code_that_plays_gets_the_first_of_each_kind():
    answer = answer_to(plan_of("chromium-156-conference-whep"))
    assert [(each.kind, each.port > 0) for each in answer.sections] == [
        ("audio", True), ("video", True), ("video", False), ("audio", False), ("application", False)
    ]  # fmt: skip
    assert "a=group:BUNDLE 0 1" in answer.lines
    assert {
        line for each in answer.sections if each.port for line in each.lines if line in ("a=sendonly", "a=sendrecv")
    } == {"a=sendonly"}


def test_q35_conferencing_code_that_publishes_two_pictures_is_refused():
    with pytest.raises(NotAcceptable, match="video"):
        plan_of("chromium-156-conference-whip")


def test_simulcast_of_obs_32_is_not_promised():
    """Of three layers, none is asked for by rid: the encoder then sends one (RFC 8853 section 5.3.2)."""
    answer = dress_answer(peer_answer(plan_of("obs-32-simulcast-whip")), plan_of("obs-32-simulcast-whip"), LEVEL)
    assert "a=rid:" not in answer and "a=simulcast" not in answer


def test_a_publisher_that_bundles_a_section_it_does_not_have_is_served():
    """FFmpeg always writes BUNDLE 0 1."""
    answer = answer_to(plan_of("ffmpeg-8.0-audio-only-whip"))
    assert "a=group:BUNDLE 0" in answer.lines and len(answer.sections) == 1
