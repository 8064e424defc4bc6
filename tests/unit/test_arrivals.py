"""Utterances on their way in, and interruptions: what is forgotten, what goes on, and who is heard before its turn."""

import queue
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.arrivals import Arrivals
from avatar.cut import FADE_OUT, PAUSE
from avatar.intake import Heard, Intake, Outcome
from avatar.live_intake import LiveIntake
from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    CloseLive,
    FromWorker,
    Interrupt,
    Interrupted,
    LivePacket,
    OpenLive,
    OpenPcm,
    PcmChunk,
    RecordSpeech,
    SpeechAccepted,
    SpeechData,
    SpeechRefused,
    SpeechStarted,
    Unit,
    VoiceHeard,
    WorkerConfig,
)
from avatar.pcm_intake import PcmIntake
from avatar.pipeline import Pipeline
from bench.opus_publisher import opus_packets
from tests.audio_files import tone, wav
from tests.played_stream import PlayedStream

Message = TypeVar("Message")
CONFIG = WorkerConfig("", "", "")
SENTENCE = Path(__file__).parents[1] / "data" / "sentence-espeak.wav"


def voice(seconds: float) -> list[bytes]:
    """Packets of a sentence, from its first sound on."""
    with wave.open(str(SENTENCE)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    begins = int(np.argmax(np.abs(sound) > 600))
    return packets(np.repeat(sound[begins:], 3)[: round(seconds * AUDIO_HZ)])


def noise(seconds: float) -> list[bytes]:
    return packets(np.random.default_rng(3).normal(scale=300, size=round(seconds * AUDIO_HZ)).astype(np.int16))


def packets(sound: NDArray[np.int16]) -> list[bytes]:
    return opus_packets(sound[:, None])


@dataclass
class Desk:
    """A stream that is live, and all the ways to it. The outcomes of uploads are taken when asked for."""

    said: list[FromWorker] = field(default_factory=list)
    outcomes: "queue.SimpleQueue[Outcome]" = field(default_factory=queue.SimpleQueue)
    sent: int = 0
    """Packets."""

    def __post_init__(self) -> None:
        self.stream = PlayedStream()
        self.pipeline: Pipeline = self.stream.pipeline
        self.intake = Intake(CONFIG, self.outcomes.put)
        self.live, self.pcm = LiveIntake(self.said.append), PcmIntake(CONFIG, self.said.append)
        self.arrivals = Arrivals(self.intake, self.live, self.pcm, self.said.append)

    def open(self, name: str = "live", *, barges_in: bool = False, listens: bool = False) -> None:
        self.live.take(OpenLive("a", name, 0, barges_in, listens), self.pipeline)

    def publish(self, data: list[bytes], name: str = "live", *, tick: bool = True) -> None:
        for number, packet in enumerate(data):
            if tick and number % 2:
                self.stream.tick()
            message = LivePacket("a", name, self.sent, self.sent * OPUS_SAMPLES, packet)
            self.live.take(message, self.pipeline)
            self.sent += 1

    def upload(self, data: bytes, name: str, epoch: int = 0, *, last: bool = True) -> None:
        self.intake.take(SpeechData("a", name, epoch, data, last))

    def interrupt(self, utterance: str = "", *, epoch: int = 1) -> Interrupted:
        at = self.stream.due()
        self.arrivals.interrupt(Interrupt("a", epoch, at, utterance), self.pipeline)
        return self.of(Interrupted)[-1]

    def settled(self) -> str:
        """The upload that is decoded next and is still wanted."""
        while not self.intake.settle(outcome := self.outcomes.get(timeout=30)):
            pass
        assert isinstance(outcome, Heard)
        return outcome.key[1]

    def of(self, kind: type[Message]) -> list[Message]:
        return [each for each in self.said if isinstance(each, kind)]


# --- a publisher's voice before its turn


def test_a_voice_that_barges_in_is_told_once():
    desk = Desk()
    desk.stream.say(6 * AUDIO_HZ)
    desk.stream.tick(8)
    desk.open(barges_in=True)
    desk.publish(noise(1.0))
    assert desk.of(SpeechAccepted) and not desk.of(VoiceHeard)
    desk.publish(voice(1.0))
    assert desk.of(VoiceHeard) == [VoiceHeard("a", "live")]
    desk.publish(noise(1.0) + voice(1.0))
    assert len(desk.of(VoiceHeard)) == 1


def test_a_voice_that_does_not_barge_in_or_whose_turn_it_is_is_not_told():
    for barges_in in (False, True):
        desk = Desk()
        if not barges_in:
            desk.stream.say(3 * AUDIO_HZ)
        desk.stream.tick(6)
        desk.open(barges_in=barges_in)
        desk.publish(voice(1.5))
        assert not desk.of(VoiceHeard)


def test_who_barges_in_is_next_when_all_else_is_interrupted_and_what_was_said_before_is_forgotten():
    desk = Desk()
    desk.stream.say(6 * AUDIO_HZ)
    desk.stream.tick(8)
    desk.open(barges_in=True)
    desk.stream.say(AUDIO_HZ)
    desk.publish(voice(2.0))
    answer = desk.interrupt()
    assert (answer.utterance, answer.dropped) == ("u0", ["u1"])
    desk.publish(voice(1.0))
    starts = [each for each in desk.stream.of(SpeechStarted) if each.utterance == "live"]
    assert [each.media_time for each in starts] == [answer.media_time - FADE_OUT + PAUSE]
    source = desk.live._publishers["a", "live"].source
    assert source is not None and source.begun and source.counts.packets == desk.sent
    assert source.counts.dropped == 0 and len(source._waiting) < 12, "it is live"


def test_who_barges_in_and_has_started_is_cut_off_as_any():
    desk = Desk()
    desk.open(barges_in=True)
    desk.publish(voice(1.0))
    assert desk.interrupt().utterance == "live"
    desk.publish(voice(0.5))
    assert not desk.live._publishers


def test_who_listens_is_told_each_time_and_never_has_a_turn():
    desk = Desk()
    desk.stream.say(8 * AUDIO_HZ)
    desk.stream.tick(8)
    desk.open(listens=True)
    desk.open(listens=True)
    assert desk.of(SpeechAccepted) == [SpeechAccepted("a", "live", None)]
    desk.publish(noise(0.5) + voice(0.5) + noise(0.8) + voice(0.5))
    assert desk.of(VoiceHeard) == [VoiceHeard("a", "live")] * 2
    assert desk.interrupt().dropped == []
    desk.publish(noise(0.8) + voice(0.5))
    assert len(desk.of(VoiceHeard)) == 3
    desk.live.take(CloseLive("a", "live"), desk.pipeline)
    desk.publish(noise(0.8) + voice(0.5))
    assert len(desk.of(VoiceHeard)) == 3
    assert {each.utterance for each in desk.stream.of(SpeechStarted)} == {"u0"}


@pytest.mark.parametrize("utterance", ["live", None])
def test_who_listens_can_be_abandoned(utterance: str | None):
    desk = Desk()
    desk.open(listens=True)
    desk.arrivals.abandon("a", "another")
    desk.arrivals.abandon("a", utterance)
    desk.publish(voice(1.0))
    assert not desk.of(VoiceHeard)


def test_what_is_no_opus_is_no_voice():
    desk, dice = Desk(), np.random.default_rng(7)
    desk.open(listens=True)
    desk.publish([b"", b"\xff", b"\xff\xff", bytes(20_000), *(dice.bytes(int(n)) for n in dice.integers(1, 300, 60))])
    for number in dice.integers(-(1 << 62), 1 << 62, (100, 2)).tolist():
        desk.live.take(LivePacket("a", "live", *number, b"\xfc\xff\xfe"), desk.pipeline)
    desk.sent = 1 << 63
    desk.publish(noise(0.5) + voice(0.5))
    assert len(desk.of(VoiceHeard)) == 1, "and harms no voice that comes after it"


def test_packets_that_come_twice_or_late_are_heard_once():
    desk, said = Desk(), voice(0.08)
    desk.open(listens=True)
    desk.publish(noise(0.5))
    for _ in range(5):
        desk.sent = 25
        desk.publish(said)
    assert not desk.of(VoiceHeard), "80 ms are no voice, however often they come"


# --- uploads, and what is made as it is spoken


def test_all_that_arrives_is_dropped_and_what_comes_of_it_later_is_ignored():
    desk, file = Desk(), wav(tone(1.0))
    desk.upload(file[:30_000], "coming", last=False)
    desk.upload(file, "decoded")
    desk.pcm.take(OpenPcm("a", "made", 0, 48_000, 1, 500), desk.pipeline)
    answer = desk.interrupt()
    assert (answer.utterance, sorted(answer.dropped)) == (None, ["coming", "decoded", "made"])
    desk.upload(file[30_000:], "coming")
    desk.upload(file, "of the same time")
    desk.pcm.take(PcmChunk("a", "made", bytes(96_000)), desk.pipeline)
    desk.upload(file, "new", epoch=1)
    assert desk.settled() == "new"
    assert not desk.intake.decoding and not desk.of(SpeechAccepted) and not desk.of(SpeechRefused)


def test_one_that_arrives_is_dropped_and_the_others_go_on():
    desk, file = Desk(), wav(tone(0.2))
    for name in ("one", "two"):
        desk.intake.expect(RecordSpeech("a", name, 10))
        desk.upload(file[:9000], name, last=False)
    assert desk.interrupt("one").dropped == ["one"]
    for name in ("one", "two"):
        desk.upload(file[9000:], name)
    assert desk.settled() == "two"
    assert desk.interrupt("one", epoch=2).dropped == [], "once"
    desk.upload(file, "one", epoch=2)
    assert desk.settled() == "one", "the name may be used again"


def test_who_makes_an_utterance_that_was_cut_off_may_go_on_for_a_while():
    desk = Desk()
    desk.pcm.take(OpenPcm("a", "made", 0, 48_000, 1, 100), desk.pipeline)
    chunk = PcmChunk("a", "made", np.full(AUDIO_HZ // 2, 900, np.int16).tobytes())
    desk.pcm.take(chunk, desk.pipeline)
    desk.stream.tick(12)
    assert desk.interrupt().utterance == "made"
    desk.pcm.take(chunk, desk.pipeline)
    desk.stream.play_out()
    assert [each.utterance for each in desk.stream.of(SpeechStarted)] == ["made"]


# --- answers


def test_a_stream_that_is_not_known_is_answered_too():
    desk = Desk()
    desk.upload(b"RIFF", "early", last=False)
    desk.arrivals.interrupt(Interrupt("a", 1, 960), None)
    assert desk.said == [Interrupted("a", 1, None, 960, 0, ["early"])]


def test_an_interruption_that_fails_is_answered(monkeypatch: pytest.MonkeyPatch):
    desk = Desk()
    desk.stream.say(AUDIO_HZ)
    desk.stream.tick(8)
    monkeypatch.setattr(desk.stream.engine, "rewind", None)  # there is no way to make the real one fail
    with pytest.raises(TypeError):
        desk.interrupt()
    assert [each.utterance for each in desk.of(Interrupted)] == [None]


def test_the_answer_comes_before_what_is_made_anew_and_after_what_was_heard_before():
    desk = Desk()
    desk.stream.say(AUDIO_HZ)
    desk.stream.work()
    desk.interrupt()
    kinds = [type(each) for each in desk.said]
    assert kinds[0] is Interrupted and set(kinds[1:]) <= {Unit}
    assert desk.of(Interrupted)[0].dropped == ["u0"]
