"""Any speech, time and interruptions, from orders to what gets through the fences."""

from hypothesis import given, settings
from hypothesis import strategies as st

from avatar.messages import SpeechHeld, SpeechResumed, SpeechStarted, WentIdle
from tests.played_checks import check_mouth, check_pictures, check_sound
from tests.played_stream import PlayedStream, plain_packets
from tests.unit.test_timeline import Speech

Told = SpeechStarted | SpeechHeld | SpeechResumed
Step = tuple[str, int, int]
STEPS = st.one_of(
    st.tuples(st.just("say"), st.integers(1, 30_000), st.just(0)),
    st.tuples(st.just("pass"), st.integers(1, 12), st.sampled_from([0, 0, 100])),
    st.tuples(st.just("cut"), st.integers(0, 6), st.just(0)),
    st.tuples(st.just("cut one"), st.integers(0, 6), st.integers(0, 3)),
    st.tuples(st.just("cut twice"), st.integers(0, 3), st.integers(0, 3)),
)
STALL = st.tuples(st.just("stall"), st.integers(1, 12), st.just(0))


def act(stream: PlayedStream, step: Step) -> None:
    what, amount, which = step
    if what == "say" and stream.pipeline.live:
        stream.say(amount)
    elif what in ("pass", "stall"):
        stream.tick(amount, far=which, works=what == "pass")
    elif what == "cut":
        stream.interrupt(stream.due(amount))
    elif what == "cut twice":
        stream.interrupt(stream.due(amount), works=False)
        stream.interrupt(stream.due(amount + which))
    elif what == "cut one":
        stream.interrupt(stream.due(amount), [*stream.levels][-1 - which :][0])


def played(fps: int, first: int, steps: list[Step]) -> tuple[PlayedStream, int]:
    """A stream on which all that happened, and where it is idle in the end."""
    with plain_packets():
        stream = PlayedStream(fps)
        stream.say(first)
        for step in steps:
            act(stream, step)
            if not stream.pipeline.live and stream.clock >= stream.of(WentIdle)[-1].frame:
                break
        idle = stream.play_out()
    for name in stream.pipeline.timeline.clear():  # said when the stretch was about to end
        del stream.levels[name]
    return stream, idle


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([10, 15, 20, 25, 30]), st.integers(1, 60_000), st.lists(STEPS, max_size=12))
def test_whatever_is_said_and_interrupted_nothing_stale_is_heard(fps: int, first: int, steps: list[Step]):
    stream, idle = played(fps, first, steps)
    check_sound(stream, idle)
    check_pictures(stream, idle, late=False)
    check_mouth(stream, idle)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([10, 15, 20, 25, 30]), st.integers(1, 60_000), st.lists(STEPS | STALL, max_size=12))
def test_a_worker_that_is_late_makes_no_difference_to_what_is_heard(fps: int, first: int, steps: list[Step]):
    stream, idle = played(fps, first, steps)
    check_sound(stream, idle)
    check_pictures(stream, idle, late=True)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([10, 25, 30]),
    st.lists(st.tuples(st.integers(1, 20_000), st.integers(0, 9)), min_size=1, max_size=8),
    st.integers(0, 6),
)
def test_what_was_played_of_an_utterance_that_pauses_is_counted(fps: int, bursts: list[tuple[int, int]], due: int):
    with plain_packets():
        stream, source = PlayedStream(fps), Speech(ended=False)
        stream.queue("made", source)
        for samples, frames in bursts:
            source.give(samples)
            stream.tick(frames)
        at = max(stream.due(due), stream.start * stream.frame_samples)
        answer = stream.interrupt(at)
        stream.play_out()
    place = at if answer.utterance is None else answer.media_time
    told = [each for each in stream.said if isinstance(each, Told) and each.media_time <= place]
    if answer.utterance is None:
        assert answer.dropped == ["made"] and source.abandoned
        return
    last = told[-1]
    counted = 0 if isinstance(last, SpeechStarted) else last.samples
    assert answer.samples == counted + (0 if isinstance(last, SpeechHeld) else place - last.media_time)
    assert source.abandoned
