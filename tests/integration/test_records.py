"""Speech recorded into chunks, with a worker that only pretends: who waits for whom, and that nothing is left open."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from avatar.messages import (
    AUDIO_HZ,
    Advance,
    CloseStream,
    Codec,
    GoLive,
    OpenStream,
    RecordSpeech,
    SetEncodings,
    SpeechData,
    StreamFailed,
    VideoFormat,
)
from tests.aiortc_player import eventually, player
from tests.fakes import SIZE, FakeOpener, FakeStream, speech
from tests.greeting import without_greeting
from whep_server.errors import (
    AlreadyPublishing,
    BadRequest,
    Interrupted,
    NoSuchAvatar,
    NotOnAir,
    NotSpeech,
    TooLarge,
    TooMany,
    TooSlow,
    Unavailable,
    WorkerLost,
)
from whep_server.live import render
from whep_server.live.playout import MAX_HELD
from whep_server.live.registry import Registry
from whep_server.live.speech_recording import Recording
from whep_server.live.stream import Stream, StreamState
from whep_server.live.transmission import AHEAD_S

FORMAT = VideoFormat(*SIZE, 25)


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


async def demo_of(registry: Registry) -> Stream:
    await eventually(lambda: registry.ready)
    return registry.stream("demo")


async def rendered(registry: Registry, frames: int = 120, chunk_frames: int = 50) -> Recording:
    await eventually(lambda: registry.ready)
    return await registry.render("nova", FORMAT, once(speech(frames)), chunk_frames=chunk_frames)


def told(opener: FakeOpener, kind: type) -> list:
    """What a render's stream was told."""
    return [each for each in opener.worker.sent if isinstance(each, kind) and "render/" in each.stream]


def open_streams(opener: FakeOpener) -> dict[str, FakeStream]:
    return {name: stream for name, stream in opener.worker._streams.items() if "render/" in name}


async def chunks(recording: Recording) -> list[bytes]:
    return [chunk.data async for chunk in recording]


async def test_a_render_gives_all_chunks_at_once_and_closes_its_stream(on_air):
    async with on_air() as (registry, opener):
        recording = await rendered(registry)
        (name,) = open_streams(opener)
        with pytest.raises(NotOnAir):
            registry.stream(name)
        assert registry.streams() == [registry.stream("demo")]
        assert await chunks(recording) == [b"frames 0 to 50", b"frames 50 to 100", b"frames 100 to 120"]
        assert told(opener, OpenStream) == [OpenStream(name, "nova", FORMAT)]
        assert told(opener, RecordSpeech) == [RecordSpeech(name, recording.utterance, 50)]
        assert told(opener, SetEncodings) == [SetEncodings(name, [])]
        assert told(opener, GoLive) == [GoLive(name, 0)]
        assert all(advance.now == 0 for advance in told(opener, Advance))
        assert told(opener, CloseStream) == [CloseStream(name)]
        await eventually(lambda: not open_streams(opener))


async def test_a_slow_reader_holds_the_worker_up_and_not_the_memory(on_air, monkeypatch):
    monkeypatch.setattr(render, "ENOUGH_BYTES", 40)
    async with on_air() as (registry, opener):
        recording = await rendered(registry, frames=5000)
        await eventually(lambda: recording.unread_bytes > 40)
        (stream,) = open_streams(opener).values()
        held = stream.frame
        assert held is not None and held <= 1000
        assert len(await chunks(recording)) == 100
        assert recording.made_frames == 5000


async def test_whoever_closes_a_recording_ends_the_render(on_air):
    async with on_air() as (registry, opener):
        recording = await rendered(registry, frames=5000)
        assert (await anext(recording)).index == 0
        recording.close()
        assert await chunks(recording) == []
        await eventually(lambda: not open_streams(opener))
        assert len(registry._renders) == 0


async def test_an_upload_that_is_no_speech_shows_in_the_recording(on_air):
    async with on_air() as (registry, opener):
        await eventually(lambda: registry.ready)
        for data in (b"not audio", b""):
            for recording in (
                await registry.render("nova", FORMAT, once(data), chunk_frames=50),
                await registry.stream("demo").record(once(data), chunk_frames=50),
            ):
                with pytest.raises(NotSpeech):
                    await anext(recording)
        await eventually(lambda: not open_streams(opener))
        assert len(told(opener, CloseStream)) == 4


async def stalling() -> AsyncIterator[bytes]:
    yield b"SAY "
    await asyncio.Event().wait()


async def test_uploads_that_break_off_leave_nothing_open(on_air):
    async def breaking() -> AsyncIterator[bytes]:
        yield b"SAY "
        raise BadRequest("the connection broke")

    async with on_air(max_upload_bytes=2048, upload_stall_s=0.1) as (registry, opener):
        await eventually(lambda: registry.ready)
        for pieces, error in ((once(b"x" * 2049), TooLarge), (stalling(), TooSlow), (breaking(), BadRequest)):
            with pytest.raises(error):
                await registry.render("nova", FORMAT, pieces, chunk_frames=50)
        await eventually(lambda: not open_streams(opener))
        assert len(told(opener, CloseStream)) == 3


async def test_a_caller_that_is_cancelled_leaves_nothing_open(on_air):
    async with on_air() as (registry, opener):
        await eventually(lambda: registry.ready)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(registry.render("nova", FORMAT, stalling(), chunk_frames=50))
            await eventually(lambda: bool(told(opener, SpeechData)))
            task.cancel()
        await eventually(lambda: not open_streams(opener))


async def test_a_lost_worker_ends_what_it_made_after_the_chunks_that_came(on_air, monkeypatch):
    monkeypatch.setattr(render, "ENOUGH_BYTES", 1)
    async with on_air() as (registry, opener):
        recording = await rendered(registry, frames=5000)
        await eventually(lambda: recording.unread_bytes > 0)
        opener.worker.die()
        assert (await anext(recording)).index == 0
        with pytest.raises(WorkerLost):
            await chunks(recording)
        with pytest.raises(Unavailable):
            await registry.render("nova", FORMAT, once(speech(9)), chunk_frames=5)
        opener.worker.start()
        assert len(await chunks(await rendered(registry))) == 3


async def test_a_render_that_the_worker_fails_at_says_so(on_air):
    async with on_air() as (registry, opener):
        await eventually(lambda: registry.ready)
        recording = await rendered(registry, frames=5000)
        (name,) = open_streams(opener)
        registry.worker_message(StreamFailed(name, 50, [recording.utterance], "out of paint"))
        with pytest.raises(Unavailable, match="out of paint"):
            await chunks(recording)
        await eventually(lambda: not open_streams(opener))


async def test_a_render_that_makes_no_progress_is_given_up(on_air, monkeypatch):
    monkeypatch.setattr(render, "STALL_S", 0.05)
    async with on_air() as (registry, opener):
        await eventually(lambda: registry.ready)
        begun = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield speech(100)
            opener.worker.silent = True
            begun.set()

        recording = await registry.render("nova", FORMAT, pieces(), chunk_frames=50)
        with pytest.raises(Unavailable, match="no progress"):
            await anext(recording)
        assert begun.is_set() and told(opener, CloseStream)


async def test_the_number_of_renders_is_limited(on_air):
    async with on_air(max_renders=2) as (registry, _):
        first = await rendered(registry, frames=5000)
        await rendered(registry, frames=5000)
        with pytest.raises(TooMany):
            await rendered(registry)
        with pytest.raises(TooMany):
            await registry.stream("demo").record(once(speech(5)), chunk_frames=5)
        first.close()
        await rendered(registry)


async def test_renders_of_what_is_not_to_be_had_are_refused(on_air):
    async with on_air() as (registry, _):
        await eventually(lambda: registry.ready)
        with pytest.raises(NoSuchAvatar):
            await registry.render("nobody", FORMAT, once(b""), chunk_frames=5)
        for video in (VideoFormat(16, 16), VideoFormat(*SIZE, 24)):
            with pytest.raises(BadRequest):
                await registry.render("nova", video, once(b""), chunk_frames=5)


async def test_renders_end_with_the_server(on_air):
    async with on_air() as (registry, opener):
        recording = await rendered(registry, frames=5000)
    with pytest.raises(Unavailable, match="stopped"):
        await chunks(recording)
    assert told(opener, CloseStream)


async def test_a_stream_that_nobody_watches_is_rendered_and_stays_idle(on_air):
    async with on_air() as (registry, opener):
        await eventually(lambda: registry.ready)
        stream = await registry.put_on_air("secret", "nova", FORMAT, drawn_fps=10, listed=False)
        recording = await stream.record(once(speech(5000)), chunk_frames=50)
        assert stream.state is StreamState.IDLE
        (opened,) = told(opener, OpenStream)
        assert opened.drawn_fps == 10 and "secret" not in opened.stream
        assert (await anext(recording)).frames == 50
        await registry.take_off_air("secret")
        with pytest.raises(Unavailable, match="off the air"):
            await chunks(recording)
        await eventually(lambda: not open_streams(opener))


async def test_a_watched_stream_records_what_it_speaks_ahead_of_its_time(on_air):
    """All chunks are there long before the speech is over; what viewers see and are told keeps to the clock."""
    async with on_air() as (registry, opener), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        with stream.listen() as events:
            recording = await stream.record(once(speech(75)), chunk_frames=25)
            data = await chunks(recording)
            assert data == [b"frames 0 to 25", b"frames 25 to 50", b"frames 50 to 75"]
            assert sum(seen.live for seen in watching.pictures) < 60
            assert not told(opener, OpenStream) and stream.state is StreamState.SPEAKING
            async with asyncio.timeout(20):
                states = [event.data["state"] async for event in until_finished(events)]
        assert states == ["queued", "started", "finished"]
        live = [position for position, seen in enumerate(watching.pictures) if seen.live]
        await watching.until(lambda: not watching.pictures[-1].live)
        live = [position for position, seen in enumerate(watching.pictures) if seen.live]
        assert live == list(range(live[0], live[0] + len(live))) and 75 <= len(live) <= 85
        times = without_greeting([packet.time for packet in watching.packets["video"] if packet.marker])
        assert {(after - before) % 2**32 for before, after in itertools.pairwise(times)} == {3600}
        assert stream._air.playout.dropped == 0
        await eventually(lambda: stream.state is StreamState.IDLE)


async def until_finished(events) -> AsyncIterator:
    async for event in events:
        if event.kind == "speech":
            yield event
            if event.data["state"] in ("finished", "failed"):
                return


async def test_further_speech_follows_what_was_made_ahead(on_air):
    """The worker has long gone idle when the second utterance comes; it is heard after the first."""
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        with stream.listen() as events:
            recording = await stream.record(once(speech(25)), chunk_frames=50)
            assert len(await chunks(recording)) == 1
            await eventually(lambda: not stream._air.stretches.open)
            utterance = await stream.speak(once(speech(5)))
            assert utterance.queued == 1
            async with asyncio.timeout(20):
                first = [event.data async for event in until_finished(events)]
                second = [event.data async for event in until_finished(events)]
        told = [(data["utterance"], data["state"]) for data in first + second if data["state"] != "queued"]
        assert told == [
            (each, state) for each in (recording.utterance, utterance.id) for state in ("started", "finished")
        ]
        assert second[0]["media_time_s"] >= first[-1]["media_time_s"]


def test_what_is_made_ahead_fits_the_playout():
    assert (AHEAD_S + 1) * AUDIO_HZ // 960 < MAX_HELD


async def test_nobody_runs_ahead_where_a_publisher_follows(on_air):
    async with on_air(lead_ms=120) as (registry, opener):
        stream = await demo_of(registry)
        opener.worker.silent = True

        def granted() -> int:
            stream._tick(stream._time())
            told = [message for message in opener.worker.sent if isinstance(message, Advance)][-1]
            return told.until - told.now

        stream._air.stretches.begin(0, 0)
        entry = stream._voice.speech.open()
        entry.recorded, entry.stage, entry.begins, entry.seconds = True, "started", 0, 100.0
        assert granted() == AHEAD_S * 25
        stream._floor._joining = True
        assert granted() == 4
        with pytest.raises(AlreadyPublishing):
            await stream.record(once(speech(5)), chunk_frames=5)
        stream._voice.speech.forget(entry)


async def test_a_closed_recording_does_not_stop_speech_that_is_heard(on_air):
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        with stream.listen() as events:
            (await stream.record(once(speech(10)), chunk_frames=5)).close()
            async with asyncio.timeout(20):
                states = [event.data["state"] async for event in until_finished(events)]
        assert states[-1] == "finished"


async def test_a_recording_of_interrupted_speech_says_so(on_air):
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        recording = await stream.record(once(speech(2000)), chunk_frames=25)
        waiting = await stream.record(once(speech(20)), chunk_frames=25)
        assert (await anext(recording)).index == 0
        await watching.until(lambda: watching.pictures[-1].speaking)
        did = await stream.interrupt()
        assert (did.utterance, did.dropped) == (recording.utterance, (waiting.utterance,))
        for cut in (recording, waiting):
            with pytest.raises(Interrupted):
                await chunks(cut)
        assert len(await chunks(await stream.record(once(speech(10)), chunk_frames=5))) == 2


async def test_a_worker_lost_in_mid_speech_fails_the_recording_of_a_watched_stream(on_air):
    async with on_air() as (registry, opener), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        recording = await stream.record(once(speech(2000)), chunk_frames=25)
        assert (await anext(recording)).index == 0
        opener.worker.die()
        with pytest.raises(WorkerLost):
            await chunks(recording)
        await eventually(lambda: stream.state is StreamState.IDLE)
        opener.worker.start()
        assert len(await chunks(await stream.record(once(speech(10)), chunk_frames=5))) == 2


async def test_pictures_that_were_made_before_the_worker_failed_are_shown(on_air):
    """It made ten seconds ahead of their time; then the next utterance could not be made."""
    async with on_air() as (registry, _), player(codec="H264") as watching:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await watching.until(lambda: len(watching.pictures) > 3)
        recording = await stream.record(once(speech(50)), chunk_frames=50)
        assert len(await chunks(recording)) == 1
        end = stream._air.stretches._known[-1].end
        assert end is not None
        stream.message(StreamFailed("demo", end, [], "out of paint"))
        assert stream._air.stretches._known[-1].end == end
        await watching.until(lambda: sum(seen.live for seen in watching.pictures) > 45)
        assert Codec.H264 in stream.codecs
