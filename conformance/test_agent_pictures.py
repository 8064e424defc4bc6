"""H.264 and VP8 as far as they are read; and the test picture, which a real decoder must take."""

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conformance.agent.h264_bits import (
    IDR,
    ParameterSet,
    SliceType,
    nal_type,
    read_parameter_set,
    read_slice_type,
    write_idr,
    write_parameter_sets,
    write_repeat,
)
from conformance.agent.packets import H264Depacketizer, packetize_h264, read_vp8_start

PICTURES = 8


def test_the_test_picture_is_decoded_by_ffmpeg() -> None:
    stream = b"".join(
        b"\0\0\0\1" + nal
        for number in range(PICTURES)
        for nal in (
            [*write_parameter_sets("42e01f"), write_idr(number, 100)] if number % 4 == 0 else [write_repeat(number % 4)]
        )
    )
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in [*decoder.parse(stream), *decoder.parse(None)] for frame in decoder.decode(packet)]
    frames += decoder.decode(None)
    assert [frame.key_frame for frame in frames] == [number % 4 == 0 for number in range(PICTURES)]
    assert {(frame.width, frame.height, int(frame.to_ndarray()[0, 0])) for frame in frames} == {(64, 64, 100)}


@pytest.mark.parametrize("level_id", ["42e01f", "42c01f", "42000a", "4d0028"])
def test_a_parameter_set_says_profile_and_level(level_id: str) -> None:
    found = read_parameter_set(write_parameter_sets(level_id)[0])
    assert found is not None
    assert found.level_id == level_id


def test_slices_say_what_they_predict_from() -> None:
    assert read_slice_type(write_idr(0, 16)) is SliceType.I
    assert read_slice_type(write_repeat(3)) is SliceType.P
    assert read_slice_type(write_repeat(3, SliceType.B)) is SliceType.B
    assert read_slice_type(write_parameter_sets("42e01f")[0]) is None


@pytest.mark.parametrize(
    ("label", "sent", "fits"),
    [
        ("42e01f", "42e01f", True),
        ("42e01f", "42c01e", True),  # other flags of constrained baseline, a lower level
        ("42e01f", "42e020", False),  # a level above
        ("42e01f", "4d801f", True),  # constrained baseline under main's name
        ("42e01f", "42001f", False),  # baseline may hold what constrained baseline must not
        ("42001f", "42e01f", True),
        ("42001f", "42001f", True),
        ("42e01f", "4d001f", False),
        ("4d001f", "42e01f", True),
        ("4d001f", "64001f", False),
        ("64001f", "4d001f", True),
        ("64001f", "64001f", True),
        ("64001f", "42001f", False),
    ],
)
def test_a_label_allows_what_its_decoder_can(label: str, sent: str, fits: bool) -> None:
    assert ParameterSet(*bytes.fromhex(label)).allows(ParameterSet(*bytes.fromhex(sent))) is fits


NALS = st.lists(
    st.tuples(st.sampled_from([0x41, 0x65, 0x67, 0x68]), st.binary(min_size=1, max_size=3000)).map(
        lambda parts: bytes((parts[0],)) + parts[1]
    ),
    max_size=4,
)


@given(NALS, st.integers(0, 0xFFFF))
def test_what_is_packetized_comes_together_again(nals: list[bytes], first: int) -> None:
    depacketizer = H264Depacketizer()
    found = [
        nal
        for number, payload in enumerate(packetize_h264(nals))
        for nal in depacketizer.push((first + number) & 0xFFFF, payload)
    ]
    assert sorted(found) == sorted(nals)


def test_a_unit_with_a_lost_part_is_dropped() -> None:
    depacketizer = H264Depacketizer()
    payloads = packetize_h264([write_idr(0, 16)])
    assert len(payloads) > 3
    found = [depacketizer.push(number, payload) for number, payload in enumerate(payloads) if number != 2]
    assert not any(found)
    assert [nal_type(nal) for number, payload in enumerate(payloads) for nal in depacketizer.push(number, payload)] == [
        IDR
    ]


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_payload_is_units_or_nothing(payloads: list[bytes]) -> None:
    depacketizer = H264Depacketizer()
    for number, payload in enumerate(payloads):
        for nal in depacketizer.push(number, payload):
            assert nal
            read_slice_type(nal)
            read_parameter_set(nal)


@pytest.mark.parametrize(
    ("payload", "keyframe"),
    [
        ("10 50f001 9d012a 40010000", True),  # shortest descriptor
        ("90 80 8001 50f001 9d012a 40010000", True),  # 15-bit picture id
        ("90 e0 01 02 03 50f001 9d012a 40010000", True),  # 7-bit picture id, TL0PICIDX, TID
        ("10 51f001 000000", False),  # an interframe
        ("10 50f001 000000", None),  # a keyframe without start code
        ("00 50f001 9d012a", None),  # not the first packet of a frame
        ("11 50f001 9d012a", None),  # not the first partition
        ("10", None),
        ("", None),
    ],
)
def test_a_vp8_frame_says_whether_it_is_a_keyframe(payload: str, keyframe: bool | None) -> None:
    start = read_vp8_start(bytes.fromhex(payload))
    assert (start.keyframe if start else None) is keyframe


@given(st.binary(max_size=20))
def test_any_vp8_payload_can_be_asked(payload: bytes) -> None:
    start = read_vp8_start(payload)
    assert start is None or isinstance(start.keyframe, bool)
