"""A publisher's packets through a real worker process. The engine draws loudness."""

from pathlib import Path

import numpy as np
import pytest

from avatar.messages import (
    AUDIO_HZ,
    OPUS_SAMPLES,
    AbandonSpeech,
    CloseStream,
    Codec,
    LivePacket,
    SpeechAccepted,
    SpeechFinished,
    SpeechRefusal,
    SpeechRefused,
    SpeechStarted,
    WentIdle,
)
from bench.opus_publisher import opus_packets
from tests.audio_files import loudest_hz, tone, wav
from tests.worker_show import Show, heard, run, seen_pictures, show

FRAME = AUDIO_HZ // 25


def live_tone(seconds: float, hz: float = 440.0) -> list[bytes]:
    return opus_packets((tone(seconds, hz, level=0.5) * 32_767).astype(np.int16)[:, None])


def test_a_publisher_speaks_live_until_it_goes(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            answer = await stage.publish()
            assert isinstance(answer, SpeechAccepted) and answer.seconds is None
            await stage.go_live(100)
            await stage.send_live(live_tone(3.0))
            assert stage.seen.marks() == [("started", "live")]
            stage.go_away()
            await stage.play_out()
            check(stage)

    def check(stage: Show) -> None:
        assert stage.seen.marks() == [("started", "live"), ("finished", "live")]
        (started,), (finished,) = stage.seen.of(SpeechStarted), stage.seen.of(SpeechFinished)
        assert started.media_time == 100 * FRAME and finished.error is None
        assert finished.samples == finished.media_time - started.media_time
        assert 3.0 <= finished.samples / AUDIO_HZ < 3.2, "all of it, and the delay"
        pictures, packets = stage.seen.units(Codec.H264), stage.seen.units(Codec.OPUS)
        (idle,) = stage.seen.of(WentIdle)
        assert [unit.media_time for unit in pictures] == [frame * 3600 for frame in range(100, idle.frame)]
        assert [unit.media_time for unit in packets] == list(range(100 * FRAME, idle.frame * FRAME, OPUS_SAMPLES))
        sound = heard(packets)
        assert loudest_hz(sound[24_000:120_000], AUDIO_HZ) == pytest.approx(440, abs=2)
        assert np.abs(sound[finished.samples + OPUS_SAMPLES :]).max() < 0.01
        mouths = [int(picture[64, 64]) for picture in seen_pictures(pictures)]
        assert min(mouths[10:70]) > 40, "open all the time"
        assert max(mouths[-2:]) < 20, "shut at the end"

    run(scenario())


def test_a_publisher_that_says_nothing_keeps_the_stretch_on(tmp_path: Path):
    """A mute publisher for longer than a file may stall: neither ended nor failed, and heard as soon as it speaks."""

    async def scenario() -> None:
        async with show(tmp_path, decode_timeout_s=1.0) as stage:
            await stage.open()
            await stage.publish()
            await stage.go_live(0)
            for _ in range(20):
                await stage.grant(5)
            assert stage.seen.marks() == [("started", "live")] and not stage.ended()
            await stage.send_live(live_tone(1.0))
            stage.go_away()
            await stage.play_out()
            sound = heard(stage.seen.units(Codec.OPUS))
            assert np.abs(sound[: 100 * FRAME]).max() < 0.01
            assert loudest_hz(sound[105 * FRAME : 120 * FRAME], AUDIO_HZ) == pytest.approx(440, abs=4)

    run(scenario())


def test_what_is_queued_is_spoken_first_and_the_publisher_is_live_after_it(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(1.0, 1500)), "file")
            await stage.publish()
            await stage.go_live(0)
            packets = live_tone(1.0, 300) + live_tone(2.0, 600)
            await stage.send_live(packets)
            stage.go_away()
            await stage.play_out()
            assert stage.seen.marks() == [
                (what, which) for which in ("file", "live") for what in ("started", "finished")
            ]
            began = stage.seen.of(SpeechStarted)[1].media_time
            sound = heard(stage.seen.units(Codec.OPUS))
            after = sound[began + 9600 : began + 48_000]
            assert loudest_hz(after, AUDIO_HZ) == pytest.approx(600, abs=4), "what was said meanwhile is not repeated"

    run(scenario())


def test_a_publisher_that_goes_before_its_turn_can_be_dropped(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.accepted(wav(tone(0.4)), "file")
            await stage.publish("gone")
            await stage.publish("here")
            await stage.send_live(live_tone(0.2), "gone")
            stage.client.send(AbandonSpeech("a", "gone"))
            await stage.go_live(0)
            await stage.grant(20)
            stage.client.send(AbandonSpeech("a", "here"))
            await stage.grant(5)
            assert stage.seen.marks() == [("started", "file"), ("finished", "file"), ("started", "here")]
            stage.go_away("here")
            await stage.play_out()
            assert stage.seen.marks()[-1] == ("finished", "here"), "one that has started is not dropped"

    run(scenario())


def test_a_publisher_to_nowhere_is_refused_and_strangers_packets_do_nothing(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            refused = await stage.publish(stream="nowhere")
            assert isinstance(refused, SpeechRefused) and refused.reason is SpeechRefusal.UNKNOWN_STREAM
            for stream in ("a", "nowhere"):
                stage.client.send(LivePacket(stream, "stranger", 1, 2, b"\xfc"))
                stage.go_away("stranger", stream)
            await stage.publish("gone")
            stage.client.send(CloseStream("a"))
            stage.client.send(LivePacket("a", "gone", 1, 2, b"\xfc"))
            stage.go_away("gone")
            stage.seen.said.clear()
            await stage.open()
            await stage.publish("live")
            await stage.go_live(0)
            await stage.send_live(live_tone(0.4))
            stage.go_away()
            await stage.play_out()
            assert stage.seen.marks() == [("started", "live"), ("finished", "live")]

    run(scenario())


def test_nonsense_is_silence_and_harms_nobody(tmp_path: Path):
    async def scenario() -> None:
        async with show(tmp_path) as stage:
            await stage.open()
            await stage.publish()
            await stage.go_live(0)
            noise = np.random.default_rng(9)
            junk = [noise.bytes(int(size)) for size in noise.integers(0, 200, 40)]
            await stage.send_live([b"", b"\xff", b"\xff\xff", bytes(20_000), *junk])
            for number in noise.integers(-(1 << 62), 1 << 62, (200, 2)).tolist():
                stage.client.send(LivePacket("a", "live", *number, b"\xfc\xff\xfe"))
            await stage.grant(10)
            stage.go_away()
            await stage.play_out()
            assert stage.seen.marks() == [("started", "live"), ("finished", "live")]
            assert not stage.seen.losses and len(stage.seen.readies) == 1

    run(scenario())
