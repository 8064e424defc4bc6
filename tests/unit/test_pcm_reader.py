"""Samples out of bare PCM and streamed WAV, in whatever pieces they come."""

import io
import itertools
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whep_server.web.pcm_reader import HEADER_BYTES, MalformedSound, PcmFormat, PcmReader

BARE = PcmFormat(24_000, 1)
SAMPLES = bytes(range(1, 241))


def wav(samples: bytes = SAMPLES, *, rate: int = 22_050, channels: int = 1) -> bytes:
    """A whole WAV file, by the standard library."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(samples)
    return file.getvalue()


def streamed(
    size: int, *, extra: bytes = b"", tag: int = 1, bits: int = 16, channels: int = 1, rate: int = 24_000
) -> bytes:
    """A header as it is written before its sound is there; ``extra`` are chunks before the sound."""
    block = channels * bits // 8
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * block, block, bits)
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + extra + b"data" + struct.pack("<I", size)


def pieces(body: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    return [body[begin:end] for begin, end in itertools.pairwise(places)]


def read(body: bytes, cuts: list[int] | None = None, bare: PcmFormat | None = BARE) -> tuple[PcmFormat | None, bytes]:
    reader = PcmReader(bare)
    samples = b""
    for piece in pieces(body, cuts or []):
        given_out = reader.feed(piece)
        assert reader.format is not None or not given_out
        assert reader.format is None or len(given_out) % reader.format.frame_bytes == 0
        samples += given_out
    reader.finish()
    return reader.format, samples


@given(st.lists(st.integers(0, 400)))
def test_it_does_not_matter_where_the_pieces_are_cut(cuts):
    assert read(wav(), cuts) == (PcmFormat(22_050, 1), SAMPLES)
    assert read(wav(channels=2), cuts, bare=None) == (PcmFormat(22_050, 2), SAMPLES)
    assert read(SAMPLES, cuts) == (BARE, SAMPLES)


@pytest.mark.parametrize("size", [0, 0x7FFF_F000, 0xFFFF_FFFF])
def test_a_length_nobody_could_know_means_until_the_end(size):
    assert read(streamed(size) + SAMPLES, [50, 90]) == (BARE, SAMPLES)


def test_tags_before_and_after_the_sound_are_not_spoken():
    odd = b"LIST" + struct.pack("<I", 3) + b"abc\0"  # a chunk of odd length is followed by one more byte
    body = streamed(len(SAMPLES), extra=odd) + SAMPLES + b"LIST" + struct.pack("<I", 8) + b"INFOxxxx"
    for cuts in ([], list(range(len(body)))):
        assert read(body, cuts) == (BARE, SAMPLES)


def test_the_extensible_form_of_the_same_is_read():
    form = struct.pack("<HHIIHH", 0xFFFE, 1, 48_000, 96_000, 2, 16) + struct.pack("<HHI", 22, 16, 4)
    form += struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    body = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data\xff\xff\xff\xff" + SAMPLES
    assert read(body) == (PcmFormat(48_000, 1), SAMPLES)


def test_half_a_sample_at_the_end_is_left_out():
    assert read(SAMPLES + b"x") == (BARE, SAMPLES)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty"),
        (b"RI", "ends before"),
        (b"ID3\x04" + SAMPLES, "MP3"),
        (b"\xff\xf3\x84\xc4" + SAMPLES, "MP3"),
        (b"OggS" + SAMPLES, "Ogg"),
        (streamed(0)[:30], "ends before"),
        (b"RIFF\0\0\0\0AVI LIST", "not WAV"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0abcd", "does not say"),
        (streamed(0, tag=3, bits=32) + SAMPLES, "32 bit samples of format 3"),
        (streamed(0, bits=8) + SAMPLES, "8 bit"),
        (streamed(0, channels=6) + SAMPLES, "6 channels"),
        (streamed(0, rate=192_000) + SAMPLES, "192000 Hz"),
        (b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0data\0\0\0\0", "cut short"),
        (b"RIFF\0\0\0\0WAVEJUNK" + struct.pack("<I", HEADER_BYTES) + bytes(100), "64 KiB"),
    ],
)
def test_what_cannot_be_spoken_is_told_in_words(body, words):
    with pytest.raises(MalformedSound, match=words):
        read(body)


def test_speech_that_begins_near_silence_is_not_taken_for_a_file():
    for first in range(-512, 512):
        body = struct.pack("<h", first) + SAMPLES
        assert read(body) == (BARE, body)


def test_where_only_wav_can_be_meant_nothing_else_is_noise():
    with pytest.raises(MalformedSound, match="not WAV"):
        read(SAMPLES, bare=None)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=4), st.booleans())
def test_any_bytes_are_samples_or_malformed(tail, cuts, begins_as_wav):
    try:
        form, samples = read((streamed(0)[:16] if begins_as_wav else b"") + tail, cuts)
    except MalformedSound:
        return
    assert form is not None and len(samples) <= len(tail)
