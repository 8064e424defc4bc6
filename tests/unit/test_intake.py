import queue
import threading
import time

import pytest

from avatar import decode, intake
from avatar.intake import IN_MEMORY_BYTES, Heard, Intake, Outcome, Refused
from avatar.messages import RecordSpeech, SpeechData, SpeechRefusal, WorkerConfig
from tests.audio_files import tone, wav

HEADER = wav(tone(0.1))[: -round(0.1 * 96_000)]


class Desk:
    """An intake and what it reports."""

    def __init__(self, **limits: object) -> None:
        self.outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
        config = WorkerConfig("", "", "", **limits)  # type: ignore[arg-type]
        self.intake = Intake(config, self.outcomes.put)

    def send(self, data: bytes, utterance: str = "u", piece: int = 10_000) -> None:
        for at in range(0, max(1, len(data)), piece):
            last = at + piece >= len(data)
            self.intake.take(SpeechData("s", utterance, 0, data[at : at + piece], last))

    def outcome(self) -> Outcome:
        outcome = self.outcomes.get(timeout=30)
        assert self.intake.settle(outcome) or isinstance(outcome, Heard)
        return outcome


def heard_samples(outcome: Outcome) -> int:
    assert isinstance(outcome, Heard)
    total = 0
    deadline = time.monotonic() + 30
    while not (outcome.buffer.ended and outcome.buffer.available() == 0):
        total += len(outcome.buffer.take(4800).play)
        assert time.monotonic() < deadline
    return total


@pytest.mark.parametrize("seconds", [0.001, 0.1, 0.3, 2.0, 30.0])
def test_an_upload_in_pieces_is_heard_whole(seconds: float):
    desk = Desk()
    desk.send(wav(tone(seconds)))
    outcome = desk.outcome()
    assert isinstance(outcome, Heard) and outcome.seconds == pytest.approx(seconds, abs=0.001)
    assert heard_samples(outcome) == round(seconds * 48_000)
    assert not desk.intake.decoding


def test_an_upload_larger_than_memory_allows_goes_through_a_file():
    data = wav(tone(IN_MEMORY_BYTES / 96_000 + 5))
    assert len(data) > IN_MEMORY_BYTES
    desk = Desk()
    desk.send(data, piece=256 * 1024)
    assert heard_samples(desk.outcome()) == round((IN_MEMORY_BYTES / 96_000 + 5) * 48_000)


def test_what_is_decoded_may_wait_for_its_stream_as_long_as_it_takes():
    desk = Desk()
    desk.send(wav(tone(1.0)))
    outcome = desk.outcomes.get(timeout=30)
    desk.intake.hold(outcome)
    desk.intake.expire(time.monotonic() + 1000)
    assert desk.outcomes.empty()
    assert desk.intake.settle(outcome) and heard_samples(outcome) == 48_000


def test_recorded_utterances_are_decoded_one_at_a_time(monkeypatch: pytest.MonkeyPatch):
    running, most = [0], [0]

    def counted(*arguments: object) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        decode.decode(*arguments)  # type: ignore[arg-type]
        running[0] -= 1

    monkeypatch.setattr(intake, "decode", counted)  # the real one, seen from inside its threads
    monkeypatch.setattr(intake, "TURN_S", 60.0)
    desk = Desk()
    for name in "abcd":
        desk.intake.expect(RecordSpeech("s", name, 50))
        desk.send(wav(tone(5.0)), name)
    assert sorted(desk.outcome().key[1] for _ in range(4)) == list("abcd")
    assert most == [1]


def test_a_decoding_that_hangs_holds_no_other_up_for_long(monkeypatch: pytest.MonkeyPatch):
    going_on = threading.Event()

    def hangs(*arguments: object) -> None:
        if threading.current_thread().name == "decode-hangs":
            going_on.wait(60)
        decode.decode(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(intake, "decode", hangs)
    monkeypatch.setattr(intake, "TURN_S", 0.05)
    desk = Desk()
    for name in ("hangs", "waits"):
        desk.intake.expect(RecordSpeech("s", name, 50))
        desk.send(wav(tone(1.0)), name)
    assert desk.outcome().key[1] == "waits"
    going_on.set()
    assert desk.outcome().key[1] == "hangs"


@pytest.mark.parametrize("extra", [0, 1])
def test_an_upload_of_the_largest_size_is_taken_and_a_larger_one_refused_at_once(extra: int):
    data = wav(tone(1.0))
    desk = Desk(max_upload_bytes=len(data) - extra)
    desk.send(data)
    outcome = desk.outcome()
    if extra:
        assert isinstance(outcome, Refused) and outcome.reason is SpeechRefusal.TOO_LARGE
        assert desk.outcomes.empty()
    else:
        assert isinstance(outcome, Heard)


@pytest.mark.parametrize(
    ("data", "reason"),
    [(b"", SpeechRefusal.EMPTY), (b"no audio" * 100, SpeechRefusal.NOT_AUDIO), (HEADER, SpeechRefusal.EMPTY)],
    ids=["nothing", "text", "header"],
)
def test_what_cannot_be_spoken_is_refused_once(data: bytes, reason: SpeechRefusal):
    desk = Desk()
    desk.send(data)
    outcome = desk.outcome()
    assert isinstance(outcome, Refused) and outcome.reason is reason and outcome.detail
    assert desk.outcomes.empty() and not desk.intake.decoding


def test_too_long_is_refused():
    desk = Desk(max_speech_s=1.0)
    desk.send(wav(tone(1.5)))
    outcome = desk.outcome()
    assert isinstance(outcome, Refused) and outcome.reason is SpeechRefusal.TOO_LONG


def test_decoding_that_takes_for_ever_is_refused_and_what_comes_of_it_later_ignored():
    desk = Desk(decode_timeout_s=1.0)
    desk.send(wav(tone(1.0)))
    desk.intake.expire(time.monotonic() + 2.0)
    for thread in [thread for thread in threading.enumerate() if thread.name == "decode-u"]:
        thread.join(timeout=30)
    outcomes = [desk.outcomes.get() for _ in range(desk.outcomes.qsize())]
    assert SpeechRefusal.TOO_SLOW in [each.reason for each in outcomes if isinstance(each, Refused)]
    assert [desk.intake.settle(outcome) for outcome in outcomes] == [True] + [False] * (len(outcomes) - 1)


def test_an_abandoned_upload_is_forgotten():
    desk = Desk()
    desk.intake.take(SpeechData("s", "u", 0, b"RIFF", last=False))
    desk.intake.abandon("s", "u")
    desk.send(wav(tone(0.5)))
    assert heard_samples(desk.outcome()) == 24_000


def test_decoders_of_abandoned_utterances_end():
    desk = Desk()
    desk.send(wav(tone(30.0)), utterance="long")
    outcome = desk.outcomes.get(timeout=30)
    desk.intake.abandon("s")
    assert not desk.intake.settle(outcome)
    for thread in threading.enumerate():
        if thread.name == "decode-long":
            thread.join(timeout=30)
            assert not thread.is_alive()
