import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.framing import MAX_MESSAGE_BYTES, MessageReader, decode_from_worker, decode_to_worker, frame_message
from avatar.messages import (
    AUDIO_HZ,
    FRAME_RATES,
    OPUS_SAMPLES,
    Codec,
    GoLive,
    Ping,
    SpeechData,
    Unit,
    WorkerConfig,
    idle_grid,
    start_grid,
)


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 200), max_size=40))
def test_messages_are_read_however_the_bytes_are_cut(payloads: list[bytes], cuts: list[int]):
    sent = [SpeechData("s", "u", 0, payload, last=False) for payload in payloads]
    wire = b"".join(map(frame_message, sent))
    reader, read = MessageReader(), []
    for cut in [*cuts, len(wire) + 1]:
        read += [decode_to_worker(body) for body in reader.feed(wire[:cut])]
        wire = wire[cut:]
    assert read == sent


def test_a_message_is_read_as_soon_as_it_is_whole():
    reader = MessageReader()
    wire = frame_message(Ping(7))
    assert reader.feed(wire[:-1]) == []
    assert [decode_to_worker(body) for body in reader.feed(wire[-1:])] == [Ping(7)]


def test_a_message_of_the_largest_size_is_awaited_and_a_larger_one_is_not():
    assert MessageReader().feed(MAX_MESSAGE_BYTES.to_bytes(4, "big")) == []
    with pytest.raises(ValueError, match="message of"):
        MessageReader().feed((MAX_MESSAGE_BYTES + 1).to_bytes(4, "big"))


@given(st.binary(max_size=200))
def test_any_body_is_a_message_or_a_decode_error(body: bytes):
    for decode in (decode_to_worker, decode_from_worker):
        try:
            decode(body)
        except msgspec.DecodeError:
            continue


def test_directions_are_not_mixed_up():
    unit = Unit("s", 0, Codec.OPUS, 960, True, b"x")
    (body,) = MessageReader().feed(frame_message(unit))
    assert decode_from_worker(body) == unit
    with pytest.raises(msgspec.DecodeError):
        decode_to_worker(body)
    (body,) = MessageReader().feed(frame_message(GoLive("s", 5)))
    with pytest.raises(msgspec.DecodeError):
        decode_from_worker(body)


@pytest.mark.parametrize("fps", FRAME_RATES)
def test_stretches_start_and_end_where_pictures_and_packets_meet(fps: int):
    for grid in (start_grid(fps), idle_grid(fps)):
        assert grid * AUDIO_HZ % (fps * OPUS_SAMPLES) == 0
    assert idle_grid(fps) / fps == pytest.approx(0.2)


def test_a_config_has_sensible_defaults():
    config = WorkerConfig("assets", "avatars", "cache")
    assert config.max_speech_s == 600 and config.threads >= 1
