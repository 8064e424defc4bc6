"""Sound that is cut and goes on in packets of another encoder: what one decoder makes of both."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.cut import FADE_OUT
from avatar.encode import OpusEncoder
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, PATIENCE_PACKETS, Unit
from avatar.opus_decoder import OpusDecoder
from avatar.soundtrack import REMEMBERED, Soundtrack
from avatar.timeline import Block, Finished, Started, Voice
from bench.opus_publisher import CODEC_DELAY
from tests.audio_files import tone

Sound = NDArray[np.int16]
SENTENCES = sorted((Path(__file__).parents[1] / "data").glob("sentence-*.wav"))
TAIL = 8
"""Blocks after the cut."""


def sentence(path: Path) -> Sound:
    with wave.open(str(path)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    return np.rint(np.interp(np.arange(3 * len(sound)) / 3, np.arange(len(sound)), sound)).astype(np.int16)


def blocks(sound: Sound, count: int) -> list[Block]:
    pieces = np.split(sound[: count * OPUS_SAMPLES], count)
    return [
        Block(n * OPUS_SAMPLES, piece, np.zeros(320, np.float32), (), Voice("u", n * OPUS_SAMPLES, OPUS_SAMPLES))
        for n, piece in enumerate(pieces)
    ]


def track(sound: Sound, count: int) -> Soundtrack:
    made = Soundtrack()
    made.begin(0)
    for block in blocks(sound, count):
        made.add(block)
    return made


def packet(made: Soundtrack, block: Block) -> bytes:
    unit = made.unit("a", 0, block)()
    assert isinstance(unit, Unit) and unit.media_time == block.at
    return unit.data


def spliced(sound: Sound, cut: int, ahead: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Packets that were sent up to a cut, and those made anew, decoded by one decoder; and what was to be heard."""
    made = track(sound, cut + TAIL)
    sent = [packet(made, block) for block in made.take((cut + ahead) * OPUS_SAMPLES)]
    faded = made.cut(cut * OPUS_SAMPLES, lambda _: False).blocks[0].play
    anew = [packet(made, block) for block in made.take(1 << 40)]
    ideal = np.concatenate([sound[: cut * OPUS_SAMPLES], faded, np.zeros((TAIL - 1) * OPUS_SAMPLES, np.int16)])
    return decoded([*sent[:cut], *anew]), ideal.astype(float)


def decoded(packets: list[bytes]) -> NDArray[np.float64]:
    decoder = OpusDecoder()
    parts = [part for part in map(decoder.decode, packets) if part is not None]
    assert len(parts) == len(packets)
    return np.concatenate(parts).astype(float)


def one_encoder(sound: NDArray[np.float64]) -> NDArray[np.float64]:
    encoder = OpusEncoder()
    return decoded([encoder.encode(piece.astype(np.int16)) for piece in np.split(sound, len(sound) // OPUS_SAMPLES)])


def steps(sound: NDArray[np.float64], cut: int) -> float:
    """The greatest from sample to sample, around a cut."""
    at = cut * OPUS_SAMPLES
    return float(np.abs(np.diff(sound[at - OPUS_SAMPLES // 2 : at + 3 * OPUS_SAMPLES])).max())


VOICES = {path.stem: sentence(path) for path in SENTENCES} | {
    f"{hz} Hz": (tone(1.6, hz, level=0.5) * 32_767).astype(np.int16) for hz in (110, 440, 997)
}


CUTS = (14, 23, 31, 47, 52, 66)
"""None of them where libopus goes over to its mode for music, as it does with tones: the packet before expects it."""


def click(heard: NDArray[np.float64], ideal: NDArray[np.float64], cut: int) -> float:
    """By how much its steps exceed those of one encoding of it all, and what two encodings of one sound differ by."""
    loudest = float(np.abs(ideal[(cut - 1) * OPUS_SAMPLES : (cut + 1) * OPUS_SAMPLES]).max())
    return steps(heard, cut) - steps(one_encoder(ideal), cut) - 0.05 * loudest - 30


@pytest.mark.parametrize("name", VOICES)
def test_another_encoder_goes_on_without_a_click_and_after_the_fade_it_is_silent(name: str):
    for cut in CUTS:
        heard, ideal = spliced(VOICES[name], cut, ahead=5)
        assert len(heard) == len(ideal) and click(heard, ideal, cut) <= 0
        over = cut * OPUS_SAMPLES + FADE_OUT + CODEC_DELAY
        assert np.abs(heard[over + AUDIO_HZ // 50 :]).max() <= 100, "-50 dB within 20 ms, and it stays so"
        assert np.abs(heard[over + AUDIO_HZ // 25 :]).max() <= 10


def test_an_encoder_that_has_not_heard_what_was_before_clicks():
    """So that the test above can fail."""
    sound, clicks = sentence(SENTENCES[0]), []
    for cut in CUTS:
        made = track(sound, cut + TAIL)
        packets = [packet(made, block) for block in made.take(cut * OPUS_SAMPLES)]
        fresh = OpusEncoder()
        packets += [fresh.encode(block.play) for block in made.take(1 << 40)]
        clicks.append(click(decoded(packets), sound[: (cut + TAIL) * OPUS_SAMPLES].astype(float), cut))
    assert max(clicks) > 1000


def test_what_is_made_anew_stands_where_it_stood():
    made = track(VOICES["440 Hz"], 20)
    made.take(14 * OPUS_SAMPLES)
    made.cut(10 * OPUS_SAMPLES, lambda _: False)
    assert [block.at for block in made.take_again(12 * OPUS_SAMPLES)] == [10 * OPUS_SAMPLES, 11 * OPUS_SAMPLES]
    assert [block.at for block in made.take_again(1 << 40)] == [12 * OPUS_SAMPLES, 13 * OPUS_SAMPLES]
    assert [block.at for block in made.take(1 << 40)] == [n * OPUS_SAMPLES for n in range(14, 20)]


def test_what_was_not_sent_is_cut_with_the_encoder_that_goes_on():
    made = track(VOICES["440 Hz"], 20)
    sent = [packet(made, block) for block in made.take(10 * OPUS_SAMPLES)]
    ideal = VOICES["440 Hz"][: 20 * OPUS_SAMPLES].astype(float)
    ideal[15 * OPUS_SAMPLES :] = 0
    ideal[15 * OPUS_SAMPLES : 16 * OPUS_SAMPLES] = made.cut(15 * OPUS_SAMPLES, lambda _: False).blocks[0].play
    anew = [packet(made, block) for block in made.take(1 << 40)]
    assert np.array_equal(decoded(sent + anew), one_encoder(ideal))


def test_what_is_old_is_forgotten_and_what_is_too_much_as_well():
    made = Soundtrack()
    made.begin(0)
    assert made.remembered is None
    silence = np.zeros(OPUS_SAMPLES, np.int16)
    for block in blocks(np.tile(silence, REMEMBERED + 50), REMEMBERED + 50):
        made.add(block)
        made.take(block.at + 1)
    assert made.remembered == 50 * OPUS_SAMPLES
    made.advance(150 * OPUS_SAMPLES)
    assert made.remembered == 100 * OPUS_SAMPLES
    made.begin(7 * OPUS_SAMPLES)
    assert made.remembered is None and not made.take(1 << 40)


def test_what_would_come_too_late_is_not_made():
    made = Soundtrack()
    made.begin(0)
    for block in blocks(VOICES["440 Hz"], 10):
        made.add(block)
    units = [made.unit("a", 0, block) for block in made.take(1 << 40)]
    made.advance((2 + PATIENCE_PACKETS) * OPUS_SAMPLES)
    assert [unit() is None for unit in units] == [True] * 2 + [False] * 8


def test_marks_that_are_yet_to_be_told_are_handed_out_once():
    made = Soundtrack()
    made.begin(0)
    marks = [Started("u", 0), Finished("u", 700, 700, None)]
    for block, mark in zip(blocks(np.zeros(3 * OPUS_SAMPLES, np.int16), 3), marks, strict=False):
        made.add(Block(block.at, block.play, block.analyse, (mark,)))
    assert made.marks_ahead(OPUS_SAMPLES) == marks[:1]
    assert made.marks_ahead(1 << 40) == marks[1:]
    assert not any(block.marks for block in made.take(1 << 40))
