"""Samples that are spoken while they are made, through a real worker process. The engine draws loudness."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from avatar.messages import (
    AUDIO_HZ,
    AbandonSpeech,
    ClosePcm,
    CloseStream,
    Codec,
    OpenPcm,
    PcmChunk,
    PcmMark,
    PcmTaken,
    SpeechFinished,
    SpeechHeld,
    SpeechMark,
    SpeechRefusal,
    SpeechRefused,
    SpeechResumed,
    SpeechStarted,
)
from tests.audio_files import tone
from tests.worker_show import Show, heard, run, seen_pictures, show, until

FRAME = AUDIO_HZ // 25
RATE = 22_050
PIECE = RATE // 50
HZ = 441.0
ENCODER_DELAY = 312
"""Of libopus: 6.5 ms."""


class Producer:
    """Sends a tone in pieces of 20 ms, and grants the frames that go along with them."""

    def __init__(self, stage: Show, seconds: float, utterance: str = "u") -> None:
        data = (tone(seconds, HZ, RATE, 0.5) * 32_767).astype("<i2").tobytes()
        self.pieces = [data[at : at + 2 * PIECE] for at in range(0, len(data), 2 * PIECE)]
        self.size = len(data)
        self.stage, self.key = stage, ("a", utterance)

    def open(self, start_ms: int = 120) -> None:
        self.stage.client.send(OpenPcm(*self.key, 0, RATE, 1, start_ms))

    def send(self, pieces: int) -> None:
        for _ in range(min(pieces, len(self.pieces))):
            self.stage.client.send(PcmChunk(*self.key, self.pieces.pop(0)))

    def mark(self, name: str) -> None:
        self.stage.client.send(PcmMark(*self.key, name))

    def close(self) -> None:
        self.stage.client.send(ClosePcm(*self.key))

    async def go_on(self, frames: int) -> None:
        """As fast as speech."""
        for _ in range(frames):
            self.send(2)
            await self.stage.grant(1)

    async def begin(self, frame: int = 0) -> None:
        self.open()
        self.send(9)
        await self.stage.answer(self.key[1], self.key[0])
        await self.stage.go_live(frame)


def phases(sound: NDArray[np.float32], begin: int, end: int, first: int) -> list[float]:
    """Of the tone in windows of 20 ms, against one that began ``first`` samples before ``begin``."""
    found = []
    for at in range(begin, end - 960, 960):
        window = sound[at + ENCODER_DELAY : at + ENCODER_DELAY + 960]
        place = np.arange(first + at - begin, first + at - begin + 960)
        found.append(float(np.angle(np.sum(window * np.exp(-2j * np.pi * HZ * place / AUDIO_HZ)))) + np.pi / 2)
    return found


def names(said: Sequence[object]) -> list[str]:
    kinds = (SpeechStarted, SpeechFinished, SpeechHeld, SpeechResumed, SpeechMark)
    return [
        each.name if isinstance(each, SpeechMark) else type(each).__name__ for each in said if isinstance(each, kinds)
    ]


def test_a_voice_that_comes_as_it_is_spoken_and_stalls_once_loses_nothing(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            producer = Producer(stage, 3.0)
            await producer.begin(50)
            await producer.go_on(30)
            producer.mark("before")
            while not stage.seen.of(SpeechHeld):
                await stage.grant(1)
            await stage.grant(20)
            producer.send(12)
            producer.mark("after")
            await producer.go_on(len(producer.pieces) // 2)
            producer.send(1)
            producer.mark("end")
            producer.close()
            await stage.play_out()
            check(stage, producer.size)

    def check(stage: Show, size: int) -> None:
        seen = stage.seen
        began = [*["SpeechStarted", "before", "SpeechHeld"], *["SpeechResumed", "after", "end", "SpeechFinished"]]
        assert names(seen.said) == began
        (started,), (finished,) = seen.of(SpeechStarted), seen.of(SpeechFinished)
        (held,), (resumed,) = seen.of(SpeechHeld), seen.of(SpeechResumed)
        assert (finished.samples, finished.error) == (3 * AUDIO_HZ, None)
        assert held.samples == resumed.samples == held.media_time - started.media_time
        assert finished.media_time - resumed.media_time == 3 * AUDIO_HZ - resumed.samples
        assert 0 <= started.media_time - 50 * FRAME < 3 * 48, "when the stretch begins, but for what filters keep"
        assert {mark.name: mark.samples for mark in seen.of(SpeechMark)}["end"] == 3 * AUDIO_HZ
        taken = [each.size for each in seen.of(PcmTaken)]
        assert taken == sorted(set(taken)) and taken[-1] == size and len(taken) < 40

        sound, first = heard(seen.units(Codec.OPUS)), 50 * FRAME
        begin, pause, again, end = (each.media_time - first for each in (started, held, resumed, finished))
        spoken = [
            *phases(sound, begin + 960, pause - 960, 960),
            *phases(sound, again + 960, end - 960, pause - begin + 960),
        ]
        assert len(spoken) > 135
        assert np.abs(spoken - np.median(spoken)).max() < 0.25, "one tone, to a tenth of a millisecond"
        assert np.abs(sound[pause + 2400 : again]).max() < 0.01
        mouths = [int(picture[64, 64]) for picture in seen_pictures(seen.units(Codec.H264))]
        still = mouths[-(-pause // FRAME) + 4 : again // FRAME - 3]
        assert len(still) >= 10 and max(still) < 20, "shut while it pauses"
        assert (
            min(mouths[begin // FRAME + 3 : pause // FRAME - 1])
            > 40
            < min(mouths[again // FRAME + 3 : end // FRAME - 1])
        )

    run(scenario())


def test_who_sends_all_at_once_is_spoken_as_a_file_is(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            for name in ("first", "second"):
                producer = Producer(stage, 0.5, name)
                producer.open()
                producer.send(100)
                producer.close()
                await stage.answer(name, "a")
            await stage.go_live(0)
            await stage.play_out()
            assert stage.seen.marks() == [
                (what, which) for which in ("first", "second") for what in ("started", "finished")
            ]
            assert [finished.samples for finished in stage.seen.of(SpeechFinished)] == [AUDIO_HZ // 2] * 2
            assert not stage.seen.of(SpeechHeld)

    run(scenario())


def test_who_stays_away_too_long_is_over_and_the_next_is_spoken(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path, pcm_gap_s=1.0) as stage:
            await stage.open()
            gone = Producer(stage, 2.0, "gone")
            await gone.begin()
            await gone.go_on(10)
            for _ in range(12):
                await stage.grant(5)
            (finished,) = stage.seen.of(SpeechFinished)
            assert finished.error == "no samples came for 1 s"
            assert finished.samples == pytest.approx(29 * 960, abs=144)
            gone.send(20)
            gone.close()
            await stage.play_out()
            stage.seen.said.clear()
            other = Producer(stage, 0.5, "next")
            await other.begin(200)
            other.send(100)
            other.close()
            await stage.play_out()
            assert stage.seen.marks() == [("started", "next"), ("finished", "next")]

    run(scenario())


def test_what_cannot_be_spoken_or_is_not_wanted_any_more_harms_nobody(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            stage.client.send(OpenPcm("nowhere", "u", 0, RATE, 1, 120))
            await until(lambda: stage.seen.of(SpeechRefused, "nowhere"))
            assert stage.seen.of(SpeechRefused, "nowhere")[0].reason is SpeechRefusal.UNKNOWN_STREAM
            for utterance, rate, channels in (("slow", 10, 1), ("wide", RATE, 7), ("empty", RATE, 1)):
                stage.client.send(OpenPcm("a", utterance, 0, rate, channels, 120))
                stage.client.send(ClosePcm("a", utterance))
            await stage.settle()
            reasons = [(each.utterance, each.reason) for each in stage.seen.of(SpeechRefused)]
            assert reasons == [
                ("slow", SpeechRefusal.NOT_AUDIO),
                ("wide", SpeechRefusal.NOT_AUDIO),
                ("empty", SpeechRefusal.EMPTY),
            ]
            unwanted, early = Producer(stage, 1.0, "unwanted"), Producer(stage, 1.0, "early")
            for producer, pieces in ((unwanted, 20), (early, 2)):
                producer.open()
                producer.send(pieces)
            for producer in (unwanted, early):
                stage.client.send(AbandonSpeech(*producer.key))
                producer.send(30)
                producer.mark("never")
                producer.close()
            wanted = Producer(stage, 0.5)
            await wanted.begin()
            wanted.send(100)
            wanted.close()
            await stage.play_out()
            assert stage.seen.marks() == [("started", "u"), ("finished", "u")]
            late = Producer(stage, 0.5, "late")
            late.open()
            late.send(2)
            stage.client.send(CloseStream("a"))
            late.send(30)
            await stage.settle()
            assert not stage.seen.losses and "late" not in [each.utterance for each in stage.seen.of(SpeechFinished)]

    run(scenario())
