"""A real worker process with real messages. The engine draws loudness; the last test has the shipped one."""

import asyncio
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from avatar.client import COMMAND, WorkerLimits, open_worker
from avatar.memory_messages import AvatarsHeld
from avatar.messages import (
    OPUS_SAMPLES,
    PATIENCE_PACKETS,
    SLACK_BOUNDS_S,
    Advance,
    CloseStream,
    Codec,
    EncodeIdle,
    Encoding,
    ForceKeyframe,
    GoLive,
    IdleLoop,
    SetEncodings,
    SpeechAccepted,
    SpeechFinished,
    SpeechStarted,
    StreamOpened,
    VideoFormat,
    WentIdle,
    WorkerConfig,
    idle_grid,
)
from tests.audio_files import loudest_hz, tone, wav
from tests.fake_engine import SIZE
from tests.worker_show import LIMITS, ROOT, SHAPE, Seen, Show, heard, run, seen_pictures, show, until

SPOKEN_S = 0.28
"""So short that it is accepted when all of it is decoded: frames granted without a clock never wait for samples."""


def test_an_utterance_from_upload_to_idle(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            (opened,) = stage.seen.of(StreamOpened)
            assert (opened.avatar_title, opened.loop_frames) == ("Grey", 200)
            answer = await stage.say(wav(tone(1.0)))
            assert isinstance(answer, SpeechAccepted) and answer.seconds == pytest.approx(1.0)
            await stage.go_live(100)
            await stage.play_out()
            check_stretch(stage.seen, 100)

    def check_stretch(seen: Seen, start: int) -> None:
        (idle,) = seen.of(WentIdle)
        assert idle.frame % idle_grid(25) == 0
        spoken_until = start + 25
        assert spoken_until + 4 < idle.frame <= spoken_until + 4 + idle_grid(25)  # eased shut, then on to the grid
        pictures, packets = seen.units(Codec.H264), seen.units(Codec.OPUS)
        assert [unit.media_time for unit in pictures] == [frame * 3600 for frame in range(start, idle.frame)]
        assert [unit.media_time for unit in packets] == list(range(start * 1920, idle.frame * 1920, OPUS_SAMPLES))
        assert [unit.keyframe for unit in pictures] == [True] + [False] * (len(pictures) - 1)
        (started,), (finished,) = seen.of(SpeechStarted), seen.of(SpeechFinished)
        assert (started.media_time, finished.media_time) == (start * 1920, start * 1920 + 48_000)
        assert (finished.samples, finished.error) == (48_000, None)
        assert seen.said.index(started) < seen.said.index(packets[0])
        assert seen.said.index(finished) < seen.said.index(packets[49])
        sound = heard(packets)
        assert loudest_hz(sound[4800:43_200], 48_000) == pytest.approx(440, abs=2)
        assert np.abs(sound[48_000 + 960 :]).max() < 0.01
        mouths = [int(picture[64, 64]) for picture in seen_pictures(pictures)]
        assert mouths[0] < mouths[3] and mouths[10] > 40, "eased in, then open"
        assert max(mouths[-2:]) < 20, "shut at the end"

    run(scenario())


def test_utterances_are_spoken_in_order_in_one_stretch(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(0.4, 300)), "first")
            await stage.accepted(wav(tone(0.4, 900)), "second")
            await stage.go_live(0)
            await stage.grant(5)
            await stage.accepted(wav(tone(0.4, 1500)), "third")
            await stage.play_out()
            assert stage.seen.marks() == [
                (what, which) for which in ("first", "second", "third") for what in ("started", "finished")
            ]
            sound = heard(stage.seen.units(Codec.OPUS))
            for mark, pitch in zip(stage.seen.of(SpeechStarted), (300, 900, 1500), strict=True):
                spoken = sound[mark.media_time + 2400 : mark.media_time + 16_800]
                assert loudest_hz(spoken, 48_000) == pytest.approx(pitch, abs=8)

    run(scenario())


def test_speech_that_comes_while_the_mouth_eases_shut_goes_on_in_the_stretch(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(0.2)), "first")
            await stage.go_live(0)
            await stage.grant(7)
            assert stage.seen.marks()[-1] == ("finished", "first") and not stage.ended()
            await stage.accepted(wav(tone(0.2)), "second")
            await stage.play_out()
            assert stage.seen.marks()[-1] == ("finished", "second")
            assert len(stage.seen.of(WentIdle)) == 1

    run(scenario())


def test_a_second_stretch_starts_at_a_keyframe_on_the_same_clock(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            for number, start in enumerate((50, 205)):
                await stage.accepted(wav(tone(0.3)), f"u{number}")
                await stage.go_live(start)
                await stage.play_out()
                assert stage.seen.units(Codec.H264)[0].media_time == start * 3600
                assert stage.seen.units(Codec.H264)[0].keyframe
                assert len(seen_pictures(stage.seen.units(Codec.H264))) == len(stage.seen.units(Codec.H264))
                stage.seen.said.clear()

    run(scenario())


def test_streams_do_not_mix(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            pitches = {"a": 300, "b": 900, "c": 1500}
            for stream, pitch in pitches.items():
                await stage.open(stream)
                await stage.accepted(wav(tone(0.6, pitch)), f"of-{stream}", stream)
                await stage.go_live(0, stream)
            await stage.play_out(*pitches)
            for stream, pitch in pitches.items():
                assert stage.seen.marks(stream) == [("started", f"of-{stream}"), ("finished", f"of-{stream}")]
                sound = heard(stage.seen.units(Codec.OPUS, stream))
                assert loudest_hz(sound[2400:26_000], 48_000) == pytest.approx(pitch, abs=4)
                units = stage.seen.units(Codec.H264, stream)
                assert [unit.media_time for unit in units] == [frame * 3600 for frame in range(len(units))]
                assert len(seen_pictures(units)) == len(units)

    run(scenario())


def test_what_is_granted_is_made_and_nothing_beyond(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(2.0)))
            await stage.settle()
            assert not stage.seen.units(Codec.OPUS), "nothing before GoLive"
            await stage.go_live(25)
            await stage.settle()
            assert not stage.seen.units(Codec.OPUS), "nothing before Advance"
            for portion in (1, 1, 7, 2):
                await stage.grant(portion)
                await stage.settle()
                frames = stage.granted["a"] - 25
                assert len(stage.seen.units(Codec.H264)) == frames
                assert len(stage.seen.units(Codec.OPUS)) == 2 * frames
            stage.client.send(Advance("a", 10, 5))
            stage.client.send(GoLive("a", 100))
            await stage.settle()
            assert len(stage.seen.units(Codec.H264)) == 11, "an old grant or a second start changes nothing"

    run(scenario())


def test_pictures_that_are_late_are_skipped_and_sound_for_which_nobody_would_wait(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(2.0)))
            await stage.go_live(0)
            await stage.grant(5)
            await stage.grant(10, late=6)
            await stage.settle()
            frames = [unit.media_time // 3600 for unit in stage.seen.units(Codec.H264)]
            again = frames[5]  # the first that is in time when it is made: how soon, the machine says
            assert frames == [*range(5), *range(again, 15)] and again >= 11
            packets = [unit.media_time for unit in stage.seen.units(Codec.OPUS)]
            waited_for = 11 * 1920 - PATIENCE_PACKETS * 960
            assert packets == [*range(0, 5 * 1920, 960), *range(waited_for, 15 * 1920, 960)]
            assert len(seen_pictures(stage.seen.units(Codec.H264))) == len(frames)
            await until(lambda: stage.client.stats.late_frames == again - 5)

    run(scenario())


def test_keyframes_and_codecs_on_request(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(2.0)))
            await stage.go_live(0)
            await stage.grant(5)
            stage.client.send(ForceKeyframe("a", Codec.H264))
            await stage.grant(5)
            stage.client.send(SetEncodings("a", [Encoding(Codec.H264), Encoding(Codec.VP8)]))
            await stage.grant(5)
            stage.client.send(SetEncodings("a", []))
            await stage.grant(5, pictures=False)
            stage.client.send(SetEncodings("a", [Encoding(Codec.VP8)]))
            await stage.grant(2)
            await stage.settle()
            h264 = [(unit.media_time // 3600, unit.keyframe) for unit in stage.seen.units(Codec.H264)]
            assert [frame for frame, _ in h264] == list(range(15))
            assert [frame for frame, keyframe in h264 if keyframe] == [0, 5]
            vp8 = [(unit.media_time // 3600, unit.keyframe) for unit in stage.seen.units(Codec.VP8)]
            assert vp8 == [(10, True), *[(frame, False) for frame in range(11, 15)], (20, True), (21, False)]
            assert len(seen_pictures(stage.seen.units(Codec.VP8)[:5])) == 5
            assert len(stage.seen.units(Codec.OPUS)) == 44

    run(scenario())


@pytest.mark.parametrize("fps", [10, 15, 20, 30])
def test_other_rates_keep_sound_and_picture_together(tmp_path: Path, fps: int):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open(shape=VideoFormat(*SIZE, fps, 500_000))
            await stage.accepted(wav(tone(SPOKEN_S)))
            await stage.go_live(6 * fps)
            while not stage.seen.of(WentIdle):
                await stage.grant(1, fps=fps)
            (idle,) = stage.seen.of(WentIdle)
            frames = range(6 * fps, idle.frame)
            assert idle.frame % idle_grid(fps) == 0 and idle.frame > (6 + SPOKEN_S) * fps
            assert [unit.media_time for unit in stage.seen.units(Codec.OPUS)] == list(
                range(6 * 48_000, idle.frame * 48_000 // fps, 960)
            )
            assert {unit.media_time for unit in stage.seen.units(Codec.H264)} <= {
                frame * 90_000 // fps for frame in frames
            }

    run(scenario())


def test_a_closed_stream_is_forgotten_and_can_be_opened_again(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(5.0)), "old")
            await stage.go_live(0)
            await stage.grant(3)
            stage.client.send(CloseStream("a"))
            stage.client.send(Advance("a", 50, 3))
            await stage.settle()
            assert len(stage.seen.units(Codec.H264)) == 3
            stage.seen.said.clear()
            await stage.open()
            await stage.accepted(wav(tone(0.2)), "new")
            await stage.go_live(10)
            await stage.play_out()
            assert stage.seen.marks() == [("started", "new"), ("finished", "new")]

    run(scenario())


def test_idle_loops_are_made_once_and_then_come_from_disk(tmp_path: Path):
    async def scenario(codecs: tuple[Codec, ...]) -> list[IdleLoop]:
        async with show(tmp_path) as stage:
            await until(lambda: stage.seen.readies)
            for codec in codecs:
                stage.client.send(EncodeIdle("grey", SHAPE, codec))
            await until(lambda: len(loops(stage)) == 5 * len(codecs))
            return loops(stage)

    def loops(stage: Show) -> list[IdleLoop]:
        return [each for each in stage.seen.said if isinstance(each, IdleLoop)]

    made = asyncio.run(scenario((Codec.VP8, Codec.H264)))
    assert sorted((loop.codec.value, loop.phase) for loop in made) == [
        (codec, phase) for codec in ("H264", "VP8") for phase in range(5)
    ]
    assert [loop.first_frame for loop in made if loop.codec is Codec.H264] == [0, 5, 10, 15, 20]
    stored = {path: path.stat().st_ino for path in tmp_path.iterdir()}
    assert len(stored) == 10
    again = asyncio.run(scenario((Codec.H264,)))
    assert again == [loop for loop in made if loop.codec is Codec.H264]
    assert {path: path.stat().st_ino for path in tmp_path.iterdir()} == stored


def cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_a_worker_whose_streams_are_idle_uses_no_time(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path, WorkerLimits(ping_s=600.0, slow_s=600.0, dead_s=900.0)) as stage:
            await stage.open()
            await stage.accepted(wav(tone(0.2)))
            await stage.go_live(0)
            await stage.play_out()
            await stage.settle()
            pid = stage.seen.readies[0].pid
            before = cpu_ticks(pid)
            await asyncio.sleep(1.0)  # what is measured is what happens in this time: nothing
            assert cpu_ticks(pid) - before <= 1

    run(scenario())


@pytest.mark.alone  # in company it may be late, and leaves pictures out
def test_the_shipped_avatar_speaks(tmp_path: Path):
    """The real engine, the real art: everything above it is covered with the fake."""

    async def scenario() -> None:
        seen = Seen()
        assets = ROOT / "assets"
        config = WorkerConfig(str(assets), str(assets / "avatars"), str(tmp_path))
        async with open_worker(config, LIMITS, seen, command=COMMAND) as client:
            stage = Show(client, seen)
            shape = VideoFormat(512, 512, 25, 800_000)
            await stage.open(avatar="nova", shape=shape)
            assert "nova" in [avatar.name for avatar in seen.readies[0].avatars]
            await stage.accepted((ROOT / "tests" / "data" / "sentence-flite.wav").read_bytes())
            await stage.go_live(0)
            await stage.play_out(portion=4)
            (finished,), (idle,) = seen.of(SpeechFinished), seen.of(WentIdle)
            units = seen.units(Codec.H264)
            assert len(units) == idle.frame and finished.error is None
            assert len(seen.units(Codec.OPUS)) == 2 * idle.frame
            pictures = seen_pictures(units)
            assert len(pictures) == len(units)
            assert pictures[0].shape == (768, 512)

    run(scenario())


def test_an_avatar_is_in_memory_once_and_goes_when_nobody_shows_it_and_others_need_the_room(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path, avatar_bytes=0) as stage:

            def held() -> dict[str, int]:
                told = stage.seen.of(AvatarsHeld)
                return {each.name: each.streams for each in told[-1].held} if told else {}

            await stage.open("a", "face-1")
            await stage.open("b", "face-1")
            await stage.open("c", "face-2")
            assert held() == {"face-1": 2, "face-2": 1}
            last = stage.seen.of(AvatarsHeld)[-1]
            assert (last.hits, last.misses, last.evictions) == (1, 2, 0)
            stage.client.send(CloseStream("a"))
            stage.client.send(CloseStream("c"))
            await until(lambda: held() == {"face-1": 1})
            assert isinstance(await stage.say(wav(tone(SPOKEN_S)), stream="b"), SpeechAccepted)
            await stage.go_live(100, "b")
            await stage.play_out("b")
            assert stage.seen.units(Codec.H264, "b")

    run(scenario())


def test_how_long_before_they_are_due_pictures_are_finished_is_told(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path, replace(LIMITS, ping_s=0.05)) as stage:
            await stage.open()
            assert isinstance(await stage.say(wav(tone(SPOKEN_S))), SpeechAccepted)
            await stage.go_live(100)

            async def made(until_frame: int, now: int) -> list[int]:
                """Pictures so far, by their slack, when those below a frame are there."""
                stage.client.send(Advance("a", until_frame, now))
                count = until_frame - 100
                await until(lambda: len(stage.seen.units(Codec.H264)) == count)
                await until(lambda: sum(stage.client.stats.slack.get("loudness", [])) == count)
                return stage.client.stats.slack["loudness"]

            early = await made(106, 99)
            assert sum(early[bisect_left(SLACK_BOUNDS_S, 0.24) + 1 :]) <= 1, "it was allowed 0.28 s before the last one"
            now_due = await made(107, 106)
            assert sum(now_due[: SLACK_BOUNDS_S.index(0.0) + 1]) >= 1, "nothing is finished before it is begun"
            await stage.play_out()
            assert sum(stage.client.stats.slack["loudness"]) >= 7

    run(scenario())
