"""The server is told to end while it speaks: what was accepted is heard to its end, and nothing new is taken."""

import asyncio
import signal
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from tests.aiortc_player import eventually, player
from tests.audio_files import tone, wav
from tests.clients.event_log import EventLog, listening, read_events, speak
from tests.clients.hearing import part_heard
from tests.clients.recording_viewer import watching
from tests.clients.server_process import Server, running_server
from tests.clients.speech_files import sentence
from tests.clients.waiting import until
from tests.fakes import speech
from tests.integration.http_server import assert_problem
from tests.integration.pcm_server import pcm_serving
from tests.integration.test_pcm_refusals import refusal
from tests.integration.test_publisher import publisher
from tests.integration.test_records import FORMAT, chunks, demo_of, once, rendered
from tests.offers import offer
from whep_server.errors import BeingEnded
from whep_server.live import render
from whep_server.live.preparations import WantedAvatar

pytestmark = pytest.mark.timeout(400)  # the first server waits for the idle loop to be encoded

END_S = 30.0
"""For an end that takes a second; half of ``LONG``."""
LONG = wav(tone(60.0, rate=8000), rate=8000)
SDP = {"Content-Type": "application/sdp"}
SENTENCE = sentence(longest_s=4.0)
SMALL = {"width": "512", "height": "512", "fps": "10"}


async def status_of(server: Server) -> int:
    """Its exit status, once it has ended."""
    return await asyncio.to_thread(server.process.wait, END_S)


def is_refusing(server: Server) -> bool:
    """Whether it has seen the signal."""
    return httpx.get(f"{server.base}/readyz", trust_env=False).status_code == 503


async def assert_nothing_new_is_taken(client: httpx.AsyncClient) -> None:
    for path, body, headers in (
        ("/whep/demo", offer().encode(), SDP),
        ("/whip/demo", offer().replace("recvonly", "sendonly").encode(), SDP),
        ("/streams/demo/speech", LONG, {}),
        ("/streams/demo/pcm?sample_rate=8000", b"\0\0", {}),
        ("/streams", b'{"name": "other"}', {}),
    ):
        response = await client.post(path, content=body, headers=headers)
        assert assert_problem(response, 503)["title"] == "Being ended", path
        assert int(response.headers["Retry-After"]) > 0
    assert (await client.get("/healthz")).status_code == 200


async def test_what_was_accepted_is_heard_to_its_end_and_players_are_told_to_come_again():
    with running_server(log_name="drain", drain_s="100", **SMALL) as server:
        async with (
            listening(server.base) as events,
            watching(server.whep(), leaves=False) as viewer,
            httpx.AsyncClient(base_url=server.base, timeout=httpx.Timeout(10, read=None), trust_env=False) as client,
            client.stream("GET", f"{urlsplit(viewer.location).path}/events") as told,
            asyncio.TaskGroup() as group,
        ):
            session = EventLog()
            group.create_task(read_events(told, session))
            first = await speak(server.base, SENTENCE.wav)
            queued = await speak(server.base, wav(tone(1.0)))
            await events.wait(20, "speech", state="started", utterance=first)
            server.process.terminate()
            await until(lambda: is_refusing(server), 10, "not ready any more")
            page = (await client.get("/metrics")).text
            assert "\nwhep_avatar_draining 1.0\n" in page and "\nwhep_avatar_draining_utterances 2.0\n" in page
            await assert_nothing_new_is_taken(client)
            assert not session.find("reconnect")
            for utterance in (first, queued):
                await events.wait(60, "speech", state="finished", utterance=utterance)
            assert await status_of(server) == 0
            await until(lambda: session.find("reconnect"), 10, "told to come again")
            assert session.events[-1].kind == "reconnect"
        assert part_heard(viewer, SENTENCE) > 0.9
        log = server.log.read_text()
        assert "nothing new is taken; up to 100 s for demo (2)" in log and "all that was accepted is spoken" in log


@pytest.mark.parametrize(("drain_s", "again"), [("1", False), ("3600", True)])
async def test_speech_is_cut_off_where_its_time_is_over_or_at_a_second_signal(drain_s: str, again: bool):
    with running_server(log_name="drain-cut", drain_s=drain_s, **SMALL) as server:
        async with listening(server.base) as events:
            utterance = await speak(server.base, LONG)
            await events.wait(20, "speech", state="started", utterance=utterance)
            server.process.send_signal(signal.SIGTERM)
            if again:
                await until(lambda: is_refusing(server), 10, "told to end")
                server.process.send_signal(signal.SIGTERM)
            assert await status_of(server) == 0
        assert "speech is cut off: demo (1)" in server.log.read_text()


async def test_nobody_is_waited_for_who_has_nothing_to_say(on_air):
    """Neither viewers nor a publisher, who never comes to an end."""
    async with on_air() as (registry, opener), player() as watching, publisher() as said:
        stream = await demo_of(registry)
        await watching.watch(stream)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 5)
        assert not registry.facts().draining
        async with asyncio.timeout(END_S):
            await registry.drain(3600)
        facts = registry.facts()
        assert facts.draining and not facts.owed and not facts.ready and len(facts.sessions) == 2


async def test_a_recording_is_made_to_its_end_and_no_other_is_begun(on_air, monkeypatch):
    monkeypatch.setattr(render, "ENOUGH_BYTES", 40)  # so that its reader holds it up
    async with on_air() as (registry, _):
        recording = await rendered(registry, frames=5000)
        async with asyncio.TaskGroup() as group:
            drained = group.create_task(registry.drain(3600))
            await eventually(lambda: registry.facts().draining)
            for refused in (
                registry.render("nova", FORMAT, once(speech(5)), chunk_frames=5),
                registry.stream("demo").record(once(speech(5)), chunk_frames=5),
            ):
                with pytest.raises(BeingEnded):
                    await refused
            with pytest.raises(BeingEnded):
                registry.begin_avatar(WantedAvatar("other", Path("none.mp4")))
            assert registry.facts().owed == 1 and not drained.done()
            assert len(await chunks(recording)) == 100
            await eventually(drained.done)


async def test_who_would_stream_speech_in_is_refused_before_there_is_a_connection():
    async with pcm_serving() as running:
        await running.registry.drain(0)
        status, body = await refusal(running)
        assert (status, body["title"]) == (503, "Being ended")
