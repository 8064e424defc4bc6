"""What is heard of a source that is fed while it is taken from, when it begins, and what it takes at most."""

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from avatar.pcm_source import MAX_WAITING, PcmSource, reserve
from avatar.resampler import Resampler
from avatar.timeline import Held, Marked, Resumed, Started
from tests.audio_files import tone
from tests.pcm_speaker import MS, Speaker, pcm

HEAD_START = AUDIO_HZ // 10


# --- what is heard


@pytest.mark.parametrize("rate", [AUDIO_HZ, 22_050])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 441, 10_001])
def test_bytes_cut_anywhere_are_heard_as_one(rate: int, channels: int, size: int):
    samples = np.repeat(pcm(0.2, rate=rate), channels)
    data = samples.astype("<i2").tobytes()
    speaker = Speaker(rate, channels)
    for at in range(0, len(data), size):
        speaker.source.put(data[at : at + size])
    speaker.source.close()
    assert speaker.play_out().samples == AUDIO_HZ // 5
    resampler = Resampler(rate, channels)
    wanted = np.concatenate([resampler.convert(samples), resampler.flush()])
    spoken, exact = speaker.spoken()
    assert np.array_equal(spoken[exact], wanted[exact])
    assert speaker.taken[-1] == len(data)


def test_what_is_analysed_is_what_is_heard():
    speaker = Speaker(24_000)
    speaker.put(pcm(0.5, 500, 24_000))
    speaker.source.close()
    speaker.play_out()
    begun = speaker.of(Started)[0].at // 3
    analysed = np.concatenate([block.analyse for block in speaker.blocks])[begun : begun + AUDIO_HZ // 6]
    error = analysed - tone(0.5, 500, 16_000, 0.5)
    assert np.abs(error[160:-160]).max() < 0.002, "neither shifted nor bent"


actions = st.lists(
    st.tuples(st.just("put"), st.integers(1, 9000))
    | st.tuples(st.just("play"), st.integers(1, 12))
    | st.tuples(st.just("mark"), st.just(0)),
    max_size=40,
)


def syllables(seed: int, count: int) -> NDArray[np.int16]:
    """A loud noise, and every now and then next to nothing."""
    noise = np.random.default_rng(seed)
    sound = noise.integers(-9000, 9001, count)
    for at in range(int(noise.integers(1000, 9000)), count, 9600):
        sound[at : at + int(noise.integers(300, 3000))] //= 2000
    return sound.astype(np.int16)


@settings(max_examples=80, deadline=None)
@given(actions, st.integers(0, 1000), st.sampled_from([AUDIO_HZ, 16_000, 44_100]))
def test_every_sample_is_played_once_and_in_order_however_it_comes(doings: list[tuple[str, int]], seed: int, rate: int):
    """Pauses are laid between samples, never into what is there; only what is next to a pause is faded."""
    speaker, put, marked = Speaker(rate), [syllables(seed, 9000)], list[int]()
    speaker.put(put[0])
    speaker.begin()
    for number, (what, count) in enumerate(doings):
        if what == "put":
            put.append(syllables(seed + number, count))
            speaker.put(put[-1])
        elif what == "mark":
            speaker.source.mark(str(len(marked)))
            marked.append(speaker.source.received)
        else:
            speaker.play(count)
    speaker.source.close()
    finished = speaker.play_out()
    told = speaker.of(Marked)
    assert [mark.name for mark in told] == [str(number) for number in range(len(marked))]
    early = [place - mark.samples for place, mark in zip(marked, told, strict=True)]
    assert all(0 <= samples <= speaker.source.lead for samples in early), "but for what a filter kept"
    assert speaker.marks[-1] is finished
    resampler = Resampler(rate, 1)
    wanted = np.concatenate([resampler.convert(np.concatenate(put)), resampler.flush()])
    spoken, exact = speaker.spoken()
    assert finished.samples == len(spoken) == len(wanted) and finished.error is None
    assert np.array_equal(spoken[exact], wanted[exact])
    places = [mark.samples for mark in speaker.marks if not isinstance(mark, Started)]
    assert places == sorted(places)
    positions = [mark.samples for mark in speaker.marks if isinstance(mark, Held | Resumed)]
    assert positions[::2][: len(positions[1::2])] == positions[1::2]
    assert speaker.taken == sorted(set(speaker.taken)) and speaker.taken[-1] == 2 * len(np.concatenate(put))


# --- when it begins


def real_time(jitter: Callable[[int], float], phase_ms: float, *, pieces: int, piece_ms: int, fps: int) -> Speaker:
    """A producer as fast as speech: piece k comes ``jitter(k)`` ms after its time, the server's clock ``phase_ms``
    after it has begun grants the second frame. Frames are granted until all pieces have come.
    """
    speaker, frame = Speaker(), AUDIO_HZ // fps
    speaker.source.enough = reserve(frame)
    arrivals = sorted((piece_ms * k + jitter(k), k) for k in range(pieces))

    def grants(began_ms: float) -> Iterator[tuple[float, int]]:
        yield began_ms, HEAD_START
        for number in range(1, 10_000):
            yield began_ms + phase_ms + (number - 1) * 1000 / fps, HEAD_START + number * frame

    def arrive() -> float:
        came_ms, _ = arrivals.pop(0)
        speaker.put(pcm(piece_ms / 1000))
        return came_ms

    while speaker.source.waiting < HEAD_START + reserve(frame):
        began_ms = arrive()
    speaker.begin()
    for granted_ms, until in grants(began_ms):
        while arrivals and arrivals[0][0] <= granted_ms:
            arrive()
        if not arrivals:
            return speaker
        while len(speaker.blocks) * OPUS_SAMPLES < until:
            speaker.play()
    raise AssertionError


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.01, 40.0), st.sampled_from([(5, 25), (10, 25), (20, 25), (20, 30), (20, 10)]))
def test_a_producer_in_real_time_with_jitter_never_runs_dry(seed: int, phase_ms: float, shape: tuple[int, int]):
    piece_ms, fps = shape
    noise = np.random.default_rng(seed)
    speaker = real_time(
        lambda _: float(noise.uniform(-20, 20)), phase_ms % (1000 / fps), pieces=120, piece_ms=piece_ms, fps=fps
    )
    assert speaker.of(Started) and not speaker.of(Held)


def early_then_late(jitter_ms: float, early: int) -> Callable[[int], float]:
    return lambda piece: -jitter_ms if piece < early else jitter_ms


@pytest.mark.parametrize(("fps", "pieces"), [(25, 9), (10, 12), (30, 10)])
def test_what_is_waited_for_is_what_the_worst_jitter_needs_and_no_more(fps: int, pieces: int):
    assert HEAD_START + reserve(AUDIO_HZ // fps) <= pieces * 20 * MS
    assert not real_time(early_then_late(20, pieces), 0.01, pieces=60, piece_ms=20, fps=fps).of(Held)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}.reserve", lambda frame: reserve_less(frame))
        assert real_time(early_then_late(20, pieces - 1), 0.01, pieces=60, piece_ms=20, fps=fps).of(Held)


def reserve_less(frame: int) -> int:
    return {1920: 60, 4800: 120, 1600: 80}[frame] * MS


# --- credit and bounds


def test_what_is_taken_is_told_every_tenth_of_a_second():
    speaker = Speaker(16_000, 2)
    speaker.put(np.repeat(pcm(2.0, rate=16_000), 2))
    speaker.source.close()
    speaker.play_out()
    steps = np.diff([0, *speaker.taken])
    assert sum(steps) == 2 * 16_000 * 4
    assert min(steps[:-1]) >= 6400 and max(steps) <= 6400 + 1280, "a tenth of a second, and a block at most"


def test_half_a_sample_at_the_end_is_counted_and_not_heard():
    speaker = Speaker(AUDIO_HZ, 2)
    speaker.source.put(bytes(4000) + b"abc")
    speaker.source.close()
    assert speaker.play_out().samples == 1000
    assert speaker.taken == [4003]


@pytest.mark.parametrize(("seconds", "error"), [(0.999, None), (1.0, None), (1.001, "longer than 1 s"), (5, "longer")])
@pytest.mark.parametrize("rate", [AUDIO_HZ, 8000])
def test_no_more_is_spoken_than_the_longest_speech(seconds: float, error: str | None, rate: int):
    speaker = Speaker(rate, max_s=1.0)
    sound = pcm(seconds, rate=rate)
    for at in range(0, len(sound), 999):
        speaker.put(sound[at : at + 999])
    speaker.source.close()
    finished = speaker.play_out()
    assert finished.samples == min(AUDIO_HZ, round(seconds * AUDIO_HZ))
    assert (finished.error is None) is (error is None) and (error or "") in (finished.error or "")


def test_a_flood_does_not_fill_the_memory():
    speaker, second = Speaker(max_s=600.0), pcm(1.0)
    for _ in range(MAX_WAITING // AUDIO_HZ + 20):
        speaker.put(second)
    assert speaker.source.waiting <= MAX_WAITING + AUDIO_HZ
    finished = speaker.play_out()
    assert finished.error == "more than 90 s of samples wait to be played"
    assert finished.samples == MAX_WAITING + AUDIO_HZ


def test_what_comes_when_it_is_over_is_nothing():
    for end in (PcmSource.close, PcmSource.abandon):
        speaker = Speaker()
        speaker.put(pcm(0.1))
        end(speaker.source)
        speaker.put(pcm(0.1))
        speaker.source.mark("late")
        speaker.source.close()
        assert speaker.source.received == AUDIO_HZ // 10 and speaker.source.ended
        assert speaker.source.reached(AUDIO_HZ) == []
