"""Utterances, from the upload to the last sample."""

import pytest

from avatar.messages import SpeechAccepted, SpeechFinished, SpeechHeld, SpeechRefusal, SpeechRefused, SpeechStarted
from whep_server.errors import Interrupted, NotSpeech, ServerError, TooLarge, TooMany, Unavailable, WorkerLost
from whep_server.live.events import StreamEvent
from whep_server.live.speech_queue import ROUNDING, SpeechQueue
from whep_server.live.utterances import REFUSALS, CutOff, Entry, Interruption, Stage


class Queue(SpeechQueue):
    """A queue, what it tells, and how its utterances ended."""

    def __init__(self, most: int) -> None:
        self.events: list[StreamEvent] = []
        self.ended: list[tuple[str, str, str | None]] = []
        super().__init__(most, self.events.append, self.note_end)

    def note_end(self, entry: Entry, state: str, error: ServerError | None) -> None:
        self.ended.append((entry.id, state, error and error.detail))

    def told(self) -> list[tuple[str, str]]:
        """What it told since it was asked last."""
        events = self.events.copy()
        self.events.clear()
        return [(event.data["utterance"], event.data["state"]) for event in events]


async def test_started_and_finished_are_told_when_they_are_heard():
    speech = Queue(4)
    entry = speech.open()
    assert speech.accepted(SpeechAccepted("demo", entry.id, 1.5), 0.0)
    assert speech.events[-1].data["seconds"] == 1.5 and speech.told() == [(entry.id, "queued")]
    assert (await entry.verdict).queued == 0
    speech.started(SpeechStarted("demo", entry.id, 960))
    speech.finished(SpeechFinished("demo", entry.id, 1920, 960, None))
    speech.due(959, 0.0)
    assert speech.told() == []
    speech.due(960, 0.0)
    assert speech.told() == [(entry.id, "started")]
    speech.due(5000, 0.0)
    [finished] = speech.events
    assert (finished.data["state"], finished.data["media_time_s"], finished.data["played_s"]) == (
        "finished",
        0.04,
        0.02,
    )
    assert not speech.pending


async def test_a_file_that_broke_off_fails_when_its_last_sample_is_heard():
    speech = Queue(4)
    entry = speech.open()
    speech.accepted(SpeechAccepted("demo", entry.id, None), 0.0)
    speech.finished(SpeechFinished("demo", entry.id, 10, 10, "it broke off"))
    speech.due(10, 0.0)
    event = speech.events[-1]
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
    speech = Queue(4)
    entry = speech.open()
    speech.refused(SpeechRefused("demo", entry.id, reason, "because"))
    with pytest.raises(error, match="because"):
        await entry.verdict


def test_every_refusal_has_an_answer():
    assert set(REFUSALS) == set(SpeechRefusal)


async def test_the_queue_has_an_end():
    speech = Queue(2)
    first = speech.open()
    speech.open()
    with pytest.raises(TooMany):
        speech.open()
    speech.forget(first)
    speech.open()


async def test_a_lost_worker_fails_what_will_not_be_heard_to_its_end():
    speech = Queue(4)
    heard, cut, waiting, uploading = (speech.open() for _ in range(4))
    for entry in (heard, cut, waiting):
        speech.accepted(SpeechAccepted("demo", entry.id, 1.0), 0.0)
    speech.started(SpeechStarted("demo", heard.id, 0))
    speech.finished(SpeechFinished("demo", heard.id, 100, 100, None))
    speech.started(SpeechStarted("demo", cut.id, 100))
    speech.finished(SpeechFinished("demo", cut.id, 300, 200, None))
    speech.told()
    speech.fail(WorkerLost("the worker was lost"), heard_until=200)
    assert speech.told() == [(cut.id, "failed"), (waiting.id, "failed")]
    with pytest.raises(WorkerLost):
        await uploading.verdict
    speech.due(1000, 0.0)
    assert speech.told() == [(heard.id, "started"), (heard.id, "finished")]
    assert speech.queued == 0


async def test_messages_about_the_unknown_are_passed_over():
    speech = Queue(4)
    assert not speech.accepted(SpeechAccepted("demo", "nobody", 1.0), 0.0)
    speech.refused(SpeechRefused("demo", "nobody", SpeechRefusal.EMPTY, ""))
    speech.started(SpeechStarted("demo", "nobody", 1))
    assert not speech.knows("nobody")
    speech.finished(SpeechFinished("demo", "nobody", 1, 1, None))
    speech.passed(SpeechHeld("demo", "nobody", 1, 1))
    speech.due(10, 0.0)
    assert speech.told() == [] and not speech.pending


async def test_each_utterance_is_over_once():
    speech = Queue(9)
    refused, broken, heard, cut, lost, uploading = (speech.open() for _ in range(6))
    speech.refused(SpeechRefused("demo", refused.id, SpeechRefusal.EMPTY, "no sound"))
    speech.forget(refused)
    speech.forget(broken)
    for entry in (heard, cut, lost):
        speech.accepted(SpeechAccepted("demo", entry.id, 1.0), 5.0)
    speech.finished(SpeechFinished("demo", heard.id, 100, 100, None))
    speech.finished(SpeechFinished("demo", cut.id, 200, 100, "it broke off"))
    assert speech.ended == [(refused.id, "refused", "no sound"), (broken.id, "abandoned", None)]
    speech.due(500, 6.0)
    speech.fail(WorkerLost("gone"), heard_until=500)
    speech.fail(WorkerLost("gone"), heard_until=500)
    assert speech.ended[2:] == [
        (heard.id, "finished", None),
        (cut.id, "failed", "it broke off"),
        (uploading.id, "failed", "gone"),
        (lost.id, "failed", "gone"),
    ]


async def test_when_it_was_accepted_and_first_heard_is_noted():
    speech = Queue(4)
    entry = speech.open()
    speech.accepted(SpeechAccepted("demo", entry.id, 1.0), 3.0)
    speech.started(SpeechStarted("demo", entry.id, 960))
    speech.due(959, 4.0)
    assert (entry.accepted_s, entry.started_s) == (3.0, None)
    speech.due(960, 5.0)
    assert entry.started_s == 5.0


async def test_what_others_are_told_later_survives_that_one_fails():
    speech = Queue(4)
    spoken, live = speech.open(), speech.open_live()
    for entry in (spoken, live):
        speech.accepted(SpeechAccepted("demo", entry.id, None), 0.0)
    speech.finished(SpeechFinished("demo", spoken.id, 700_000, 960, None))
    speech.told()
    speech.fail(Unavailable("gone"), 0, [live.id])
    assert speech.told() == [(live.id, "failed")]
    speech.due(700_000, 0.0)
    assert speech.told() == [(spoken.id, "finished")]
    assert not speech.pending


async def test_the_worker_may_go_ahead_as_far_as_what_is_recorded_lasts():
    speech = Queue(4)
    assert speech.ahead(0) == 0
    later, recorded, plain = (speech.open() for _ in range(3))
    later.recorded = recorded.recorded = True
    assert speech.ahead(960) == 0  # nothing is accepted
    for entry in (recorded, plain, later):
        speech.accepted(SpeechAccepted("demo", entry.id, 2.0), 0.0)
    assert speech.ahead(960) == 960 + ROUNDING
    speech.started(SpeechStarted("demo", recorded.id, 4800))
    assert speech.ahead(960) == 4800 + 96_000 + ROUNDING
    speech.finished(SpeechFinished("demo", recorded.id, 100_800, 96_000, None))
    assert speech.ahead(960) == 0  # an ordinary one is next
    speech.started(SpeechStarted("demo", plain.id, 110_400))
    assert speech.ahead(960) == 0
    speech.finished(SpeechFinished("demo", plain.id, 206_400, 96_000, None))
    assert speech.ahead(960) == 960 + ROUNDING


async def test_what_is_made_and_still_heard_is_before_what_is_accepted_now():
    speech = Queue(4)
    first, second = speech.open(), speech.open()
    speech.accepted(SpeechAccepted("demo", first.id, 9.0), 0.0)
    speech.finished(SpeechFinished("demo", first.id, 432_000, 432_000, None))
    speech.accepted(SpeechAccepted("demo", second.id, 1.0), 0.0)
    assert (await second.verdict).queued == 1


# --- interruption; units: 48 kHz samples


def spoken(speech: Queue, begins: int, ends: int | None = None) -> Entry:
    """An utterance that the worker has begun, and made to its end."""
    entry = speech.open()
    speech.accepted(SpeechAccepted("demo", entry.id, None), 0.0)
    speech.started(SpeechStarted("demo", entry.id, begins))
    if ends is not None:
        speech.finished(SpeechFinished("demo", entry.id, ends, ends - begins, None))
    return entry


async def test_who_is_heard_to_the_end_before_it_is_not_interrupted():
    speech = Queue(9)
    heard, cut, late = spoken(speech, 0, 960), spoken(speech, 20_000, 40_000), spoken(speech, 50_000)
    assert speech.on_the_way(30_720) == [cut, late]
    interruption = speech.cut(30_720, speech.on_the_way(30_720), "hush")
    speech.told()
    did = speech.settle(interruption, CutOff(cut.id, 31_440, 11_440, [late.id]))
    assert did == Interruption(cut.id, 11_440, (late.id,))
    assert speech.told() == [(late.id, "cancelled")]
    speech.due(31_439, 0.0)
    assert speech.told() == [(heard.id, "started"), (heard.id, "finished"), (cut.id, "started")]
    speech.due(60_000, 0.0)
    assert speech.told() == [(cut.id, "interrupted")] and not speech.pending
    assert speech.events == [] and [state for _, state, _ in speech.ended] == ["cancelled", "finished", "interrupted"]


async def test_who_goes_on_is_taken_back_and_told_of_anew():
    speech = Queue(9)
    cut, after = spoken(speech, 0), spoken(speech, 48_000, 96_000)
    interruption = speech.cut(9600, [cut], "hush")
    assert (after.stage, after.begins, speech.queued) == (Stage.QUEUED, None, 1)
    speech.started(SpeechStarted("demo", after.id, 48_000))  # it was said before the worker knew
    assert after.begins is None
    speech.settle(interruption, CutOff(cut.id, 10_320, 10_320, []))
    speech.started(SpeechStarted("demo", after.id, 20_160))
    speech.finished(SpeechFinished("demo", after.id, 68_160, 48_000, None))
    speech.told()
    speech.due(100_000, 0.0)
    assert speech.told() == [
        (cut.id, "started"),
        (cut.id, "interrupted"),
        (after.id, "started"),
        (after.id, "finished"),
    ]


async def test_who_spoke_on_while_another_was_taken_away_is_told_of_anew():
    speech = Queue(9)
    first, taken = spoken(speech, 0, 20_000), spoken(speech, 30_000)
    interruption = speech.cut(9600, [taken], "hush")
    assert first.stage is Stage.STARTED
    assert speech.settle(interruption, CutOff(None, 9600, 0, [taken.id])) == Interruption(dropped=(taken.id,))
    speech.finished(SpeechFinished("demo", first.id, 20_000, 20_000, None))
    speech.told()
    speech.due(100_000, 0.0)
    assert speech.told() == [(first.id, "started"), (first.id, "finished")]


async def test_what_the_worker_ended_besides_is_over_too():
    """A publisher whose turn had come when the interruption arrived."""
    speech = Queue(9)
    cut, live = spoken(speech, 0), speech.open_live()
    live.barges_in = True
    speech.accepted(SpeechAccepted("demo", live.id, None), 0.0)
    assert live.outlasts and not cut.outlasts
    did = speech.settle(speech.cut(9600, [cut], "hush"), CutOff(cut.id, 9600, 9600, [live.id]))
    assert did == Interruption(cut.id, 9600, (live.id,)) and not speech.has(live)


async def test_without_an_answer_what_was_heard_is_as_much_as_can_have_been():
    speech = Queue(9)
    cut, waiting = spoken(speech, 4800), speech.open()
    did = speech.settle(speech.cut(9600, [cut, waiting], "hush"), None)
    assert did == Interruption(cut.id, 4800, (waiting.id,))
    with pytest.raises(Interrupted, match="hush"):
        await waiting.verdict
