"""Utterances, from the upload to the last sample."""

import pytest

from avatar.messages import SpeechAccepted, SpeechFinished, SpeechRefusal, SpeechRefused, SpeechStarted
from whep_server.errors import NotSpeech, TooLarge, TooMany, Unavailable, WorkerLost
from whep_server.live.utterances import REFUSALS, Speech


def states(events) -> list[tuple[str, str]]:
    return [(event.data["utterance"], event.data["state"]) for event in events]


async def test_started_and_finished_are_told_when_they_are_heard():
    speech = Speech(4)
    entry = speech.open()
    assert speech.accepted(SpeechAccepted("demo", entry.id, 1.5)).data["seconds"] == 1.5
    assert (await entry.verdict).queued == 0
    speech.started(SpeechStarted("demo", entry.id, 960))
    speech.finished(SpeechFinished("demo", entry.id, 1920, 960, None))
    assert speech.due(959) == []
    assert states(speech.due(960)) == [(entry.id, "started")]
    [finished] = speech.due(5000)
    assert (finished.data["state"], finished.data["media_time_s"]) == ("finished", 0.04)
    assert not speech.pending


async def test_a_file_that_broke_off_fails_when_its_last_sample_is_heard():
    speech = Speech(4)
    entry = speech.open()
    speech.accepted(SpeechAccepted("demo", entry.id, None))
    speech.finished(SpeechFinished("demo", entry.id, 10, 10, "it broke off"))
    [event] = speech.due(10)
    assert (event.data["state"], event.data["detail"]) == ("failed", "it broke off")


@pytest.mark.parametrize(
    ("reason", "error"),
    [
        (SpeechRefusal.NOT_AUDIO, NotSpeech),
        (SpeechRefusal.TOO_LONG, TooLarge),
        (SpeechRefusal.UNKNOWN_STREAM, Unavailable),
    ],
)
async def test_a_refusal_says_why(reason, error):
    speech = Speech(4)
    entry = speech.open()
    speech.refused(SpeechRefused("demo", entry.id, reason, "because"))
    with pytest.raises(error, match="because"):
        await entry.verdict


def test_every_refusal_has_an_answer():
    assert set(REFUSALS) == set(SpeechRefusal)


async def test_the_queue_has_an_end():
    speech = Speech(2)
    first = speech.open()
    speech.open()
    with pytest.raises(TooMany):
        speech.open()
    speech.forget(first)
    speech.open()


async def test_a_lost_worker_fails_what_will_not_be_heard_to_its_end():
    speech = Speech(4)
    heard, cut, waiting, uploading = (speech.open() for _ in range(4))
    for entry in (heard, cut, waiting):
        speech.accepted(SpeechAccepted("demo", entry.id, 1.0))
    speech.started(SpeechStarted("demo", heard.id, 0))
    speech.finished(SpeechFinished("demo", heard.id, 100, 100, None))
    speech.started(SpeechStarted("demo", cut.id, 100))
    speech.finished(SpeechFinished("demo", cut.id, 300, 200, None))
    events = speech.fail("the worker was lost", heard_until=200)
    assert states(events) == [(cut.id, "failed"), (waiting.id, "failed")]
    with pytest.raises(WorkerLost):
        await uploading.verdict
    assert states(speech.due(1000)) == [(heard.id, "started"), (heard.id, "finished"), (cut.id, "started")]
    assert speech.queued == 0


async def test_messages_about_the_unknown_are_passed_over():
    speech = Speech(4)
    assert speech.accepted(SpeechAccepted("demo", "nobody", 1.0)) is None
    speech.refused(SpeechRefused("demo", "nobody", SpeechRefusal.EMPTY, ""))
    speech.started(SpeechStarted("demo", "nobody", 1))
    speech.finished(SpeechFinished("demo", "nobody", 1, 1, None))
    assert speech.due(10) == []
