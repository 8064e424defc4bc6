"""Real aiortc players over loopback, on a stream whose worker is a fake with real pictures and sound."""

import asyncio
import itertools
from collections.abc import Sequence

import pytest

from tests.aiortc_player import Player, eventually, player
from tests.fakes import LOOP_S, speech
from tests.greeting import without_greeting
from whep_server.live.stream import Stream, StreamState


async def demo_of(registry) -> Stream:
    await eventually(lambda: registry.ready)
    return registry.stream("demo")


async def once(data: bytes):
    yield data


def steps(values: Sequence[int], modulo: int) -> set[int]:
    return {(after - before) % modulo for before, after in itertools.pairwise(values)}


def check_packets(watching: Player, fps: int = 25) -> None:
    """No sequence number is missing, and times go on frame by frame and packet by packet after the greeting."""
    for kind, step in (("video", 90_000 // fps), ("audio", 960)):
        packets = watching.packets[kind]
        assert steps([packet.sequence for packet in packets], 1 << 16) <= {1}
        units = [packet.time for packet in packets if packet.marker or kind == "audio"]
        assert steps(without_greeting(units), 1 << 32) <= {step}


@pytest.mark.parametrize("codec", ["H264", "VP8"])
async def test_an_idle_stream_plays_pictures_and_silence(on_air, codec):
    async with on_air() as (registry, _), player(codec=codec) as watching:
        await watching.watch(await demo_of(registry))
        await watching.until(lambda: len(watching.pictures) > 30 and watching.sounds > 60)
        assert not any(seen.live for seen in watching.pictures)
        assert steps(watching.shown, LOOP_S * 25) == {1}
        check_packets(watching)


@pytest.mark.parametrize(("codec", "fps"), [("H264", 25), ("VP8", 25), ("H264", 30)])
async def test_speech_begins_and_ends_without_a_seam(on_air, codec, fps):
    """The painted numbers count on through idle, live and idle, and so do sequence numbers and times."""
    async with on_air(fps=fps) as (registry, _), player(codec=codec) as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 10)
        utterance = await stream.speak(once(speech(frames=2 * fps)))
        assert utterance.seconds == 2.0
        assert stream.state is StreamState.SPEAKING
        await watching.until(lambda: any(seen.live for seen in watching.pictures))
        await watching.until(lambda: not watching.pictures[-1].live and stream.state is StreamState.IDLE)
        live = [seen.live for seen in watching.pictures]
        assert 2 * fps < sum(live) <= 2 * fps + fps // 5
        assert steps(watching.shown, LOOP_S * fps) == {1}
        check_packets(watching, fps)


async def test_utterances_are_told_about_when_they_are_heard(on_air):
    async with on_air() as (registry, _), player() as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        with stream.listen() as events:
            first = await stream.speak(once(speech(frames=10)))
            second = await stream.speak(once(speech(frames=5)))
            told = []
            async with asyncio.timeout(10):
                async for event in events:
                    told.append(event)
                    if event.kind == "state" and event.data["state"] == "idle" and len(told) > 4:
                        break
        said = [(event.data["utterance"], event.data["state"]) for event in told if event.kind == "speech"]
        stages = ("queued", "started", "finished")
        assert sorted(said) == sorted((each.id, stage) for each in (first, second) for stage in stages)
        assert [name for name, state in said if state == "finished"] == [first.id, second.id]
        assert [event.data["state"] for event in told if event.kind == "state"] == ["idle", "speaking", "idle"]


async def test_audio_alone_and_video_alone(on_air):
    async with on_air() as (registry, _), player(kinds=("audio",)) as ear, player(kinds=("video",)) as eye:
        stream = await demo_of(registry)
        await ear.watch(stream)
        await eye.watch(stream)
        await ear.until(lambda: ear.sounds > 50)
        await eye.until(lambda: len(eye.pictures) > 25)
        check_packets(ear)
        check_packets(eye)


async def test_a_lost_picture_is_answered_with_a_keyframe_from_the_idle_loop(on_air):
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 10)
        (viewer,) = stream._audience._viewers.values()
        feed = viewer.video
        before = feed.phase
        await watching.ask_for_keyframe()
        await watching.until(lambda: feed.wants_keyframe or feed.phase is not before)
        await watching.until(lambda: not feed.wants_keyframe)
        seen = len(watching.pictures)
        await watching.until(lambda: len(watching.pictures) > seen + 10)
        check_packets(watching)


async def test_a_viewer_that_joins_in_mid_sentence_sees_it(on_air):
    async with on_air() as (registry, opener), player() as first, player(codec="VP8") as second:
        stream = await demo_of(registry)
        await first.watch(stream)
        await stream.speak(once(speech(frames=100)))
        await first.until(lambda: any(seen.live for seen in first.pictures))
        await second.watch(stream)
        await second.until(lambda: sum(seen.live for seen in second.pictures) > 10)
        assert steps(second.shown, LOOP_S * 25) == {1}
        check_packets(second)
        assert opener.worker.state


async def test_a_worker_lost_in_mid_sentence_costs_the_sentence_alone(on_air):
    async with on_air() as (registry, opener), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        with stream.listen() as events:
            utterance = await stream.speak(once(speech(frames=500)))
            await watching.until(lambda: sum(seen.live for seen in watching.pictures) > 10)
            opener.worker.die()
            async with asyncio.timeout(5):
                async for event in events:
                    if event.kind == "speech" and event.data["state"] == "failed":
                        break
            assert event.data["utterance"] == utterance.id
        lost_at = len(watching.pictures)
        await watching.until(lambda: len(watching.pictures) > lost_at + 15)
        assert not watching.pictures[-1].live
        assert {1} <= steps(watching.shown, LOOP_S * 25) <= set(range(1, 6))
        opener.worker.start()
        await stream.speak(once(speech(frames=10)))
        seen = len(watching.pictures)
        await watching.until(lambda: any(each.live for each in watching.pictures[seen:]))
