"""Units into RTP payloads and back again."""

import pytest
from aiortc.codecs import depayload
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from hypothesis import given
from hypothesis import strategies as st

from avatar.annexb import split_nals
from avatar.messages import Codec
from tests.fakes import idle_units
from whep_server.live.packetize import MAX_PAYLOAD_BYTES, level_idc_of, packetize

START = b"\x00\x00\x00\x01"
NALS = st.lists(
    st.tuples(
        st.sampled_from([0x67, 0x68, 0x06, 0x65, 0x41]), st.integers(1, 6000), st.binary(min_size=1, max_size=20)
    ),
    min_size=1,
    max_size=6,
).map(lambda parts: [bytes([head]) + (fill.replace(b"\x00", b"\x01") * size)[:size] for head, size, fill in parts])


def reassemble(payloads, name: str) -> bytes:
    codec = RTCRtpCodecParameters(mimeType=f"video/{name}", clockRate=90_000, payloadType=96)
    return b"".join(depayload(codec, payload) for payload in payloads)


@given(NALS)
def test_h264_survives_the_journey(nals):
    payloads = packetize(Codec.H264, b"".join(START + nal for nal in nals))
    assert all(0 < len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    assert split_nals(reassemble(payloads, "H264")) == nals


@given(st.binary(min_size=1, max_size=20_000))
def test_vp8_survives_the_journey(data):
    payloads = packetize(Codec.VP8, data)
    assert all(1 < len(payload) <= MAX_PAYLOAD_BYTES for payload in payloads)
    assert reassemble(payloads, "VP8") == data
    assert [payload[0] for payload in payloads] == [0x10] + [0] * (len(payloads) - 1)


@given(st.binary(max_size=3000))
def test_any_bytes_can_be_packetised(data):
    for codec in (Codec.H264, Codec.VP8, Codec.OPUS):
        assert all(len(payload) <= max(MAX_PAYLOAD_BYTES, len(data)) for payload in packetize(codec, data))


def test_opus_is_one_payload():
    assert packetize(Codec.OPUS, b"\xf8\xff\xfe") == (b"\xf8\xff\xfe",)


def test_parameter_sets_travel_together_before_the_slice():
    payloads = packetize(Codec.H264, idle_units(Codec.H264, 10, 0)[0])
    assert payloads[0][0] & 0x1F == 24
    assert payloads[0][3] & 0x1F == 7


def test_fragments_are_of_equal_size():
    payloads = packetize(Codec.H264, START + b"\x65" + b"\x55" * 5000)
    assert len({len(payload) for payload in payloads[:-1]}) == 1
    assert len(payloads[-1]) <= len(payloads[0])


@pytest.mark.parametrize("start", [b"\x00\x00\x01", START])
def test_both_start_codes_are_read(start):
    assert split_nals(start + b"\x67abc" + start + b"\x65de\x00") == [b"\x67abc", b"\x65de"]


def test_the_level_is_read_from_the_pictures():
    assert level_idc_of(START + b"\x67\x42\xe0\x1f\x00") == 0x1F
    assert level_idc_of(START + b"\x65\x42\xe0\x1f") is None
