"""Anything said and interrupted, in any order, with a worker that is quick, slow, hung or lost: what always holds."""

import asyncio
import contextlib
from itertools import pairwise

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from tests.stepped_stream import FPS, Picture, SteppedStream
from whep_server.errors import ServerError
from whep_server.live.pcm_speech import PcmSpeech
from whep_server.live.stream import StreamState

FRAME_S = 1 / FPS
LAST = ("finished", "failed", "interrupted", "cancelled")
RATE = 16_000


class Trace(RuleBasedStateMachine):
    """Speech of all kinds, interruptions of both kinds, and a worker that is quick, slow, hung or lost."""

    @initialize()
    def begin(self) -> None:
        self.stage = SteppedStream(pcm_window_s=1.0)
        self.tasks: list[asyncio.Task[object]] = []
        self.streamed: list[PcmSpeech] = []
        self.known_told = self.heard = self.shown = 0
        self.last_picture: Picture | None = None
        self.stage.step(FRAME_S)

    # time and the worker

    @rule(frames=st.integers(1, 30))
    def time(self, frames):
        self.time_passes(frames)

    def time_passes(self, frames: int) -> None:
        for _ in range(frames):
            self.stage.step(FRAME_S)

    @rule(milliseconds=st.integers(1, 90), taken=st.integers(0, 6), told=st.integers(0, 12))
    def the_worker_is_slow(self, milliseconds, taken, told):
        self.stage.step(milliseconds / 1000, acts=False)
        self.stage.worker.act(taken)
        self.stage.worker.deliver(told)

    @rule(tenths=st.integers(1, 15), seldom=st.integers(0, 2))
    def the_worker_hangs(self, tenths, seldom):
        for _ in range(0 if seldom else tenths):
            self.stage.step(0.1, acts=False)

    @rule(seldom=st.integers(0, 4))
    def the_worker_is_lost(self, seldom):
        if seldom:
            return
        self.stage.worker.die()
        self.stage.step(FRAME_S)
        self.stage.worker.start()
        self.stage.step(FRAME_S)

    # speech

    @rule(frames=st.integers(1, 60), passing=st.integers(0, 20))
    def upload(self, frames, passing):
        self.tasks.append(self.stage.speak(frames))
        self.time_passes(passing)

    @rule(start_ms=st.sampled_from([None, 20, 200]))
    def stream_in(self, start_ms):
        if all(speech.committed or speech.over for speech in self.streamed):
            with quiet():
                stream = self.stage.stream
                self.streamed.append(self.stage.call(lambda: stream.open_pcm(RATE, 1, start_ms=start_ms)))

    @precondition(lambda self: self.streamed)
    @rule(milliseconds=st.sampled_from([20, 100, 300, 700]), marked=st.booleans(), passing=st.integers(0, 12))
    def append(self, milliseconds, marked, passing):
        speech = self.streamed[-1]
        self.tasks.append(self.stage.start(speech.append(bytes(RATE * 2 * milliseconds // 1000))))
        with quiet():
            if marked:
                self.stage.call(lambda: speech.mark("here"))
        self.time_passes(passing)

    @precondition(lambda self: self.streamed)
    @rule(how=st.sampled_from(["commit", "break off", "cancel"]))
    def end(self, how):
        speech = self.streamed[-1]
        with quiet():
            if how == "commit":
                self.stage.call(speech.commit)
            elif how == "break off":
                self.stage.call(lambda: speech.break_off("it went"))
            else:
                self.tasks.append(self.stage.start(speech.cancel()))

    @rule(times=st.integers(1, 2))
    def interrupt(self, times):
        for _ in range(times):
            self.tasks.append(self.stage.start(self.stage.stream.interrupt()))

    # what holds at any time

    @invariant()
    def sound_has_no_gap(self):
        packets = [unit.rtp_time // OPUS_SAMPLES for unit in self.stage.sounds[max(0, self.heard - 1) :]]
        assert not packets or packets == list(range(packets[0], packets[0] + len(packets)))

    @invariant()
    def nothing_stale_is_played(self):
        sounds = self.stage.live_sounds(self.heard)
        pictures = self.stage.live_pictures(self.shown)
        for sent in self.stage.interrupts:
            first = -(-sent.at * FPS // AUDIO_HZ)
            for sound in sounds:
                assert sound is None or sound.epoch >= sent.epoch or sound.sample < sent.at
            for picture in pictures:
                assert picture is None or picture.epoch >= sent.epoch or picture.frame < first
        self.pictures_go_on(pictures)
        self.heard, self.shown = len(self.stage.sounds), len(self.stage.pictures)

    def pictures_go_on(self, pictures: list[Picture | None]) -> None:
        """None twice, none before another, and none that builds on one that was not shown."""
        frames = [unit.rtp_time * FPS // 90_000 for unit in self.stage.pictures[max(0, self.shown - 1) :]]
        assert all(earlier < later for earlier, later in pairwise(frames))
        for picture in pictures:
            if picture is not None and picture.place:
                before = self.last_picture
                assert before is not None and (before.chain, before.place) == (picture.chain, picture.place - 1)
            self.last_picture = picture

    @invariant()
    def each_utterance_is_over_once_and_tells_nothing_after(self):
        ended = [utterance for utterance, _ in self.stage.over]
        assert len(ended) == len(set(ended))
        for utterance in {str(event.data.get("utterance")) for event in self.stage.events}:
            states = self.stage.states(utterance)
            assert states.count("started") <= 1
            assert not set(states[:-1]) & set(LAST), states
            pauses = [state for state in states if state in ("underrun", "resumed")]
            assert pauses == ["underrun", "resumed"] * (len(pauses) // 2) + ["underrun"] * (len(pauses) % 2)

    @invariant()
    def nothing_is_told_before_it_is_played(self):
        for event, played in zip(
            self.stage.events[self.known_told :], self.stage.told_at[self.known_told :], strict=True
        ):
            at_s = event.data["media_time_s"]
            assert at_s is None or float(str(at_s)) * AUDIO_HZ <= played
        self.known_told = len(self.stage.events)

    def teardown(self) -> None:
        if not hasattr(self, "stage"):
            return
        try:
            self.comes_to_rest()
        finally:
            self.stage.close()

    def comes_to_rest(self) -> None:
        """Everybody has an answer, and nothing is left behind."""
        for speech in self.streamed:
            self.stage.call(lambda each=speech: each.break_off("the trace ends"))
        stream, queue = self.stage.stream, self.stage.stream._talk.queue
        for _ in range(1000):
            self.stage.step(FRAME_S)
            told = not queue.pending and not queue._cuts
            if stream.state is StreamState.IDLE and told and all(task.done() for task in self.tasks):
                break
        assert stream.state is StreamState.IDLE and not stream.queued
        for task in self.tasks:
            assert task.done() and (task.exception() is None or isinstance(task.exception(), ServerError))
        assert not queue._entries and not queue._silenced and not queue._cuts and not queue.pending
        told = {str(event.data["utterance"]) for event in self.stage.events}
        assert {utterance for utterance, _ in self.stage.over} >= told
        self.nothing_stale_is_played()
        self.each_utterance_is_over_once_and_tells_nothing_after()


def quiet():
    """Refusals are right where there is a reason; which one, other tests ask."""
    return contextlib.suppress(ServerError)


TestTrace = Trace.TestCase
TestTrace.settings = settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
