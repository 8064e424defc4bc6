"""Speech recorded into chunks by a real worker process, whose engine draws loudness: its bytes, pace and losses."""

import asyncio
import io
import itertools
import os
import signal
from collections.abc import AsyncIterator
from functools import partial

import av
import pytest
import pytest_asyncio
from aiortc.rtp import RtpPacket

from avatar.client import open_worker
from avatar.messages import SpeechChunk, VideoFormat
from tests.aiortc_player import Player, eventually, player
from tests.audio_files import tone, wav
from tests.fake_engine import SIZE
from tests.greeting import without_greeting
from tests.worker_show import FAKE
from whep_server.errors import NotSpeech, Unavailable, WorkerLost
from whep_server.live import render
from whep_server.live.registry import Registry, open_registry
from whep_server.live.speech_recording import Recording
from whep_server.live.stream import Stream, StreamState
from whep_server.settings import Settings

FORMAT = VideoFormat(*SIZE, 25, 500_000)
PICTURE_NALS = (1, 5)

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data


def speech(seconds: float) -> bytes:
    return wav(tone(seconds, level=0.5, rate=16_000), rate=16_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def registry(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Registry]:
    cache = tmp_path_factory.mktemp("cache")
    settings = Settings(cache=cache, avatar="grey", width=SIZE[0], height=SIZE[1], bitrate_bps=500_000)
    async with open_registry(settings, partial(open_worker, command=FAKE)) as opened:
        await eventually(lambda: opened.ready, 60)
        yield opened


async def chunks(recording: Recording) -> list[SpeechChunk]:
    async with asyncio.timeout(60):
        return [chunk async for chunk in recording]


def slices(chunk: bytes) -> list[bytes]:
    """The pictures of a chunk as they are encoded: their slices, without what stands before them."""
    found = []
    with av.open(io.BytesIO(chunk)) as file:
        for packet in file.demux(video=0):
            data, at = bytes(packet), 0
            while at < len(data):
                size = int.from_bytes(data[at : at + 4], "big")
                found.append(data[at + 4 : at + 4 + size])
                at += 4 + size
    return [nal for nal in found if nal[0] & 0x1F in PICTURE_NALS]


def received_slices(payloads: list[bytes]) -> list[bytes]:
    """The same of RTP payloads, in order: RFC 6184, single units and fragments."""
    found: list[bytes] = []
    for payload in payloads:
        kind = payload[0] & 0x1F
        if kind in PICTURE_NALS:
            found.append(payload)
        elif kind == 28 and payload[1] & 0x1F in PICTURE_NALS:
            if payload[1] & 0x80:
                found.append(bytes([payload[0] & 0xE0 | payload[1] & 0x1F]))
            found[-1] += payload[2:]
    return found


def keep_payloads(watching: Player) -> list[bytes]:
    """Payloads of the video packets that come from now on."""
    payloads: list[bytes] = []
    receiver = next(each.receiver for each in watching.connection.getTransceivers() if each.kind == "video")
    handle = receiver._handle_rtp_packet

    async def kept(packet: RtpPacket, arrival_time_ms: int) -> None:
        payloads.append(packet.payload)
        await handle(packet, arrival_time_ms=arrival_time_ms)

    receiver._handle_rtp_packet = kept  # type: ignore[method-assign]
    return payloads


async def watched(registry: Registry, watching: Player) -> Stream:
    stream = registry.stream("demo")
    await watching.watch(stream)
    await watching.until(lambda: len(watching.packets["video"]) > 5)
    return stream


async def test_a_render_gives_all_of_a_speech_without_waiting_for_its_time(registry):
    recording = await registry.render("grey", FORMAT, once(speech(20.0)), chunk_frames=50)
    began_s = registry.stream("demo").on_air_s
    made = await chunks(recording)
    assert registry.stream("demo").on_air_s - began_s < 20
    assert [chunk.index for chunk in made] == list(range(10)) and {chunk.total for chunk in made} == {10}
    assert sum(chunk.frames for chunk in made) == 500
    assert [len(slices(chunk.data)) for chunk in made] == [chunk.frames for chunk in made]
    with pytest.raises(NotSpeech):
        await chunks(await registry.render("grey", FORMAT, once(b"no audio at all"), chunk_frames=50))
    assert registry.stream("demo").state is StreamState.IDLE


async def test_a_watched_stream_records_the_very_pictures_that_its_viewer_gets(registry):
    async with player(codec="H264") as watching:
        payloads = keep_payloads(watching)
        stream = await watched(registry, watching)
        made = await chunks(await stream.record(once(speech(3.0)), chunk_frames=25))
        assert stream.state is StreamState.SPEAKING
        recorded = [nal for chunk in made for nal in slices(chunk.data)]
        assert sum(chunk.frames for chunk in made) == 75
        left_out = 75 - len(recorded)  # too late for its viewer, on a machine that does other things: usually none
        assert left_out < 50
        await eventually(lambda: stream.state is StreamState.IDLE, 20)
        received = received_slices(payloads)
        first = received.index(recorded[0])
        assert received[first : first + len(recorded)] == recorded
        times = without_greeting([packet.time for packet in watching.packets["video"] if packet.marker])
        steps = [(after - before) / 3600 for before, after in itertools.pairwise(times)]
        assert min(steps) >= 1 and sum(step - 1 for step in steps) == left_out


async def test_four_renders_finish_while_a_watched_stream_speaks(registry):
    async with player(codec="H264") as watching:
        stream = await watched(registry, watching)
        await stream.speak(once(speech(4.0)))
        await eventually(lambda: stream.state is StreamState.SPEAKING)
        renders = [await registry.render("grey", FORMAT, once(speech(8.0)), chunk_frames=50) for _ in range(4)]
        made = await asyncio.gather(*(chunks(each) for each in renders))
        assert [sum(chunk.frames for chunk in each) for each in made] == [200] * 4
        await eventually(lambda: stream.state is StreamState.IDLE, 20)
        assert stream.queued == 0 and len(watching.packets["audio"]) > 100


async def test_a_worker_killed_in_mid_recording_fails_it_and_the_next_one_works(registry, monkeypatch):
    monkeypatch.setattr(render, "ENOUGH_BYTES", 1)  # so that it waits for its reader
    async with player(codec="H264") as watching:
        stream = await watched(registry, watching)
        live = await stream.record(once(speech(40.0)), chunk_frames=25)
        unwatched = await registry.render("grey", FORMAT, once(speech(40.0)), chunk_frames=25)
        assert (await anext(live)).index == (await anext(unwatched)).index == 0
        assert registry.worker.pid is not None
        os.kill(registry.worker.pid, signal.SIGKILL)
        for recording in (live, unwatched):
            with pytest.raises(WorkerLost):
                await chunks(recording)
        await eventually(lambda: stream.state is StreamState.IDLE)
        assert len(await chunks(await again(stream))) == 2


async def again(stream: Stream) -> Recording:
    """A recording as soon as the worker is back."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await stream.record(once(speech(2.0)), chunk_frames=25)
            except Unavailable:
                await asyncio.sleep(0.02)
