import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.live_source import MAX_DELAY, LiveSource
from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.splice import FADE
from avatar.timeline import Finished, Started, Timeline
from bench.opus_publisher import opus_packets
from tests.live_traces import LEVEL, STEP, Heard, ScriptedDecoder, Sent, listen, steady, voice

FRAME = AUDIO_HZ // 25
CLICKLESS = STEP + 3 * 2 * LEVEL / (FADE / 2)
"""The voice's own steps, and three fades from peak to peak within the shortest packet: 632. A click is 16 000."""
PACKET_S = 0.02


def steps(heard: Heard) -> int:
    return int(np.abs(np.diff(heard.play.astype(int))).max())


def same_in_both_rates(heard: Heard) -> bool:
    inside = slice(50, -50)
    return bool(np.abs(heard.analyse[inside] - heard.play[::3][inside] / 32_768).max() < 0.02)


# --- in a good network


@pytest.mark.parametrize("samples", [120, 240, 480, 960, 1920, 2880])
def test_all_is_heard_in_order_with_one_frame_and_one_packet_of_delay(samples: int):
    heard = listen(steady(6, samples, phase_s=0.001), 8)
    assert heard.decoded == [n * samples for n in range(len(heard.decoded))]
    assert len(heard.decoded) >= 6 * AUDIO_HZ // samples - 1
    assert heard.source.counts.lost == heard.source.counts.dropped == heard.source.counts.late == 0
    assert steps(heard) <= CLICKLESS and same_in_both_rates(heard)
    assert 0.04 <= heard.delay_at(5.9) <= 0.04 + 0.02 + max(0.04, 2 * samples / AUDIO_HZ) + 0.02


@pytest.mark.parametrize("fps", [10, 15, 20, 25, 30])
@pytest.mark.parametrize("phase_s", [0.0, 0.007, 0.019, 0.033])
def test_whatever_is_taken_at_once_is_there_by_then(fps: int, phase_s: float):
    heard = listen(steady(6, phase_s=phase_s), 5.9, fps)
    assert heard.source.counts.made_up == heard.source.counts.lost == 0
    assert heard.delay_s <= 0.02 + 2 / fps + 0.04
    assert steps(heard) <= CLICKLESS


def test_the_voice_comes_out_as_it_is():
    heard = listen(steady(4, phase_s=0.001), 4)
    start = round(heard.delays[0][1] * AUDIO_HZ) + 48  # the millisecond that analysing needs
    assert not heard.play[:start].any()
    assert np.array_equal(heard.play[start + FADE :], voice(np.arange(FADE, len(heard.play) - start)))


def test_a_real_codec_is_heard():
    sound = np.stack([voice(np.arange(3 * AUDIO_HZ))] * 2, axis=1)
    source, blocks = LiveSource(FRAME), []
    for number, data in enumerate(opus_packets(sound)):
        source.put(number, number * OPUS_SAMPLES, data)
        blocks.append(source.take(OPUS_SAMPLES))
    play = np.concatenate([block.play for block in blocks]).astype(int)
    assert np.abs(np.diff(play)).max() <= CLICKLESS
    assert np.abs(play[AUDIO_HZ:]).max() == pytest.approx(LEVEL, rel=0.1)
    assert source.counts.damaged == source.counts.lost == 0


# --- in a bad one


def bad_network(seed: int, packets: list[Sent], *, loss: float, doubled: float, jitter_s: float) -> list[Sent]:
    luck = random.Random(seed)
    arrived = [replace(packet, comes_s=packet.comes_s + luck.uniform(0, jitter_s)) for packet in packets]
    arrived = [packet for packet in arrived if luck.random() >= loss]
    again = [replace(packet, comes_s=packet.comes_s + luck.uniform(0, 0.3)) for packet in arrived]
    return arrived + [packet for packet in again if luck.random() < doubled]


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 1 << 16),
    loss=st.sampled_from([0, 0, 0.02, 0.2, 0.9]),
    doubled=st.sampled_from([0, 0.3]),
    jitter_s=st.sampled_from([0, 0.01, 0.05, 0.15, 0.4]),
    samples=st.sampled_from([120, 480, 960, 2880]),
    rate=st.sampled_from([1.0, 0.9995, 1.0005, 1.005]),
    fps=st.sampled_from([10, 25, 30]),
)
def test_whatever_a_network_does_it_is_heard_without_a_click(
    seed: int, loss: float, doubled: float, jitter_s: float, samples: int, rate: float, fps: int
):
    """Blocks are full (``listen`` asserts it); packets come in order, at most once; none waits for too long."""
    packets = bad_network(seed, steady(4, samples, rate=rate), loss=loss, doubled=doubled, jitter_s=jitter_s)
    heard = listen(packets, 4.2, fps, rate=rate)
    assert heard.decoded == sorted(set(heard.decoded))
    assert {packet.at for packet in packets}.issuperset(heard.decoded)
    assert steps(heard) <= CLICKLESS and same_in_both_rates(heard)
    assert np.abs(heard.play).max() <= LEVEL
    came = {packet.at: packet.comes_s for packet in sorted(packets, key=lambda packet: -packet.comes_s)}
    # where nine of ten are lost, how late the others are is learnt late
    longest = MAX_DELAY / AUDIO_HZ + 1 / fps + (0.16 if loss > 0.5 else 0.06)
    for (_, delay_s), at in zip(heard.delays, heard.decoded, strict=True):
        assert at / AUDIO_HZ / rate + delay_s - came[at] <= longest or came[at] < heard.delays[0][0]


def test_lost_packets_are_made_up_for_and_cost_no_delay():
    packets = [packet for packet in steady(10, phase_s=0.001) if packet.sequence % 20 != 7]
    heard = listen(packets, 9.9)
    assert heard.delay_s == pytest.approx(heard.delays[0][1])
    assert heard.source.counts.lost == pytest.approx(25, abs=1)
    assert heard.source.counts.made_up == heard.source.counts.lost * OPUS_SAMPLES
    assert steps(heard) <= CLICKLESS
    loudness = np.abs(heard.play[AUDIO_HZ : 9 * AUDIO_HZ])
    assert loudness.reshape(-1, 480).max(axis=1).min() > 0.6 * LEVEL, "no hole"


def test_a_stall_is_caught_up_with_and_the_delay_returns():
    """Half a second in which nothing comes, then all of it: the newest 200 ms are played, then it is as before."""
    packets = [
        replace(packet, comes_s=5.5) if 5 < packet.comes_s < 5.5 else packet for packet in steady(25, phase_s=0.001)
    ]
    heard = listen(packets, 24)
    assert heard.delay_at(5.8) == pytest.approx(0.22, abs=0.03)
    assert heard.delay_s <= heard.delay_at(4.9) + PACKET_S
    assert heard.source.counts.dropped == pytest.approx(15, abs=2)
    assert steps(heard) <= CLICKLESS


def test_jitter_is_grown_into_and_out_of():
    luck = random.Random(1)
    packets = [
        replace(packet, comes_s=packet.comes_s + luck.uniform(0, 0.1)) if 5 < packet.comes_s < 10 else packet
        for packet in steady(25)
    ]
    heard = listen(packets, 24)
    assert 0.1 <= heard.delay_at(9.9) <= 0.2
    between = [delay for when, delay in heard.delays if 7 < when < 10]
    assert max(between) - min(between) <= 2 * PACKET_S, "grown once, not for each packet"
    assert heard.delay_s <= heard.delay_at(4.9) + PACKET_S
    assert heard.source.counts.lost <= 3


def test_packets_that_are_overtaken_by_more_than_the_delay_are_waited_for_in_future():
    packets = [
        replace(packet, comes_s=packet.comes_s + 0.07) if packet.sequence % 2 else packet for packet in steady(10)
    ]
    heard = listen(packets, 9.5)
    assert heard.source.counts.late <= 5
    assert heard.decoded[-200:] == list(range(heard.decoded[-200], heard.decoded[-1] + 1, OPUS_SAMPLES))


def test_a_network_that_becomes_slower_for_good_is_followed():
    packets = [replace(packet, comes_s=packet.comes_s + 0.4) if packet.comes_s > 5 else packet for packet in steady(15)]
    heard = listen(packets, 15)
    assert heard.source.counts.lost <= 1
    assert heard.delay_s == pytest.approx(heard.delay_at(4.9) + 0.4, abs=0.05)


@pytest.mark.parametrize("rate", [1.001, 0.999])
def test_a_clock_that_drifts_is_followed_without_a_click(rate: float):
    """A minute of 1000 ppm, ten times what a bad sound card is off by: 60 ms."""
    heard = listen(steady(60, rate=rate, phase_s=0.001), 60, rate=rate)
    assert heard.source.counts.lost == heard.source.counts.dropped == 0
    assert heard.source.counts.made_up <= OPUS_SAMPLES
    assert abs(heard.source.counts.shortened - heard.source.counts.lengthened) >= 0.02 * AUDIO_HZ
    assert 0.06 <= heard.delay_s <= 0.12 and max(delay for _, delay in heard.delays) <= 0.12
    assert steps(heard) <= CLICKLESS


def test_too_much_delay_goes_in_quiet_places_where_there_are_any():
    """Every other second is silent: nothing of the voice itself is taken."""
    decoder = ScriptedDecoder()
    scripted = decoder.decode

    def with_pauses(data: bytes):
        sound = scripted(data)
        return sound * 0 if decoder.decoded[-1] // AUDIO_HZ % 2 else sound

    source = LiveSource(FRAME, decoder)
    decoder.decode = with_pauses  # type: ignore[method-assign]
    packets = steady(12)
    for packet in packets[:10]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
    heard = []
    for packet in packets[10:]:
        before = source.counts.shortened
        block = source.take(OPUS_SAMPLES)
        source.put(packet.sequence, packet.rtp_time, packet.data)
        if source.counts.shortened != before:
            heard.append(np.abs(block.play).max())
    assert heard and max(heard) == 0


# --- senders that pause, and those that start anew


def test_a_pause_is_silence_of_its_length_and_costs_no_delay():
    """Discontinuous transmission: nothing is sent for three seconds but a packet now and then; the time goes on."""
    spoken = steady(8, phase_s=0.001)
    sent = [packet for packet in spoken if not 2 < packet.comes_s < 5 or packet.sequence % 20 == 0]
    sent = [replace(packet, sequence=100 + number) for number, packet in enumerate(sent)]
    heard = listen(sent, 7.9)
    assert {round(delay, 6) for _, delay in heard.delays} == {round(heard.delays[0][1], 6)}
    assert heard.source.counts.lost == 0 and steps(heard) <= CLICKLESS
    silent = heard.play[round(2.6 * AUDIO_HZ) : round(2.8 * AUDIO_HZ)]
    assert not silent.any()


@pytest.mark.parametrize("pause_s", [0.1, 0.3, 0.9, 5.0, 600.0])
def test_a_sender_whose_time_stands_still_while_it_is_mute_goes_on_where_it_was(pause_s: float):
    spoken = steady(4)
    sent = [replace(packet, comes_s=packet.comes_s + pause_s) if packet.comes_s > 2 else packet for packet in spoken]
    start_s = pause_s - 10 if pause_s > 10 else 0.0
    sent = [replace(packet, comes_s=max(start_s, packet.comes_s)) if pause_s > 10 else packet for packet in sent]
    heard = listen(sent, pause_s - start_s + 3.9, start_s=start_s)
    assert heard.source.counts.lost == 0 and heard.decoded[-1] >= 3.7 * AUDIO_HZ
    assert steps(heard) <= CLICKLESS


@pytest.mark.parametrize("lost", [True, False])
def test_a_silence_that_is_known_is_not_filled_with_what_was_heard_before(lost: bool):
    source, packets, blocks = LiveSource(FRAME, ScriptedDecoder()), steady(1), []
    source.take(OPUS_SAMPLES)
    for number, packet in enumerate([*packets[:4], *packets[6:8]]):
        source.put(packet.sequence if lost else number + 100, packet.rtp_time, packet.data)
        if number >= 3:
            blocks += [source.take(OPUS_SAMPLES).play for _ in range(2)]
    play = np.concatenate(blocks)
    missing = play[4 * OPUS_SAMPLES + 48 : 6 * OPUS_SAMPLES + 48]
    assert missing[:FADE].any() and bool(missing[FADE:].any()) is lost


@pytest.mark.parametrize(
    ("sequence", "time"), [(-30_000, -900_000), (20_000, 1 << 31), (70_000, 1 << 33), (0, 1 << 32)]
)
def test_a_sender_that_starts_anew_is_followed(sequence: int, time: int):
    packets = [
        replace(packet, sequence=packet.sequence + sequence, rtp_time=packet.rtp_time + time)
        if packet.comes_s > 3
        else packet
        for packet in steady(8)
    ]
    heard = listen(packets, 7.9)
    assert heard.source.counts.restarts == 1
    assert heard.source.counts.lost + heard.source.counts.doubled <= 1
    assert heard.decoded == list(range(0, heard.decoded[-1] + 1, OPUS_SAMPLES))
    assert heard.delay_s <= heard.delay_at(2.9) + 0.04 and steps(heard) <= CLICKLESS


# --- before it begins, and its end


def test_while_it_waits_for_its_turn_only_the_newest_is_kept():
    source = LiveSource(FRAME, decoder := ScriptedDecoder())
    packets = steady(10)
    for packet in packets[:450]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
    source.take(OPUS_SAMPLES)
    for packet in packets[450:460]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
        source.take(OPUS_SAMPLES)
    assert decoder.decoded[0] >= 450 * OPUS_SAMPLES - 0.1 * AUDIO_HZ, "live"
    assert source.counts.dropped == 0


def test_many_blocks_at_once_at_the_beginning_are_silent_and_take_nothing():
    """A stretch that begins is made ahead by as much as the engine looks ahead."""
    source = LiveSource(FRAME, ScriptedDecoder())
    packets = steady(2)
    for packet in packets[:8]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
    assert not any(source.take(OPUS_SAMPLES).play.any() for _ in range(8))
    for packet in packets[8:60]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
        assert source.take(OPUS_SAMPLES).play.any() or packet.sequence < packets[10].sequence
    assert source.counts.made_up == 0


def test_a_packet_that_none_follow_is_heard_nevertheless():
    source = LiveSource(FRAME, decoder := ScriptedDecoder())
    source.put(1, 2, steady(1)[0].data)
    for _ in range(60):
        source.take(OPUS_SAMPLES)
    assert decoder.decoded == [0]


def test_what_is_late_because_the_worker_was_is_no_delay():
    """The worker stood still for half a second: what is owed is taken at once, and nothing was dropped for it."""
    source = LiveSource(FRAME, ScriptedDecoder())
    packets = steady(6)
    owed = 0
    for number, packet in enumerate(packets):
        source.put(packet.sequence, packet.rtp_time, packet.data, owed * OPUS_SAMPLES)
        owed += 1
        while owed and not 100 <= number < 125:
            source.take(OPUS_SAMPLES)
            owed -= 1
    assert source.counts.dropped == source.counts.lost == source.counts.made_up == 0


@pytest.mark.parametrize("held", [0, 1, 3, 10])
def test_at_the_end_what_is_held_is_played(held: int):
    source = LiveSource(FRAME, decoder := ScriptedDecoder())
    packets = steady(3)
    for packet in packets[:50]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
        source.take(OPUS_SAMPLES)
    for packet in packets[50 : 50 + held]:
        source.put(packet.sequence, packet.rtp_time, packet.data)
    assert not source.ended and source.available() >= AUDIO_HZ // 4
    source.close()
    assert source.ended and source.error is None
    assert decoder.decoded[-1] == packets[49 + held].at
    left = source.available()
    rest = [source.take(OPUS_SAMPLES) for _ in range(-(-left // OPUS_SAMPLES))]
    assert sum(len(block.play) for block in rest) == left
    assert all(len(block.analyse) == -(-len(block.play) // 3) for block in rest)
    assert source.available() == 0
    source.put(packets[-1].sequence, packets[-1].rtp_time, packets[-1].data)
    source.close()
    assert source.available() == 0, "over is over"


def test_one_that_never_began_ends_with_what_it_holds():
    source = LiveSource(FRAME, decoder := ScriptedDecoder())
    for packet in steady(3):
        source.put(packet.sequence, packet.rtp_time, packet.data)
    source.close()
    assert MAX_DELAY - OPUS_SAMPLES <= source.available() <= MAX_DELAY + OPUS_SAMPLES
    assert decoder.decoded[-1] == 149 * OPUS_SAMPLES


def test_nothing_more_is_taken_in_once_abandoned():
    source = LiveSource(FRAME, ScriptedDecoder())
    packets = steady(1)
    source.put(1, 0, packets[0].data)
    source.abandon()
    source.put(2, 960, packets[1].data)
    source.close()
    assert source.ended and source.counts.packets == 1


def test_on_a_timeline_it_goes_on_until_it_is_closed():
    timeline, source = Timeline(stall_s=0.5), LiveSource(FRAME, ScriptedDecoder())
    timeline.begin(0)
    timeline.enqueue("live", source)
    marks = [mark for _ in range(200) for mark in timeline.next_block().marks]
    assert marks == [Started("live", 0)] and timeline.speaking(200 * OPUS_SAMPLES)
    for packet in steady(2):
        source.put(packet.sequence, packet.rtp_time, packet.data)
        timeline.next_block()
    source.close()
    (finished,) = [mark for _ in range(30) for mark in timeline.next_block().marks]
    assert isinstance(finished, Finished) and finished.samples == finished.at and finished.error is None
    assert not timeline.busy
