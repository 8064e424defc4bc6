"""Interruptions one by one: far ahead, in recordings, in pauses, at times that cannot be, of one among others."""

from collections.abc import Iterator

import numpy as np
import pytest

from avatar.cut import FADE_OUT, PAUSE
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    Codec,
    Interrupted,
    SpeechChunk,
    SpeechFinished,
    SpeechHeld,
    SpeechStarted,
    Unit,
    WentIdle,
)
from avatar.pcm_source import PcmSource
from avatar.timeline import GAP_BLOCKS
from tests.movie_files import tracks
from tests.played_checks import check_mouth, check_pictures, check_sound, spoken
from tests.played_stream import PlayedStream, plain_packets


@pytest.fixture
def plain() -> Iterator[None]:
    """Packets are the samples."""
    with plain_packets():
        yield


BEGIN = 30 * 1920
"""Where stretches begin. Units: 48 kHz samples."""
FAR = 400
"""Frames: what is recorded is made as far ahead as it goes."""


@pytest.mark.usefixtures("plain")
def test_what_was_made_far_ahead_is_cut_where_it_is_heard():
    stream = PlayedStream()
    stream.say(12 * AUDIO_HZ, chunk_frames=25)
    stream.tick(30, far=FAR)
    assert stream.pipeline.demand().next_frame > 30 + 12 * 25, "all of it is made"
    assert len(stream.of(SpeechChunk)) == 12 and len(stream.of(SpeechFinished)) == 1
    answer = stream.interrupt(at := stream.due())
    assert (answer.utterance, answer.samples, answer.media_time) == ("u0", at + FADE_OUT - BEGIN, at + FADE_OUT)
    stream.say(AUDIO_HZ, "next")
    idle = stream.play_out()
    assert idle < 30 + 3.5 * 25, "what follows does not wait for what was cut off"
    assert spoken(stream)["next"].start == at + PAUSE
    check_sound(stream, idle)
    check_pictures(stream, idle, late=False)
    check_mouth(stream, idle)


@pytest.mark.usefixtures("plain")
def test_a_recording_that_is_cut_off_ends_with_the_chunks_it_has():
    stream = PlayedStream()
    stream.say(4 * AUDIO_HZ, chunk_frames=10)
    stream.tick(4 + 35)
    made = len(stream.of(SpeechChunk))
    assert made == 3
    stream.interrupt(stream.due())
    stream.say(AUDIO_HZ // 2, chunk_frames=50)
    stream.play_out()
    chunks = stream.of(SpeechChunk)
    assert [chunk.utterance for chunk in chunks] == ["u0"] * made + ["u1"]
    assert sum(tracks(chunks[-1].data)[2].durations) == AUDIO_HZ // 2
    assert [each.utterance for each in stream.of(SpeechFinished)] == ["u1"]


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize("cut_block", [38, 40, 43])
def test_a_recording_goes_on_where_another_utterance_is_cut_off(cut_block: int):
    """It has begun ahead of its time, when what is before it is cut: its frames are made twice, and taken once."""
    stream = PlayedStream(lead=11)
    stream.say(44 * OPUS_SAMPLES)
    length = stream.say(AUDIO_HZ, chunk_frames=20) and AUDIO_HZ
    stream.tick(11 + cut_block // 2 - 2)
    assert stream.pipeline.demand().next_frame > 30 + (44 + GAP_BLOCKS) // 2 + 1
    answer = stream.interrupt(BEGIN + cut_block * OPUS_SAMPLES, "u0")
    assert answer.utterance == "u0" and not answer.dropped
    idle = stream.play_out()
    check_sound(stream, idle)
    check_pictures(stream, idle, late=False)
    begins = BEGIN + (44 + GAP_BLOCKS) * OPUS_SAMPLES
    assert spoken(stream)["u1"] == (begins, begins + length, True)
    chunks = stream.of(SpeechChunk)
    assert [chunk.frames for chunk in chunks] == [20, 5]
    assert sum(sum(tracks(chunk.data)[2].durations) for chunk in chunks) == length
    assert tracks(chunks[0].data)[1].sync.count(True) == 2, "the first one, and where it goes on"


@pytest.mark.usefixtures("plain")
def test_the_queue_goes_on_after_one_that_is_cut_off():
    stream = PlayedStream()
    for _ in range(3):
        stream.say(AUDIO_HZ)
    stream.tick(14)
    answer = stream.interrupt(at := stream.due(), "u0")
    assert (answer.utterance, answer.dropped) == ("u0", [])
    stream.tick(2)
    assert stream.interrupt(stream.due(), "u2").dropped == ["u2"], "one that waits is dropped; who speaks goes on"
    idle = stream.play_out()
    assert spoken(stream) == {
        "u0": (BEGIN, at + FADE_OUT, False),
        "u1": (at + PAUSE, at + PAUSE + AUDIO_HZ, True),
    }
    check_sound(stream, idle)
    check_pictures(stream, idle, late=False)


@pytest.mark.usefixtures("plain")
def test_long_before_its_time_nothing_begins_and_nothing_ends():
    stream = PlayedStream()
    stream.say(2 * AUDIO_HZ, chunk_frames=25)
    stream.tick(5, far=FAR)
    stream.say(AUDIO_HZ)
    stream.tick(5, far=FAR)
    assert [each.utterance for each in stream.of(SpeechStarted)] == ["u0"] and stream.of(SpeechFinished)
    while len(stream.of(SpeechStarted)) == 1:
        assert stream.clock < 30 + 3 * 25
        stream.tick(1, far=FAR)
    assert stream.of(SpeechStarted)[1].media_time - stream.clock * stream.frame_samples < AUDIO_HZ
    while not stream.of(WentIdle):
        assert stream.clock < 30 + 4 * 25
        stream.tick(1, far=FAR)
    assert stream.of(SpeechFinished)[1].media_time <= stream.clock * stream.frame_samples


@pytest.mark.usefixtures("plain")
def test_a_stretch_that_was_to_end_is_live_again_and_ends_anew():
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    first = stream.play_out()
    assert stream.clock < first - 1
    answer = stream.interrupt(stream.due(0))
    assert (answer.utterance, answer.dropped) == (None, [])
    assert stream.play_out() == first and len(stream.of(WentIdle)) == 2
    check_sound(stream, first)
    check_pictures(stream, first, late=False)


@pytest.mark.usefixtures("plain")
def test_a_stretch_that_is_over_stays_so_and_the_queue_is_dropped():
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    idle = stream.play_out()
    stream.say(100)
    stream.clock = idle
    stream.said.clear()
    assert stream.interrupt(stream.due()) == Interrupted("a", 1, None, stream.due(), 0, ["u1"])
    assert len(stream.said) == 1 and not stream.pipeline.live
    assert stream.pipeline.epoch == 1


@pytest.mark.usefixtures("plain")
def test_a_stream_that_has_failed_has_nothing_to_cut():
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    stream.tick(20)
    stream.pipeline.fail()
    assert stream.interrupt(stream.due()).utterance is None
    assert not stream.pipeline.live


@pytest.mark.usefixtures("plain")
@pytest.mark.parametrize(
    ("at", "counts_as"), [(0, 57_600), (57_600, 57_600), (57_601, 58_560), (58_560, 58_560), (10**9, None)]
)
def test_a_time_that_cannot_be_counts_as_the_nearest(at: int, counts_as: int | None):
    """Stretches here begin at 57 600; what is made, and heard by the engine, goes beyond what is granted."""
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    stream.tick()
    counts_as = counts_as or stream.pipeline.timeline.at
    answer = stream.interrupt(at)
    heard = counts_as > stream.start * stream.frame_samples
    assert answer.media_time == counts_as + (FADE_OUT if heard else 0)
    assert (answer.utterance, answer.dropped) == (("u0", []) if heard else (None, ["u0"]))


@pytest.mark.usefixtures("plain")
def test_no_interruption_goes_back_behind_another():
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    stream.tick(14)
    first = stream.interrupt(at := stream.due(4))
    order_at, stream.cut_at = stream.due(1), 0
    second = stream.interrupt(order_at)
    assert (first.utterance, second.utterance, second.media_time) == ("u0", None, at)


@pytest.mark.usefixtures("plain")
def test_a_pause_for_want_of_samples_is_cut_and_the_rest_is_not_wanted():
    stream = PlayedStream()
    source = PcmSource(48_000, 1, max_s=60, patience_s=30, taken=lambda _: None)
    source.put(np.full(AUDIO_HZ, 3000, np.int16).tobytes())
    stream.queue("made", source)
    while not stream.of(SpeechHeld):
        stream.tick()
    stream.tick(4)
    (held,) = stream.of(SpeechHeld)
    answer = stream.interrupt(stream.due())
    assert (answer.utterance, answer.samples) == ("made", held.samples)
    assert source.abandoned
    stream.play_out()
    assert stream.strength[stream.of(WentIdle)[0].frame - 1] == 0


@pytest.mark.usefixtures("plain")
def test_the_first_sound_made_anew_does_not_wait_for_pictures():
    stream = PlayedStream()
    stream.say(AUDIO_HZ)
    stream.tick(14)
    before = len(stream.said)
    stream.interrupt(at := stream.due(), works=False)
    fresh = [each for each in stream.said[before:] if isinstance(each, Unit)]
    assert [(unit.codec, unit.epoch) for unit in fresh] == [(Codec.OPUS, 1)] * len(fresh)
    assert fresh[0].media_time == at and len(fresh) >= 2, "the fade, and silence"


@pytest.mark.usefixtures("plain")
def test_the_first_picture_made_anew_is_drawn_even_where_most_are_not():
    stream = PlayedStream(drawn_fps=3)
    stream.say(2 * AUDIO_HZ)
    for _ in range(12):
        stream.tick()
        stream.strength.clear()
        stream.interrupt(stream.due(), "nobody")
        frame, _ = stream.cuts[-1]
        assert frame in stream.strength
