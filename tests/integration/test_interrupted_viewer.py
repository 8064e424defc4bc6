"""What a viewer receives of speech that is interrupted, streamed in, or both: real WebRTC, and a pretended worker."""

import asyncio
import itertools

import pytest

from avatar.messages import AUDIO_HZ, OPUS_SAMPLES
from tests.aiortc_player import Player, eventually, player
from tests.fakes import speech
from tests.greeting import without_greeting
from tests.integration.test_publisher import demo_of, once
from whep_server.errors import Unavailable
from whep_server.live.pcm_speech import PcmSpeech
from whep_server.live.pictures import STALL_S
from whep_server.live.stream import Stream, StreamState

FPS = 25
RATE = 16_000
DECODED = 3
"""Packets by which what a decoder plays may be longer or shorter than what was encoded."""


async def speaking(stream: Stream, watching: Player) -> str:
    """Have a long utterance spoken, seen and heard; its id."""
    await watching.watch(stream)
    await watching.until(lambda: len(watching.pictures) > 3)
    utterance = await stream.speak(once(speech(frames=500)))
    await watching.until(lambda: sum(seen.speaking for seen in watching.pictures) > 10 and sum(watching.loud) > 20)
    return utterance.id


def assert_nothing_is_missing(watching: Player) -> None:
    """Every picture and every packet of sound has its place, one after the other."""
    pictures = without_greeting([packet.time for packet in watching.packets["video"] if packet.marker])
    assert {(after - before) % 2**32 for before, after in itertools.pairwise(pictures)} == {90_000 // FPS}
    sounds = [packet.time for packet in watching.packets["audio"]]
    assert {(after - before) % 2**32 for before, after in itertools.pairwise(sounds)} == {OPUS_SAMPLES}


def spoken(flags: list[bool]) -> list[int]:
    """The places where somebody speaks."""
    return [place for place, flag in enumerate(flags) if flag]


async def test_a_viewer_hears_and_sees_speech_end_at_once_and_together(on_air):
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        utterance = await speaking(stream, watching)
        waiting = await stream.speak(once(speech(frames=50)))
        with stream.listen() as events:
            did, again = await asyncio.gather(stream.interrupt(), stream.interrupt())
            after = await stream.speak(once(speech(frames=20)))
            told = []
            async with asyncio.timeout(10):
                async for event in events:
                    if event.kind == "speech":
                        told.append((event.data["utterance"], event.data["state"]))
                    if told[-1:] == [(after.id, "finished")]:
                        break
        assert did == again and (did.utterance, did.dropped) == (utterance, (waiting.id,))
        ends = [(waiting.id, "cancelled"), (utterance, "interrupted")]
        assert [each for each in told if each[0] != after.id] == ends
        assert [state for each, state in told if each == after.id] == ["queued", "started", "finished"]
        assert told.index(ends[-1]) < told.index((after.id, "started"))
        await watching.until(lambda: not watching.pictures[-1].live and not any(watching.loud[-10:]))
    assert_nothing_is_missing(watching)
    heard, shown = spoken(watching.loud), spoken([seen.speaking for seen in watching.pictures])
    assert abs(len(heard) - (did.played_samples / OPUS_SAMPLES + 20 * AUDIO_HZ // FPS // OPUS_SAMPLES)) <= DECODED
    assert abs(len(shown) - len(heard) * OPUS_SAMPLES * FPS / AUDIO_HZ) <= 2, "lips move as long as it is heard"


async def test_where_the_worker_hangs_a_viewer_hears_silence_and_sees_no_open_mouth(on_air):
    async with on_air() as (registry, opener), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await speaking(stream, watching)
        opener.worker.silent = True
        with pytest.raises(Unavailable):
            await stream.interrupt()
        await eventually(lambda: stream.stats().utterances == {"interrupted": 1})
        await watching.until(lambda: not watching.pictures[-1].live)
        silent_from = len(watching.loud)
        await watching.until(lambda: len(watching.loud) > silent_from + 10)
        assert not any(watching.loud[-10:])
        sounds = [packet.time for packet in watching.packets["audio"]]
        assert {(after - before) % 2**32 for before, after in itertools.pairwise(sounds)} == {OPUS_SAMPLES}
        times = [packet.time for packet in watching.packets["video"] if packet.marker]
        longest = max((after - before) % 2**32 for before, after in itertools.pairwise(times))
        assert longest <= STALL_S * 90_000 + 90_000 // FPS


async def read(speech_in: PcmSpeech, stream: Stream, told: list[tuple[str, int, int]]) -> None:
    """Its events as (kind, place of it that is played, how much later that was told); units: 48 kHz samples."""
    async for event in speech_in:
        if "media_time_s" in event.data and event.data["media_time_s"] is not None:
            late = stream._air.played - round(float(event.data["media_time_s"]) * AUDIO_HZ)
            told.append((event.kind, int(event.data["played_samples"]), late))


async def test_streamed_speech_is_heard_as_it_comes_and_its_places_are_told_when_they_are(on_air):
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        told: list[tuple[str, int, int]] = []
        streamed = stream.open_pcm(RATE, 1)
        async with asyncio.TaskGroup() as group:
            group.create_task(read(streamed, stream, told))
            await streamed.append(bytes(2 * RATE * 3 // 10))
            streamed.mark("a third")
            await eventually(lambda: "underrun" in [kind for kind, _, _ in told])
            await streamed.append(bytes(2 * RATE * 3 // 10))
            streamed.mark("two thirds")
            streamed.commit()
        third = AUDIO_HZ * 3 // 10
        assert [(kind, place) for kind, place, _ in told] == [
            ("started", 0),
            ("mark", third),
            ("underrun", third),
            ("resumed", third),
            ("mark", 2 * third),
            ("finished", 2 * third),
        ]
        assert all(0 <= late < AUDIO_HZ // 5 for _, _, late in told), "not before its time, and soon after"
        await eventually(lambda: stream.state is StreamState.IDLE)
        await watching.until(lambda: not watching.pictures[-1].live)
    assert_nothing_is_missing(watching)
    heard = spoken(watching.loud)
    assert abs(len(heard) - 2 * third // OPUS_SAMPLES) <= 2 * DECODED
    assert any(after - before > DECODED for before, after in itertools.pairwise(heard)), "it paused"
