"""What is logged of sessions and utterances at their end: one line each, with figures, without secrets."""

import asyncio
import json
import logging

import pytest

from avatar.messages import VideoFormat
from tests.aiortc_player import eventually, player
from tests.fakes import SIZE, speech
from tests.integration.test_publisher import publisher
from tests.integration.test_records import chunks, demo_of, once, until_finished
from whep_server.errors import NotSpeech
from whep_server.live.journal import log_utterance
from whep_server.live.utterances import Entry
from whep_server.log import JsonFormatter

FORMAT = VideoFormat(*SIZE, 25)


@pytest.fixture
def lines(caplog):
    """What the journal has written: called, a list of records."""
    caplog.set_level(logging.INFO, "whep_server.live.journal")
    return lambda: [record for record in caplog.records if record.name == "whep_server.live.journal"]


async def test_each_utterance_leaves_one_line(on_air, lines):
    async with on_air() as (registry, _):
        stream = await demo_of(registry)
        with stream.listen() as events:
            spoken = await stream.speak(once(speech(5)))
            async with asyncio.timeout(10):
                assert [event async for event in until_finished(events)]
        recording = await stream.record(once(speech(5)), chunk_frames=5)
        assert len(await chunks(recording)) == 1
        with pytest.raises(NotSpeech):
            await stream.speak(once(b"junk"))
        secret = await registry.put_on_air("secret", "nova", FORMAT, listed=False)
        unfinished = await secret.record(once(speech(5000)), chunk_frames=5)
    found = {record.utterance: record for record in lines()}
    assert len(lines()) == len(found) == 4
    one = found[spoken.id]
    assert (one.stream, one.state, one.seconds, one.live, one.recorded) == ("demo", "finished", 0.2, False, False)
    assert 0 <= one.wait_ms <= one.first_sound_ms < 10_000 and one.first_picture_ms is None
    assert found[recording.utterance].stream == "demo/render/1" and found[recording.utterance].recorded
    assert sorted(record.state for record in lines()) == ["failed", "finished", "finished", "refused"]
    lost = found[unfinished.utterance]
    assert lost.state == "failed" and "secret" not in lost.getMessage() and "secret" not in str(vars(lost))


async def test_each_session_leaves_one_line(on_air, lines):
    async with on_air(join_timeout_s=0.5) as (registry, _):
        stream = await demo_of(registry)
        secret = await registry.put_on_air("secret", "nova", FORMAT, listed=False)
        async with player(codec="H264") as deleted, player() as leaving, player() as remaining, player() as absent:
            for watching in (deleted, leaving):
                await watching.watch(stream)
            await remaining.watch(secret)
            await absent.connection.setLocalDescription(await absent.connection.createOffer())
            never = await stream.open_viewer(absent.connection.localDescription.sdp)
            for watching in (deleted, leaving, remaining):
                await watching.until(lambda each=watching: len(each.pictures) > 5)
            await stream.end_viewer(deleted.session.id)
            await leaving.connection.close()
            await eventually(lambda: stream.viewer_count == 0)
            await registry.take_off_air("secret")
            ids = [deleted.session.id, leaving.session.id, remaining.session.id, never.id]
    assert {record.kind for record in lines()} == {"viewer"}
    assert sorted(record.ending for record in lines()) == ["deleted", "expired", "lost", "off air"]
    one = next(record for record in lines() if record.ending == "deleted")
    assert one.stream == "demo" and one.codecs == ["H264", "opus"] and one.seconds > 0
    assert one.pictures_sent > 5 and one.packets_sent > 5 and one.bytes_sent > 1000
    text = "".join(str(vars(record)) for record in lines())
    assert "secret" not in text and "a=" not in text and not any(session in text for session in ids)


async def test_a_publisher_leaves_one_line(on_air, lines):
    async with on_air() as (registry, opener), publisher() as said:
        stream = await demo_of(registry)
        await said.publish(stream)
        await eventually(lambda: len(opener.worker.heard) > 5)
        await stream.end_publisher(said.session.id)
        await eventually(lambda: len(lines()) == 2)
    session = next(record for record in lines() if hasattr(record, "session"))
    assert (session.stream, session.kind, session.ending, session.codecs) == (
        "demo",
        "publisher",
        "deleted",
        ["opus"],
    )
    assert session.packets_received > 5 and session.bytes_received > 5
    utterance = next(record for record in lines() if hasattr(record, "utterance"))
    assert utterance.live and utterance.state == "finished" and utterance.first_sound_ms is None


def test_the_figures_are_members_of_the_json(lines):
    entry = Entry("u", None, seconds=2.0, uploaded_s=1.0, accepted_s=1.25, started_s=1.5, pictured_s=1.625)
    log_utterance("demo", entry, "failed", "it broke off")
    (record,) = lines()
    told = json.loads(JsonFormatter().format(record))
    assert told["message"] == "stream demo: utterance u failed: it broke off"
    assert (told["seconds"], told["wait_ms"]) == (2.0, 250)
    assert (told["first_sound_ms"], told["first_picture_ms"]) == (500, 625)
