"""A real worker process and what is wrong: uploads, streams, avatars, and the process itself."""

import os
import signal
from pathlib import Path

import pytest

from avatar.client import WorkerLimits
from avatar.messages import (
    AbandonSpeech,
    Advance,
    CloseStream,
    Codec,
    EncodeIdle,
    GoLive,
    IdleFailed,
    OpenStream,
    SpeechData,
    SpeechFinished,
    SpeechRefusal,
    SpeechRefused,
    StreamFailed,
    StreamRefused,
    Unit,
    VideoFormat,
    idle_grid,
)
from tests.audio_files import audio_file, tone, wav
from tests.worker_show import SHAPE, run, show, until


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", SpeechRefusal.EMPTY),
        (b"not a sound", SpeechRefusal.NOT_AUDIO),
        (wav(tone(3.0, rate=8000), 8000), SpeechRefusal.TOO_LONG),
        (bytes(300_000), SpeechRefusal.TOO_LARGE),
    ],
    ids=["empty", "text", "long", "large"],
)
def test_bad_uploads_are_refused_and_disturb_nobody(tmp_path: Path, data: bytes, reason: SpeechRefusal):
    async def scenario() -> None:
        async with show(tmp_path, max_speech_s=2.5, max_upload_bytes=250_000) as stage:
            await stage.open()
            await stage.accepted(wav(tone(1.0)), "good")
            await stage.go_live(0)
            await stage.grant(3)
            answer = await stage.say(data, "bad")
            assert isinstance(answer, SpeechRefused) and answer.reason is reason and answer.detail
            await stage.play_out()
            assert stage.seen.marks() == [("started", "good"), ("finished", "good")]
            assert len(stage.seen.of(SpeechRefused)) == 1

    run(scenario())


def test_a_stream_nobody_opened_cannot_speak(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await until(lambda: stage.seen.readies)
            answer = await stage.say(wav(tone(1.0)), stream="nowhere")
            assert isinstance(answer, SpeechRefused) and answer.reason is SpeechRefusal.UNKNOWN_STREAM
            stage.client.send(GoLive("nowhere", 0))
            stage.client.send(Advance("nowhere", 5, 0))
            stage.client.send(OpenStream("sized", "grey", VideoFormat(640, 480)))
            await until(lambda: stage.seen.of(StreamRefused, "sized"))

    run(scenario())


def test_abandoned_utterances_are_not_spoken(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(0.3)), "kept")
            await stage.accepted(wav(tone(0.3)), "accepted")
            stage.client.send(SpeechData("a", "partial", 0, b"RIFF", last=False))
            stage.client.send(AbandonSpeech("a", "accepted"))
            stage.client.send(AbandonSpeech("a", "partial"))
            await stage.go_live(0)
            await stage.play_out()
            assert stage.seen.marks() == [("started", "kept"), ("finished", "kept")]

    run(scenario())


@pytest.mark.parametrize("avatar", ["breaks", "tears"])
def test_a_stream_that_fails_is_reported_and_the_others_go_on(tmp_path: Path, avatar: str):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open("a")
            await stage.open("bad", avatar=avatar)
            for stream in ("a", "bad"):
                await stage.accepted(wav(tone(0.5)), f"of-{stream}", stream)
                await stage.go_live(0, stream)
            for stream in ("a", "bad"):
                stage.client.send(Advance(stream, 4, 0))
            await until(lambda: stage.seen.of(StreamFailed, "bad"))
            (failed,) = stage.seen.of(StreamFailed, "bad")
            assert failed.utterances == ["of-bad"] and failed.frame % idle_grid(25) == 0
            stage.granted["a"] = 4
            await stage.play_out()
            assert stage.seen.marks() == [("started", "of-a"), ("finished", "of-a")]
            await stage.accepted(wav(tone(0.5)), "again", "bad")

    run(scenario())


def test_a_file_that_breaks_off_ends_the_utterance_with_a_reason(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path, max_speech_s=1.0) as stage:
            await stage.open()
            await stage.accepted(audio_file(tone(3.0, rate=16_000), "adts", "aac", 16_000))  # says no length
            await stage.go_live(0)
            await stage.play_out()
            (finished,) = stage.seen.of(SpeechFinished)
            assert finished.error is not None and 40_000 < finished.samples <= 48_000

    run(scenario())


def test_an_idle_loop_that_cannot_be_made_is_said_to_fail(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await until(lambda: stage.seen.readies)
            stage.client.send(EncodeIdle("damaged", SHAPE, Codec.H264))
            await until(lambda: [each for each in stage.seen.said if isinstance(each, IdleFailed)])
            await stage.open()

    run(scenario())


def test_a_worker_killed_in_mid_sentence_is_replaced_by_one_that_works(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(2.0)))
            await stage.go_live(0)
            await stage.grant(5)
            os.kill(stage.seen.readies[0].pid, signal.SIGKILL)
            await until(lambda: len(stage.seen.readies) == 2)
            assert len(stage.seen.losses) == 1
            stage.seen.said.clear()
            await stage.open()
            await stage.accepted(wav(tone(0.2)), "after")
            await stage.go_live(50)
            await stage.play_out()
            assert stage.seen.marks() == [("started", "after"), ("finished", "after")]

    run(scenario())


def test_a_stopped_worker_is_killed_and_replaced(tmp_path: Path):
    async def scenario() -> None:
        limits = WorkerLimits(start_s=60.0, ping_s=0.1, slow_s=0.5, dead_s=2.0)
        async with show(tmp_path, limits) as stage:
            await until(lambda: stage.seen.readies)
            os.kill(stage.seen.readies[0].pid, signal.SIGSTOP)
            await until(lambda: len(stage.seen.readies) >= 2)
            assert gone(stage.seen.readies[0].pid)

    run(scenario())


def test_a_worker_that_hangs_over_a_picture_serves_the_others_until_it_is_replaced(tmp_path: Path):
    async def scenario() -> None:
        limits = WorkerLimits(start_s=60.0, ping_s=0.1, slow_s=0.5, dead_s=2.0)
        async with show(tmp_path, limits) as stage:
            await stage.open("a")
            await stage.open("stuck", avatar="hangs")
            for stream in ("a", "stuck"):
                await stage.accepted(wav(tone(0.5)), f"of-{stream}", stream)
                await stage.go_live(0, stream)
            stage.client.send(Advance("stuck", 4, 0))
            await until(lambda: stage.seen.of(Unit, "stuck"))  # its sound: the picture is next
            stage.client.send(CloseStream("stuck"))  # waits for ever, and nobody for it
            await stage.play_out()
            assert stage.seen.marks() == [("started", "of-a"), ("finished", "of-a")]
            await until(lambda: len(stage.seen.readies) >= 2)
            assert gone(stage.seen.readies[0].pid)

    run(scenario())


def gone(pid: int) -> bool:
    return not Path(f"/proc/{pid}").exists()
