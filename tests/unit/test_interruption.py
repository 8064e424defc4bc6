"""Interruptions, on a clock that is moved on: with a worker that answers in time, late, never, or dies."""

import asyncio
from collections.abc import Iterator
from itertools import pairwise

import pytest

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES, AbandonSpeech
from tests.stepped_stream import FPS, SteppedStream
from whep_server.errors import Interrupted, Unavailable
from whep_server.live.interruption import ANSWER_S, GRACE_S
from whep_server.live.pictures import STALL_S
from whep_server.live.stream import StreamState
from whep_server.live.utterances import Interruption

FRAME_S = 1 / FPS


@pytest.fixture
def stage() -> Iterator[SteppedStream]:
    made = SteppedStream()
    made.step(FRAME_S)
    yield made
    made.close()


def speaking(stage: SteppedStream, frames: int = 500) -> str:
    """Something is being spoken, and has been for half a second."""
    upload = stage.speak(frames)
    for _ in range(20):
        stage.step(FRAME_S)
    assert stage.stream.state is StreamState.SPEAKING
    return upload.result().id


def steps(stage: SteppedStream, seconds: float, *, acts: bool = True) -> None:
    for _ in range(round(seconds / FRAME_S)):
        stage.step(FRAME_S, acts=acts)


def heard(stage: SteppedStream) -> list[bool]:
    """For each packet of sound: whether somebody speaks in it."""
    return [sound is not None and sound.voice for sound in stage.live_sounds()]


# --- what it does


def test_speech_ends_within_a_few_packets_and_what_was_played_is_known(stage):
    first = speaking(stage)
    waiting = stage.speak(25)
    stage.step(FRAME_S)
    called_s = stage.loop.now_s
    answer = stage.start(stage.stream.interrupt())
    (sent,) = stage.interrupts
    due_s = stage.stream._air.clock.packet_due_s(sent.at // OPUS_SAMPLES)
    assert called_s + GRACE_S <= due_s + 1e-9 <= called_s + GRACE_S + OPUS_SAMPLES / AUDIO_HZ
    steps(stage, 1)
    did = answer.result()
    begun = next(sound.sample for sound in stage.live_sounds() if sound is not None and sound.voice)
    assert did == Interruption(first, sent.at + AUDIO_HZ * 15 // 1000 - begun, (waiting.result().id,))
    voiced = [sound.sample for sound in stage.live_sounds() if sound is not None and sound.voice]
    assert voiced == list(range(begun, sent.at, OPUS_SAMPLES))
    assert stage.states(first) == ["queued", "started", "interrupted"]
    assert stage.states(waiting.result().id) == ["queued", "cancelled"]
    told = {str(event.data["state"]): (event.data, at) for event, at in zip(stage.events, stage.told_at, strict=True)}
    data, told_at = told["interrupted"]
    assert data["played_s"] == did.played_samples / AUDIO_HZ
    assert 0 <= told_at - float(str(data["media_time_s"])) * AUDIO_HZ < 3 * OPUS_SAMPLES
    assert told["cancelled"][1] < told_at, "who never began is told at once, who was cut off when it is silent"
    assert stage.stream.state is StreamState.IDLE
    assert stage.ledger.interruptions == {"asked": 1}
    assert dict(stage.stream.stats().utterances) == {"interrupted": 1, "cancelled": 1}


def test_what_is_shown_goes_on_with_a_keyframe_where_the_sound_ends(stage):
    speaking(stage)
    stage.start(stage.stream.interrupt())
    steps(stage, 1)
    first = -(-stage.interrupts[0].at * FPS // AUDIO_HZ)
    live = [picture for picture in stage.live_pictures() if picture is not None]
    assert [picture.frame for picture in live] == list(range(live[0].frame, live[-1].frame + 1))
    assert [picture.frame for picture in live if picture.place == 0] == [live[0].frame, first]
    assert {picture.epoch for picture in live if picture.frame >= first} == {1}


def test_with_nothing_to_interrupt_the_worker_is_not_asked(stage):
    answer = stage.start(stage.stream.interrupt())
    assert answer.result() == Interruption() and not stage.interrupts
    upload = stage.speak(5)
    steps(stage, 1)
    assert stage.states(upload.result().id)[-1] == "finished"
    assert stage.start(stage.stream.interrupt()).result() == Interruption() and not stage.interrupts
    assert stage.stream.interruptions == 2 and not stage.ledger.interruptions


def test_an_upload_on_its_way_is_dropped_and_learns_it(stage):
    more = asyncio.Event()

    async def file():
        yield b"SAY "
        await more.wait()
        yield b"25"

    upload = stage.start(stage.stream.speak(file()))
    stage.step(FRAME_S)
    did = stage.start(stage.stream.interrupt()).result()
    assert did.utterance is None and len(did.dropped) == 1
    more.set()
    stage.step(FRAME_S)
    with pytest.raises(Interrupted):
        upload.result()
    assert not stage.interrupts and isinstance(stage.worker.sent[-2], AbandonSpeech)
    assert stage.over == [(did.dropped[0], "cancelled")]
    later = stage.speak(5)
    steps(stage, 1)
    assert stage.states(later.result().id)[-1] == "finished"


@pytest.mark.parametrize("after_s", [0.0, 0.04, 0.12, 0.2, 0.28, 0.36, 0.6])
def test_speech_that_is_accepted_later_is_spoken_at_once(stage, after_s):
    """While the mouth closes, while the stretch ends, and after it."""
    speaking(stage)
    stage.start(stage.stream.interrupt())
    steps(stage, after_s)
    accepted_at = stage.stream._air.played
    upload = stage.speak(10)
    steps(stage, 2)
    later = upload.result().id
    assert stage.states(later) == ["queued", "started", "finished"]
    started = next(
        event for event in stage.events if (event.data["utterance"], event.data["state"]) == (later, "started")
    )
    assert float(str(started.data["media_time_s"])) - accepted_at / AUDIO_HZ < 0.6
    assert sum(heard(stage)[stage.interrupts[0].at // OPUS_SAMPLES :]) == 20, "all of it is heard"


def test_two_who_interrupt_at_once_get_one_answer(stage):
    utterance = speaking(stage)
    answers = [stage.start(stage.stream.interrupt()) for _ in range(2)]
    steps(stage, 1)
    assert answers[0].result() == answers[1].result() and answers[0].result().utterance == utterance
    assert len(stage.interrupts) == 1


def test_who_interrupts_what_came_after_another_interruption_gets_an_answer_of_its_own(stage):
    first = speaking(stage)
    one = stage.start(stage.stream.interrupt())
    upload = stage.speak(200)
    stage.worker.act()
    stage.worker.deliver()
    stage.step(0.0, acts=False)
    other = stage.start(stage.stream.interrupt())
    steps(stage, 1)
    second = upload.result().id
    assert (one.result().utterance, one.result().dropped) == (first, ())
    assert (other.result().utterance, other.result().dropped) == (None, (second,))
    assert stage.states(second) == ["queued", "cancelled"]


def test_who_gives_up_waiting_takes_the_answer_from_nobody(stage):
    speaking(stage)
    impatient, patient = stage.start(stage.stream.interrupt()), stage.start(stage.stream.interrupt())
    impatient.cancel()
    steps(stage, 0.2)
    assert impatient.cancelled() and patient.result().utterance is not None


# --- a worker that does not answer


def test_a_worker_that_hangs_keeps_neither_sound_nor_mouth_open(stage):
    utterance = speaking(stage)
    answer = stage.start(stage.stream.interrupt())
    at, shown = stage.interrupts[0].at, len(stage.pictures)
    steps(stage, ANSWER_S + 0.2, acts=False)
    with pytest.raises(Unavailable):
        answer.result()
    assert all(sound is None for sound in stage.live_sounds()[at // OPUS_SAMPLES :])
    assert [unit.rtp_time // OPUS_SAMPLES for unit in stage.sounds] == list(range(len(stage.sounds)))
    played = stage.stream._air.played // OPUS_SAMPLES
    assert len(stage.sounds) == played + 1, "silence is not waited for"
    frames = [unit.rtp_time * FPS // 90_000 for unit in stage.pictures]
    gaps = [later - earlier for earlier, later in pairwise(frames[shown - 1 :])]
    assert max(gaps) <= STALL_S * FPS + 1 and stage.live_pictures()[-1] is None
    assert stage.states(utterance)[-1] == "interrupted"
    assert stage.over == [(utterance, "interrupted")]
    # it wakes up, and all is well
    steps(stage, 1)
    assert stage.stream.state is StreamState.IDLE and stage.over == [(utterance, "interrupted")]
    later = stage.speak(5)
    steps(stage, 1)
    assert stage.states(later.result().id)[-1] == "finished"


def test_where_the_worker_is_lost_what_is_known_is_the_answer(stage):
    utterance = speaking(stage)
    answer = stage.start(stage.stream.interrupt())
    stage.worker.die()
    stage.step(0.0, acts=False)
    did = answer.result()
    assert did.utterance == utterance and 0 < did.played_samples <= stage.interrupts[0].at
    steps(stage, 0.4, acts=False)
    assert stage.states(utterance)[-1] == "interrupted"


def test_taking_the_stream_off_the_air_answers_who_waits():
    stage = SteppedStream()
    utterance = speaking(stage)
    answer = stage.start(stage.stream.interrupt())
    stage.close()
    assert answer.result().utterance == utterance
    assert stage.over == [(utterance, "interrupted")]
