"""Senders that mean harm, or are broken, and the live source: little is held, nothing is raised, time goes on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.live_packets import MAX_PACKETS
from avatar.live_source import LiveSource
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.splice import FADE
from tests.live_traces import LEVEL, STEP, ScriptedDecoder, steady

FRAME = AUDIO_HZ // 25


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(-(1 << 63), 1 << 63) | st.integers(-50, 50),
            st.integers(-(1 << 63), 1 << 63) | st.integers(-5000, 50_000),
            st.binary(max_size=40) | st.sampled_from([b"\xfc", b"\xfd", b"\xff\x02", b"\x5c\x01\x02"]),
            st.integers(0, 20_000),
            st.integers(0, 3),
        ),
        max_size=80,
    )
)
def test_whatever_is_sent_blocks_are_full_and_little_is_held(sent: list[tuple[int, int, bytes, int, int]]):
    source = LiveSource(FRAME)
    for sequence, time, data, owed, blocks in sent:
        source.put(sequence, time, data, owed)
        assert len(source._waiting) <= MAX_PACKETS
        for _ in range(blocks):
            block = source.take(OPUS_SAMPLES)
            assert (len(block.play), len(block.analyse)) == (OPUS_SAMPLES, OPUS_SAMPLES // 3)
            assert source._output.count <= 3 * AUDIO_HZ // 20
    source.close()
    assert source.available() <= AUDIO_HZ


def test_a_flood_is_not_kept():
    source = LiveSource(FRAME, ScriptedDecoder())
    data = steady(1, 120)[0].data
    for number in range(20_000):
        source.put(number, number // 50, data)
        source.put(-number, -number // 50, data)
    assert len(source._waiting) <= MAX_PACKETS
    for number in range(20_000):
        source.put(number * 7, number * 40, data)
        if number % 100 == 0:
            source.take(OPUS_SAMPLES)
    assert len(source._waiting) <= MAX_PACKETS and len(source._given_up) <= 64


def test_damaged_packets_are_counted_and_made_up_for():
    packets = steady(6, phase_s=0.001)
    source, blocks = LiveSource(FRAME, ScriptedDecoder()), []
    for packet in packets:
        broken = packet.data[:1] if packet.sequence % 10 == 0 else packet.data
        source.put(packet.sequence, packet.rtp_time, broken if packet.sequence % 50 else b"")
        blocks.append(source.take(OPUS_SAMPLES))
    play = np.concatenate([block.play for block in blocks]).astype(int)
    assert source.counts.damaged == pytest.approx(30, abs=1)
    assert np.abs(np.diff(play)).max() <= STEP + 4 * LEVEL / FADE
    assert np.abs(play[AUDIO_HZ:]).reshape(-1, 480).max(axis=1).min() > 0.6 * LEVEL, "no hole"
