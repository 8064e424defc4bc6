"""Speech that is streamed in: how it is held up, what is told of it, and how it ends."""

import asyncio
from collections.abc import Iterator

import pytest

from avatar.messages import AUDIO_HZ, ClosePcm, OpenPcm, PcmChunk, PcmMark
from tests.stepped_stream import FPS, SteppedStream
from whep_server.errors import (
    AlreadySpeaking,
    BadRequest,
    Conflict,
    Interrupted,
    NotSpeech,
    TooMany,
    Unavailable,
    WorkerLost,
)
from whep_server.live.pcm_events import LAST, MAX_PAUSES, PcmEvent, PcmEvents
from whep_server.live.pcm_speech import MAX_MARKS, PcmSpeech
from whep_server.live.stream import StreamState
from whep_server.live.utterances import Interruption, News

FRAME_S = 1 / FPS
RATE = 24_000
WINDOW_S = 1.0


@pytest.fixture
def stage() -> Iterator[SteppedStream]:
    made = SteppedStream(pcm_window_s=WINDOW_S, pcm_start_ms=100)
    made.step(FRAME_S)
    yield made
    made.close()


def open_pcm(stage: SteppedStream, rate: int = RATE, channels: int = 1, start_ms: int | None = None) -> PcmSpeech:
    return stage.call(lambda: stage.stream.open_pcm(rate, channels, start_ms=start_ms))


def sound(seconds: float, rate: int = RATE, channels: int = 1) -> bytes:
    return bytes(round(seconds * rate) * 2 * channels)


def steps(stage: SteppedStream, seconds: float, *, acts: bool = True) -> None:
    for _ in range(round(seconds / FRAME_S)):
        stage.step(FRAME_S, acts=acts)


def told(stage: SteppedStream, speech: PcmSpeech) -> list[PcmEvent]:
    """The events that are there to be read."""

    async def read() -> list[PcmEvent]:
        events = []
        try:
            while True:
                async with asyncio.timeout(0):
                    events.append(await anext(speech))
        except (TimeoutError, StopAsyncIteration):
            return events

    return stage.run(read())


def kinds(events: list[PcmEvent]) -> list[str]:
    return [event.kind for event in events if event.kind != "credit"]


def sent(stage: SteppedStream, kind: type) -> list:
    return [message for message in stage.worker.sent if isinstance(message, kind)]


def test_it_is_spoken_while_it_is_made_and_its_places_are_told_when_they_are_played(stage):
    speech = open_pcm(stage)
    assert not sent(stage, OpenPcm), "its first samples open it"
    stage.call(lambda: speech.mark("first"))
    for number in range(25):
        stage.start(speech.append(sound(0.04)))
        if number == 12:
            stage.call(lambda: speech.mark("middle"))
        steps(stage, 0.04)
    stage.call(lambda: speech.mark("last"))
    stage.call(speech.commit)
    steps(stage, 1)
    assert sent(stage, OpenPcm) == [OpenPcm("demo", speech.id, 0, RATE, 1, 100)]
    events = [event for event in told(stage, speech) if event.kind != "credit"]
    assert kinds(events) == ["accepted", "started", "mark", "mark", "mark", "finished"]
    assert [event.data.get("name") for event in events[2:5]] == ["first", "middle", "last"]
    places = [event.data["played_samples"] for event in events[1:]]
    assert places == [0, 0, 13 * 1920, AUDIO_HZ, AUDIO_HZ]
    began_s = events[1].data["media_time_s"]
    assert [event.data["media_time_s"] - began_s for event in events[1:]] == pytest.approx(
        [place / AUDIO_HZ for place in places]
    )
    assert stage.states(speech.id) == ["queued", "started", "finished"]
    entry = stage.stream.stats().last_utterance
    assert entry is not None and entry.seconds == 1.0 and 0 < entry.accepted_s < entry.started_s
    assert stage.ledger.utterances == {("streamed", "finished"): 1}


def test_who_makes_it_too_slowly_is_told_when_it_pauses_and_when_it_goes_on(stage):
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.2)))
    steps(stage, 1)
    assert kinds(told(stage, speech)) == ["accepted", "started", "underrun"]
    stage.start(speech.append(sound(0.4)))
    stage.call(speech.commit)
    steps(stage, 1)
    events = told(stage, speech)
    assert kinds(events) == ["resumed", "finished"]
    assert [event.data["played_samples"] for event in events[-2:]] == [AUDIO_HZ // 5, AUDIO_HZ * 3 // 5]
    assert stage.states(speech.id) == ["queued", "started", "underrun", "resumed", "finished"]
    assert stage.ledger.underruns == 1


def test_more_than_a_window_is_held_up_and_credit_says_how_much_may_come(stage):
    speech = open_pcm(stage)
    window = len(sound(WINDOW_S))
    assert told(stage, speech) == [PcmEvent("credit", {"bytes": window})]
    appending = stage.start(speech.append(sound(2.5)))
    assert not appending.done()
    assert sum(len(chunk.data) for chunk in sent(stage, PcmChunk)) == window
    for _ in range(60):
        stage.step(FRAME_S)
        handed_on = sum(len(chunk.data) for chunk in sent(stage, PcmChunk))
        assert handed_on - speech._taken <= window
    assert appending.done()
    credit = sum(event.data["bytes"] for event in told(stage, speech) if event.kind == "credit")
    assert len(sound(1.0)) <= credit <= speech._taken
    stage.call(speech.commit)
    steps(stage, 2)
    assert kinds(told(stage, speech))[-1] == "finished"
    assert [type(message) for message in stage.worker.sent if not hasattr(message, "until")][-1] is ClosePcm


def test_an_interruption_ends_it_and_wakes_who_waits(stage):
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.5)))
    stage.call(lambda: speech.mark("reached"))
    appending = stage.start(speech.append(sound(3)))
    steps(stage, 1)
    stage.call(lambda: speech.mark("never"))
    did = stage.start(stage.stream.interrupt())
    assert isinstance(appending.exception(), Interrupted), "at once"
    steps(stage, 0.5)
    events = told(stage, speech)
    assert kinds(events) == ["accepted", "started", "mark", "interrupted"]
    assert events[-1].data["played_samples"] == did.result().played_samples > 0
    assert did.result().utterance == speech.id
    for call in (lambda: speech.mark("late"), speech.commit):
        with pytest.raises(Interrupted):
            stage.call(call)
    assert stage.start(speech.cancel()).result() == Interruption()


def test_who_cancels_stops_what_is_its_own_alone(stage):
    first = stage.speak(50)
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.5)))
    steps(stage, 0.5)
    assert stage.start(speech.cancel()).result() == Interruption(dropped=(speech.id,))
    steps(stage, 3)
    assert kinds(told(stage, speech)) == ["accepted", "interrupted"]
    assert stage.states(first.result().id)[-1] == "finished" and not stage.interrupts

    speech, after = open_pcm(stage), None
    stage.start(speech.append(sound(1)))
    stage.call(speech.commit)
    after = stage.speak(5)
    steps(stage, 0.6)
    cancelling = stage.start(speech.cancel())
    steps(stage, 2)
    assert cancelling.result().utterance == speech.id and not cancelling.result().dropped
    assert stage.states(after.result().id) == ["queued", "started", "finished"]
    assert stage.ledger.interruptions == {"cancelled": 2} and not stage.stream.interruptions


def test_the_worker_that_began_what_was_just_cancelled_is_interrupted(stage):
    first = stage.speak(10)
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.9)))
    for _ in range(100):
        stage.step(FRAME_S, acts=False)
        stage.worker.act()
        if any(
            type(message).__name__ == "SpeechStarted" and message.utterance == speech.id
            for message in stage.worker.outbox
        ):
            break
        stage.worker.deliver()
    stage.start(speech.cancel())
    steps(stage, 2)
    assert [message.utterance for message in stage.interrupts] == [speech.id]
    assert stage.states(first.result().id)[-1] == "finished" and stage.states(speech.id) == ["queued", "cancelled"]
    assert stage.stream.state is StreamState.IDLE


def test_a_producer_that_vanishes_is_heard_to_where_it_came(stage):
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.5)))
    stage.call(lambda: speech.break_off("the connection was lost"))
    steps(stage, 2)
    last = told(stage, speech)[-1]
    assert (last.kind, last.data["detail"], last.data["played_samples"]) == (
        "failed",
        "the connection was lost",
        AUDIO_HZ // 2,
    )
    assert stage.over == [(speech.id, "failed")]
    silent = open_pcm(stage)
    stage.call(lambda: silent.break_off("it went"))
    assert kinds(told(stage, silent)) == ["failed"] and stage.over[-1] == (silent.id, "failed")


def test_one_at_a_time_and_only_what_can_be_played(stage):
    for rate, channels, start_ms in [
        (7_999, 1, None),
        (96_001, 1, None),
        (RATE, 3, None),
        (RATE, 1, 19),
        (RATE, 1, 1001),
    ]:
        with pytest.raises(BadRequest):
            open_pcm(stage, rate, channels, start_ms)
    speech = open_pcm(stage, channels=2)
    with pytest.raises(AlreadySpeaking):
        open_pcm(stage)
    with pytest.raises(BadRequest):
        stage.run(speech.append(bytes(6)))
    with pytest.raises(NotSpeech):
        stage.call(speech.commit)
    assert kinds(told(stage, speech)) == ["failed"]
    other = open_pcm(stage)
    stage.start(other.append(sound(0.1)))
    stage.call(other.commit)
    with pytest.raises(Conflict):
        stage.run(other.append(sound(0.1)))
    assert open_pcm(stage).id != other.id, "who has said all gives way"


def test_marks_are_limited_whether_or_not_they_are_read(stage):
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.1)))
    for number in range(MAX_MARKS):
        stage.call(lambda name=str(number): speech.mark(name))
    with pytest.raises(TooMany):
        stage.call(lambda: speech.mark("one more"))
    assert len(sent(stage, PcmMark)) == MAX_MARKS
    steps(stage, 1)
    with pytest.raises(TooMany):
        stage.call(lambda: speech.mark("they are played and not read"))
    assert len([event for event in told(stage, speech) if event.kind == "mark"]) == MAX_MARKS
    stage.call(lambda: speech.mark("now"))


def test_a_lost_worker_ends_it(stage):
    speech = open_pcm(stage)
    appending = stage.start(speech.append(sound(3)))
    steps(stage, 0.5)
    stage.worker.die()
    stage.step(0.0, acts=False)
    assert isinstance(appending.exception(), WorkerLost)
    assert kinds(told(stage, speech))[-1] == "failed"
    with pytest.raises(WorkerLost):
        stage.call(speech.commit)
    with pytest.raises(Unavailable):
        open_pcm(stage)


def test_it_waits_for_a_stream_that_is_being_opened():
    stage = SteppedStream()
    speech = open_pcm(stage)
    appending = stage.start(speech.append(sound(0.5)))
    assert not appending.done() and not sent(stage, OpenPcm)
    steps(stage, 0.2)
    assert appending.done() and sent(stage, OpenPcm)
    stage.close()
    assert kinds(told_after_the_end(speech))[-1] == "failed"


def told_after_the_end(speech: PcmSpeech) -> list[PcmEvent]:
    async def read() -> list[PcmEvent]:
        return [event async for event in speech]

    return asyncio.run(read())


def test_the_next_one_begins_with_more_where_the_last_was_uneven(stage):
    for late_s in (0.0, 0.3):
        speech = open_pcm(stage)
        for number in range(20):
            stage.start(speech.append(sound(0.04)))
            steps(stage, 0.04 + (late_s if number == 10 else 0))
        stage.call(speech.commit)
        steps(stage, 2)
    speech = open_pcm(stage)
    stage.start(speech.append(sound(0.04)))
    assert [opened.start_ms for opened in sent(stage, OpenPcm)] == [100, 100, pytest.approx(320, abs=45)]


# --- its events


def news(state: str) -> News:
    return News(state, 0, 0)


async def test_events_are_bounded_and_the_last_one_is_never_lost():
    events = PcmEvents()
    events.put(news("started"))
    for _ in range(10 * MAX_PAUSES):
        events.put(news("underrun"))
        events.credit(100)
        events.put(news("resumed"))
    events.put(news("finished"))
    events.put(news("failed"))
    read = [event.kind async for event in events]
    assert read == ["started", *["underrun", "resumed"] * MAX_PAUSES, "finished"]
    assert set(LAST) == {"finished", "interrupted", "failed"}


async def test_credit_is_added_up_while_nobody_reads():
    events = PcmEvents()
    for size in (100, 20, 3):
        events.credit(size)
    assert await anext(events) == PcmEvent("credit", {"bytes": 123})
