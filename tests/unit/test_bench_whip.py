"""How long sound and lips take from a publisher to a viewer: the arithmetic, and how it is shown."""

import json

import numpy as np
import pytest

from bench.decoding import Heard, hear
from bench.figures import Spread
from bench.lip_curves import Lips
from bench.machine import Machine
from bench.observations import Arrival, Track
from bench.opus_publisher import CODEC_DELAY, opus_packets
from bench.whip_analysis import find, lag, sound_delays
from bench.whip_delay import Delays, WhipFigures
from bench.whip_report import as_json, as_text

RATE = 48_000
TIMES = np.zeros(0, np.int64)


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    """What resembles nothing else."""
    return (np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 0.1).astype(np.float32)


def rtp(sequence: int, timestamp: int, payload: bytes) -> bytes:
    return bytes([0x80, 111]) + sequence.to_bytes(2, "big") + timestamp.to_bytes(4, "big") + bytes(4) + payload


def test_a_delay_is_found_for_every_packet_of_the_sentence():
    sentence = noise(3.0)
    place = 5 * 960 + 123
    samples = np.concatenate([np.zeros(place, np.float32), sentence, np.zeros(RATE, np.float32)])
    arrivals = [10 + packet / 50 for packet in range(len(samples) // 960)]  # sample n is there at 10 + n / 48000 s
    delays = sound_delays(Heard(samples, arrivals), sentence, lambda sample: 9.75 + (place + sample) / RATE)
    assert len(delays) == pytest.approx(100, abs=2)  # two whole seconds
    assert np.allclose(delays, 0.25, atol=1e-6)


def test_a_jitter_buffer_that_cuts_sound_out_changes_the_delay_from_there_on():
    sentence = noise(4.0)
    heard = np.concatenate([sentence[:RATE], sentence[RATE + 960 :], np.zeros(RATE, np.float32)])
    arrivals = [packet / 50 for packet in range(len(heard) // 960)]
    delays = sound_delays(Heard(heard, arrivals), sentence, lambda sample: sample / RATE)
    assert delays[0] == pytest.approx(0.0, abs=1e-6) and delays[-1] == pytest.approx(-0.02, abs=1e-6)


def test_what_is_not_there_is_not_found():
    assert find(noise(2.0, seed=2), noise(1.0)) is None
    assert find(noise(2.0), np.zeros(RATE, np.float32)) is None
    assert find(noise(2.0), noise(2.0)[4800:]) == 4800


def test_packets_are_decoded_in_their_order_and_missing_ones_are_silent():
    tone = (np.sin(np.arange(RATE) * 2 * np.pi * 440 / RATE) * 9000).astype(np.int16)
    packets = opus_packets(tone[:, None])
    sent = [Arrival(at / 50, rtp(at, (1 << 32) - 960 + at * 960 & 0xFFFFFFFF, data)) for at, data in enumerate(packets)]
    del sent[20]
    heard = hear(Track("audio", [*sent[:1], *reversed(sent[1:])], []))
    assert len(heard.arrivals) == len(packets) and np.isnan(heard.arrivals[20])
    assert heard.arrivals[30] == pytest.approx(0.6)
    assert not heard.samples[20 * 960 : 21 * 960].any() and heard.samples[30 * 960 : 31 * 960].any()
    place = find(heard.samples, tone[RATE // 2 : RATE * 3 // 4].astype(np.float32) / 32768)
    assert place is not None and (place - RATE // 2 - CODEC_DELAY) % (RATE / 440) < RATE / 440


def test_nothing_heard_is_an_error():
    with pytest.raises(ValueError, match="nothing came"):
        Track("audio", [], [])


def test_lips_are_held_against_the_reference():
    curve = np.abs(noise(0.01)).repeat(3).astype(np.float64)
    reference = Lips(100 + np.arange(len(curve)) / 25, curve, TIMES)
    seen = Lips(500.31 + np.arange(len(curve)) / 25, curve, TIMES)
    assert lag(seen, 500.0, reference, 100.0) == pytest.approx(0.31, abs=0.006)


FIGURES = WhipFigures(
    machine=Machine("some CPU", 2, "Linux 6 x86_64", "3.11", "2026-11-25", 0.2),
    rounds=3,
    sentence_s=9.0,
    ours=Delays(Spread(0.25, 0.28), 0.26),
    relay=Delays(Spread(0.1, 0.15), None),
    lead_s=0.12,
    lookahead_s=0.09,
)


def test_the_figures_are_shown_with_what_they_consist_of():
    text = as_text(FIGURES)
    assert "| ours, over WHIP         |           250 |        280 |  260 |" in text
    assert "| jitter buffer, codecs and the rest  |  20 |" in text
    assert "1 : 2.5" in text and "+10 ms" in text


def test_the_figures_can_be_kept():
    assert json.loads(as_json(FIGURES))["ours"]["lips"] == 0.26
