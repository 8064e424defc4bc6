import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avatar.opus_decoder import MAX_PACKET_BYTES, MAX_PACKET_SAMPLES, OpusDecoder, packet_samples
from bench.opus_publisher import CODEC_DELAY, opus_packets
from tests.audio_files import loudest_hz, tone

SOUND = (tone(1.2, 440.0) * 32_767).astype(np.int16)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("frame_ms", [2.5, 5, 10, 20, 40, 60])
def test_every_length_of_packet_is_heard_in_mono(frame_ms: float, channels: int):
    packets = opus_packets(np.repeat(SOUND[:, None], channels, axis=1), frame_ms)
    decoder = OpusDecoder()
    parts = [decoder.decode(packet) for packet in packets]
    assert {len(part) for part in parts if part is not None} == {round(48 * frame_ms)}
    assert {packet_samples(packet) for packet in packets} == {round(48 * frame_ms)}
    sound = np.concatenate([part for part in parts if part is not None])
    assert loudest_hz(sound[4800:43_200], 48_000) == pytest.approx(440, abs=2)
    loudness = np.sqrt(np.mean(np.square(sound[4800:43_200], dtype=float)))
    assert loudness == pytest.approx(np.sqrt(np.mean(np.square(SOUND, dtype=float))), rel=0.05), "as loud as it was"


def test_two_sides_are_mixed():
    left, right = tone(1.0, 300.0), tone(1.0, 900.0)
    packets = opus_packets((np.stack([left, right], axis=1) * 32_767).astype(np.int16))
    decoder = OpusDecoder()
    sound = np.concatenate([part for part in map(decoder.decode, packets) if part is not None])
    spectrum = np.abs(np.fft.rfft(sound[4800:43_200] * np.hanning(38_400)))
    loud = {round(at * 48_000 / 38_400) for at in np.argsort(spectrum)[-2:]}
    assert loud == {300, 900}


def test_a_sample_is_as_late_as_the_codec_makes_it():
    click = np.zeros((9600, 1), np.int16)
    click[4800:4820] = 20_000
    decoder = OpusDecoder()
    sound = np.concatenate([part for part in map(decoder.decode, opus_packets(click)) if part is not None])
    assert int(np.argmax(np.abs(sound))) == pytest.approx(4810 + CODEC_DELAY, abs=24)


def test_a_publisher_may_change_to_stereo_and_back():
    mono, stereo = opus_packets(SOUND[:24_000, None]), opus_packets(np.repeat(SOUND[:24_000, None], 2, axis=1), 10)
    decoder = OpusDecoder()
    parts = [decoder.decode(packet) for packet in [*mono, *stereo, *mono]]
    assert all(part is not None for part in parts)
    assert loudest_hz(np.concatenate(parts[-20:]), 48_000) == pytest.approx(440, abs=4)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "ms"),
    [(0, 10), (1, 20), (3, 60), (11, 60), (12, 10), (15, 20), (16, 2.5), (17, 5), (30, 10), (31, 20)],
)
def test_a_packet_says_how_long_it_is(first: int, ms: float):
    for code, frames in ((0, 1), (1, 2), (2, 2)):
        assert packet_samples(bytes([first << 3 | code, 0, 0])) == frames * ms * 48
    assert packet_samples(bytes([first << 3 | 3, 1, 0])) == ms * 48
    most = int(120 // ms)
    assert packet_samples(bytes([first << 3 | 3, most, 0])) == most * ms * 48
    assert packet_samples(bytes([first << 3 | 3, most + 1, 0])) == 0, "120 ms is the most"


def test_what_cannot_be_a_packet_has_no_length():
    assert packet_samples(b"") == 0
    assert packet_samples(b"\x03") == 0, "no count of frames"
    assert packet_samples(b"\x03\x00") == 0, "no frames"
    assert packet_samples(bytes(MAX_PACKET_BYTES)) > 0
    assert packet_samples(bytes(MAX_PACKET_BYTES + 1)) == 0


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_sound_or_nothing_and_do_no_harm(packets: list[bytes]):
    decoder = OpusDecoder()
    for packet in packets:
        sound = decoder.decode(packet)
        assert sound is None or (sound.dtype == np.int16 and 0 < len(sound) <= MAX_PACKET_SAMPLES)
    after = [decoder.decode(packet) for packet in opus_packets(SOUND[:9600, None])]
    assert all(part is not None and len(part) == 960 for part in after)
